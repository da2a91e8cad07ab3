//! The session: one side of one connection, as a state machine.
//!
//! | module | owns |
//! |---|---|
//! | `handshake` | the Hellos and what follows from them (\[hello\], \[hello.fail\]) |
//! | `receive` | sorting received frames by the transition table |
//! | `control` | control messages other than the Hello |
//! | `calls_out`, `calls_in` | calls of this side, calls of the peer |
//! | `ports`, `port_open`, `port_data` | streams and tunnels: the table, opening, sending and receiving |
//! | `skipped` | channel ids that the peer passed over |
//! | `credit` | how much may be sent, and giving it back (\[credit\]) |
//! | `ending` | cancellation, GoAway, violations, the end of everything |
//! | `timers` | deadlines, grace, pings |
//! | `transmit` | the queue of frames |
//! | `types` | what goes in and comes out |
//!
//! **Invariant:** every call that [`Session::open_call`] accepted and this side did not cancel ends
//! in exactly one [`Event::CallDone`]; every entry of a table is gone when its channel has ended.
//! **Absent on purpose:** any clock, any wake-up, any knowledge of what payloads mean.

mod calls_in;
mod calls_out;
mod control;
mod credit;
mod ending;
mod handshake;
mod port_data;
mod port_open;
mod ports;
mod receive;
mod skipped;
mod timers;
mod transmit;
mod types;

use std::collections::VecDeque;

pub use crate::control::{CancelReason, Direction, Features, GoAwayReason, Role};
pub use crate::limits::Limits;
pub use credit::SendAllowance;
pub use types::{
    CallOutcome, CancelCause, CloseReason, Config, Event, HandshakeFailure, LinkEnd, MethodTable,
    OpenCall, OpenError, Peer, PeerMethod, PortDecl, PortError, PortKind, Response, SendBlocked,
    ServedMethod, TableSizes,
};

use crate::frame::Frame;
use crate::hash::IdMap;
use crate::id::ChannelId;
use crate::limits::PAYLOAD_BYTES_BEFORE_HELLO;
use crate::time::Time;
use calls_in::CallIn;
use calls_out::{AwaitingPorts, CallOut};
use ending::Draining;
use ports::{EndedRing, Port};
use skipped::Skipped;
use timers::Timers;
use transmit::TransmitQueue;

/// One side of one connection.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    /// The time that was handed in last; commands without a time of their own use it.
    now: Time,
    peer: Option<Peer>,
    effective: Effective,

    next_msg_id: u64,
    /// The next channel of this side; 0 when the ids are used up.
    next_channel: u32,
    /// The highest channel that the peer has opened; 0 before the first.
    highest_peer: u32,
    skipped: Skipped,
    /// Channels that this side has opened and that live.
    opened_here: u32,
    /// Channels that the peer has opened and that live.
    opened_there: u32,

    calls_out: IdMap<ChannelId, CallOut>,
    calls_in: IdMap<ChannelId, CallIn>,
    /// How many of `calls_in` have sent their request (\[call.limits\]).
    serving: u32,
    ports: IdMap<ChannelId, Port>,
    awaiting_ports: AwaitingPorts,
    ended: EndedRing,

    transmit: TransmitQueue,
    events: VecDeque<Event>,
    timers: Timers,
    draining: Draining,
    violations: u32,
    last_heard: Time,
    /// A ping that is not answered yet.
    pinged: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Waiting for the peer's Hello.
    Hello,
    Open,
    Closed(CloseReason),
}

/// What both Hellos together allow.
#[derive(Clone, Copy, Debug)]
struct Effective {
    features: Features,
    payload_bytes_max: u32,
    channels_max: u32,
    pending_calls_max: u32,
    /// What each stream of this side may send before any grant; `None` when it must wait.
    window_there: Option<u32>,
    /// What each stream of the peer may send before any grant; `None` when it must wait.
    window_here: Option<u32>,
}

