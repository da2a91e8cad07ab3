//! The transition table of channels: what a frame does to a channel in a given state.
//!
//! The table decides *whether* a frame is accepted, ignored or a violation; the modules of
//! [`crate::session`] carry the decision out. A snapshot test prints it whole.

/// Where a channel stands when a frame for it arrives. Names are from this side's view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelState {
    /// The peer may still open it: its parity, above the highest id it has used.
    Unopened,
    /// It was never opened, and the peer may not open it: this side's parity, not yet used.
    Foreign,
    /// A call of this side, waiting for its response.
    Asking,
    /// A call of the peer whose request has not arrived.
    Opened,
    /// A call of the peer, being served.
    Serving,
    /// A stream or tunnel that the peer sends on.
    Receiving,
    /// A tunnel whose sending side at the peer has ended, or a stream that only this side sends
    /// on.
    Deaf,
    /// A stream that the peer has ended with EOS, remembered for a while.
    Ended,
    /// It was open once.
    Finished,
}

/// What arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelEvent {
    /// OpenChannel.
    Open,
    /// DATA|EOS with a method id.
    Request,
    /// A request without EOS, or without DATA.
    BrokenRequest,
    /// RESPONSE.
    Response,
    /// DATA without a method id.
    Data,
    /// EOS without DATA.
    Eos,
    /// Neither: credit, or nothing at all.
    Bare,
    /// CancelChannel.
    Cancel,
    /// GrantCredits.
    Grant,
}

/// What is done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Opens the channel after the checks of \[open.check\].
    Open,
    /// Opens a call and takes its request, if IMPLICIT_OPEN is effective (\[call.implicit\]).
    OpenImplicitly,
    /// Hands the request to a handler.
    Serve,
    /// Ends the call of this side.
    Complete,
    /// Takes the data or the end of the stream.
    Deliver,
    /// Takes the credit.
    Credit,
    /// Ends the channel because the peer wants it.
    End,
    /// It lost a race, or says nothing.
    Ignore,
    /// Answered with CancelChannel ProtocolViolation (\[violation\]); a live channel ends.
    Violation,
}

/// Every state, for printing.
pub const STATES: [ChannelState; 9] = [
    ChannelState::Unopened,
    ChannelState::Foreign,
    ChannelState::Asking,
    ChannelState::Opened,
    ChannelState::Serving,
    ChannelState::Receiving,
    ChannelState::Deaf,
    ChannelState::Ended,
    ChannelState::Finished,
];

/// Every event, for printing.
pub const EVENTS: [ChannelEvent; 9] = [
    ChannelEvent::Open,
    ChannelEvent::Request,
    ChannelEvent::BrokenRequest,
    ChannelEvent::Response,
    ChannelEvent::Data,
    ChannelEvent::Eos,
    ChannelEvent::Bare,
    ChannelEvent::Cancel,
    ChannelEvent::Grant,
];

/// The table.
pub const fn action(state: ChannelState, event: ChannelEvent) -> Action {
    use Action as A;
    use ChannelEvent as E;
    use ChannelState as S;
    match (state, event) {
        // [open.check]: ids rise and are never used twice; only the peer's parity.
        (S::Unopened, E::Open) => A::Open,
        (_, E::Open) => A::Violation,

        // [call.flow], [call.implicit], [call.once].
        (S::Unopened, E::Request) => A::OpenImplicitly,
        (S::Opened, E::Request) => A::Serve,
        (S::Asking, E::Response) => A::Complete,
        (S::Serving | S::Opened | S::Receiving | S::Deaf, E::Response) => A::Violation,
        // A response for an unknown channel lost a race.
        (_, E::Response) => A::Ignore,

        // [stream], [tunnel].
        (S::Receiving, E::Data | E::Eos) => A::Deliver,
        (S::Receiving | S::Deaf, E::Bare) => A::Credit,
        (S::Deaf | S::Ended, E::Data) => A::Violation,
        (S::Deaf | S::Ended, E::Eos) => A::Violation,

        // A request or data on a channel that is open as something else.
        (S::Asking | S::Serving, E::Request | E::BrokenRequest | E::Data | E::Eos) => A::Violation,
        (S::Opened, E::BrokenRequest | E::Data | E::Eos) => A::Violation,
        (S::Receiving | S::Deaf, E::Request | E::BrokenRequest) => A::Violation,
        (S::Ended, E::Request | E::BrokenRequest) => A::Ignore,

        // [data.unknown]: never opened is a violation, closed is a lost race.
        (S::Unopened, E::BrokenRequest | E::Data | E::Eos) => A::Violation,
        (S::Foreign, E::Request | E::BrokenRequest | E::Data | E::Eos) => A::Violation,
        (S::Finished, E::Request | E::BrokenRequest | E::Data | E::Eos) => A::Ignore,

        // [cancel]: immediate and idempotent.
        (S::Asking | S::Opened | S::Serving | S::Receiving | S::Deaf, E::Cancel) => A::End,
        // An answered call can still be cancelled, which ends its streams.
        (S::Finished, E::Cancel) => A::End,
        (S::Unopened | S::Foreign | S::Ended, E::Cancel) => A::Ignore,

        // [credit]: calls are exempt.
        (S::Receiving | S::Deaf, E::Grant) => A::Credit,
        (_, E::Grant | E::Bare) => A::Ignore,
    }
}

/// The table as text: one row a state, one column an event.
pub fn print() -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let _ = write!(out, "{:<10}", "");
    for event in EVENTS {
        let _ = write!(out, " {:<14}", format!("{event:?}"));
    }
    out.truncate(out.trim_end().len());
    for state in STATES {
        let mut row = format!("\n{:<10}", format!("{state:?}"));
        for event in EVENTS {
            let _ = write!(row, " {:<14}", format!("{:?}", action(state, event)));
        }
        out.push_str(row.trim_end());
    }
    out.push('\n');
    out
}