/// The longest prefix of `text` of at most `bytes_max` bytes.
fn shortened(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

impl Session {
    /// A session that has queued its Hello.
    pub fn new(mut config: Config, now: Time) -> Session {
        // Without any window nothing but empty items could ever be sent.
        config.limits.window_bytes = config.limits.window_bytes.max(1);
        let effective = Effective {
            features: Features::default(),
            payload_bytes_max: PAYLOAD_BYTES_BEFORE_HELLO,
            channels_max: config.limits.max_channels,
            pending_calls_max: config.limits.max_pending_calls,
            window_there: None,
            window_here: None,
        };
        let next_channel = match config.role {
            Role::Initiator => 1,
            Role::Acceptor => 2,
        };
        let mut session = Session {
            config,
            phase: Phase::Hello,
            now,
            peer: None,
            effective,
            next_msg_id: 1,
            next_channel,
            highest_peer: 0,
            skipped: Skipped::default(),
            opened_here: 0,
            opened_there: 0,
            calls_out: IdMap::default(),
            calls_in: IdMap::default(),
            serving: 0,
            ports: IdMap::default(),
            awaiting_ports: AwaitingPorts::default(),
            ended: EndedRing::default(),
            transmit: TransmitQueue::default(),
            events: VecDeque::new(),
            timers: Timers::default(),
            draining: Draining::default(),
            violations: 0,
            last_heard: now,
            pinged: false,
        };
        session.say_hello(now);
        session
    }

    /// Takes a frame that the link delivered.
    pub fn handle_frame(&mut self, now: Time, frame: Frame) {
        self.now = now;
        match self.phase {
            Phase::Closed(_) => {}
            Phase::Hello => self.receive_hello(frame),
            Phase::Open => {
                self.last_heard = now;
                self.pinged = false;
                self.transmit.provoked = true;
                self.receive(frame);
                self.transmit.provoked = false;
                if self.transmit.replies() > self.replies_max() {
                    self.transmit.clear();
                    self.protocol_error("the answers to what was sent are not being read");
                }
            }
        }
    }

    /// Calls that are answered honestly must never be cut off, however many are allowed.
    fn replies_max(&self) -> u32 {
        let answers = self.effective.pending_calls_max.saturating_mul(2);
        self.config.limits.max_queued_replies.max(answers)
    }

    /// The next thing to report.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Session::poll_event`] has something.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether calls can be made.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Why the session is over, once it is.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.phase {
            Phase::Closed(reason) => Some(reason),
            Phase::Hello | Phase::Open => None,
        }
    }

    /// The time that was handed in last.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The peer, once it has said Hello.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// The longest payload in either direction, in bytes (\[hello.limits\]).
    pub fn payload_limit(&self) -> u32 {
        self.effective.payload_bytes_max
    }

    /// How much the session holds.
    pub fn table_sizes(&self) -> TableSizes {
        TableSizes {
            calls_out: self.calls_out.len(),
            calls_in: self.calls_in.len(),
            ports: self.ports.len(),
            channels: self.opened_here as usize + self.opened_there as usize,
            deadlines: self.timers.deadlines(),
            awaiting_ports: self.awaiting_ports.len(),
            queued_frames: self.transmit.len(),
            queued_events: self.events.len(),
        }
    }

    /// Whether `channel` has the parity of channels that this side opens (\[id.channel\]).
    fn is_own(&self, channel: ChannelId) -> bool {
        (channel.0 % 2 == 1) == (self.config.role == Role::Initiator)
    }

    /// Whether this side has ever opened `channel`.
    fn was_opened_here(&self, channel: ChannelId) -> bool {
        self.is_own(channel)
            && channel.0 != 0
            && (self.next_channel == 0 || channel.0 < self.next_channel)
    }

    /// Takes the next channel id of this side, within the limits.
    /// Channels that this side may open beside those it has open (\[hello.limits\]).
    pub fn channels_left(&self) -> u32 {
        if self.next_channel == 0 {
            return 0;
        }
        self.effective.channels_max.saturating_sub(self.opened_here)
    }

    /// Channels that this side may have open at once (\[hello.limits\]).
    pub fn channels_max(&self) -> u32 {
        self.effective.channels_max
    }

    fn take_channel(&mut self) -> Option<ChannelId> {
        if self.next_channel == 0 || self.opened_here >= self.effective.channels_max {
            return None;
        }
        let channel = ChannelId(self.next_channel);
        self.next_channel = self.next_channel.checked_add(2).unwrap_or(0);
        self.opened_here += 1;
        Some(channel)
    }

    /// The peer has opened `channel`, whose id is used up from here on.
    fn use_up(&mut self, channel: ChannelId) {
        self.skipped.note(self.highest_peer, channel.0);
        self.highest_peer = channel.0;
    }

    /// A live channel has ended.
    fn release(&mut self, channel: ChannelId) {
        if self.is_own(channel) {
            self.opened_here -= 1;
        } else {
            self.opened_there -= 1;
        }
    }
}
