//! Two sessions in virtual time, and one session against frames made by hand.
//!
//! [`Pair`] connects two sessions by two FIFO queues. [`Raw`] plays the peer of one session frame
//! by frame. [`text`] says in one line what a frame or an event is, so that tests compare lines.
#![allow(unreachable_pub, reason = "one test binary, nothing is public")]

pub mod methods;
pub mod raw;
pub mod text;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rapace_core::session::{
    CancelReason, Config, Event, LinkEnd, OpenCall, PortDecl, Response, Role, Session,
};
use rapace_core::{ChannelId, Frame, Metadata, MethodId, Payload, Time};

pub use methods::config;
pub use raw::Raw;

/// Which of the two sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The initiator.
    A,
    /// The acceptor.
    B,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// One session, what it has sent that has not arrived, and what it has reported.
pub struct End {
    pub session: Session,
    /// Frames on their way to the other side.
    pub wire: VecDeque<Frame>,
    /// How many frames the link holds in this direction.
    pub capacity: usize,
    /// Reported and not yet looked at.
    pub events: VecDeque<Event>,
    /// How many frames this side has sent in all.
    pub frames: u64,
}

/// Two sessions and the link between them.
pub struct Pair {
    pub a: End,
    pub b: End,
    pub now: Time,
    pub cut: bool,
}

impl Pair {
    /// Two sessions with everything on, after the handshake.
    pub fn ready() -> Pair {
        Pair::with(config(Role::Initiator), config(Role::Acceptor))
    }

    /// After the handshake of these two.
    pub fn with(a: Config, b: Config) -> Pair {
        let mut pair = Pair::new(a, b);
        pair.run();
        assert_eq!(pair.events(Side::A), ["Ready"]);
        assert_eq!(pair.events(Side::B), ["Ready"]);
        pair
    }

    /// Before the handshake.
    pub fn new(a: Config, b: Config) -> Pair {
        // Not zero, so that nothing works by accident.
        let now = Time::from_nanos(1_000_000_000);
        let end = |config| End {
            session: Session::new(config, now),
            wire: VecDeque::new(),
            capacity: usize::MAX,
            events: VecDeque::new(),
            frames: 0,
        };
        Pair {
            a: end(a),
            b: end(b),
            now,
            cut: false,
        }
    }

    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    pub fn session(&mut self, side: Side) -> &mut Session {
        &mut self.end(side).session
    }

    /// Moves up to `frames` frames of `side` onto the link, as far as it has room.
    pub fn transmit(&mut self, side: Side, frames: usize) -> usize {
        let now = self.now;
        let end = self.end(side);
        let mut moved = 0;
        while moved < frames && end.wire.len() < end.capacity {
            let Some(frame) = end.session.poll_transmit(now) else {
                break;
            };
            end.frames += 1;
            end.wire.push_back(frame);
            moved += 1;
        }
        moved
    }

    /// Delivers up to `frames` frames that `from` has sent.
    pub fn deliver(&mut self, from: Side, frames: usize) -> usize {
        if self.cut {
            return 0;
        }
        let now = self.now;
        let mut moved = 0;
        while moved < frames {
            let Some(frame) = self.end(from).wire.pop_front() else {
                break;
            };
            self.session(from.other())
                .handle_frame(now, as_received(frame));
            moved += 1;
        }
        self.collect();
        moved
    }

    /// Takes the events of both sides.
    pub fn collect(&mut self) {
        for side in [Side::A, Side::B] {
            let end = self.end(side);
            while let Some(event) = end.session.poll_event() {
                end.events.push_back(event);
            }
        }
    }

    /// Lets frames flow until nothing moves any more; time stands still.
    pub fn run(&mut self) {
        loop {
            let mut moved = 0;
            for side in [Side::A, Side::B] {
                moved += self.transmit(side, usize::MAX);
                moved += self.deliver(side, usize::MAX);
            }
            self.collect();
            if moved == 0 {
                return;
            }
        }
    }

    /// Time passes; alarms go off in their order; frames flow.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            self.run();
            let next = [&self.a, &self.b]
                .into_iter()
                .filter_map(|end| end.session.poll_timeout())
                .min();
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            self.fire();
        }
        self.now = end;
        self.run();
    }

    /// Lets both sides know what time it is.
    pub fn fire(&mut self) {
        let now = self.now;
        for side in [Side::A, Side::B] {
            let session = self.session(side);
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
                assert!(
                    session.poll_timeout().is_none_or(|at| at > now),
                    "an alarm that stays due makes a driver spin"
                );
            }
        }
        self.collect();
    }

    /// The link breaks: what is on its way is lost.
    pub fn cut(&mut self, end: &LinkEnd) {
        self.cut = true;
        for side in [Side::A, Side::B] {
            self.end(side).wire.clear();
            let now = self.now;
            self.session(side).handle_link_closed(now, end.clone());
        }
        self.collect();
    }

    /// The reports of `side` since the last look, one line each.
    pub fn events(&mut self, side: Side) -> Vec<String> {
        let events = std::mem::take(&mut self.end(side).events);
        events.iter().map(text::event).collect()
    }

    /// Opens a call without metadata or deadline.
    pub fn call(&mut self, from: Side, method: u32) -> ChannelId {
        self.try_call(from, call(method)).expect("the call opens")
    }

    pub fn try_call(&mut self, from: Side, call: OpenCall) -> Result<ChannelId, String> {
        let now = self.now;
        let opened = self.session(from).open_call(now, call);
        opened.map_err(|(why, _)| format!("{why:?}"))
    }

    /// Answers with an OK envelope around `body`.
    pub fn respond(&mut self, side: Side, call: ChannelId, body: &[u8]) -> bool {
        let now = self.now;
        self.session(side).respond(now, call, ok(body))
    }

    pub fn open_port(&mut self, side: Side, call: ChannelId, port: u32) -> ChannelId {
        let now = self.now;
        let opened = self.session(side).open_port(now, call, port);
        opened.expect("the port opens")
    }

    pub fn send(&mut self, side: Side, channel: ChannelId, bytes: usize) -> Result<(), String> {
        let item = Payload::from(Bytes::from(vec![7; bytes]));
        let sent = self.session(side).send_data(channel, item, false);
        sent.map_err(|(why, _)| format!("{why:?}"))
    }

    pub fn cancel(&mut self, side: Side, channel: ChannelId) {
        let now = self.now;
        let reason = CancelReason::ClientCancel;
        self.session(side).cancel(now, channel, reason);
    }

    /// Every table of both sides is empty.
    #[track_caller]
    pub fn assert_empty(&mut self) {
        self.collect();
        for side in [Side::A, Side::B] {
            let sizes = self.session(side).table_sizes();
            assert_eq!(sizes, Default::default(), "{side:?} holds on to something");
        }
    }
}

/// A call of `method` with its ports.
pub fn call(method: u32) -> OpenCall {
    OpenCall {
        method_id: MethodId(method),
        payload: Payload::copy_from_slice(b"args"),
        metadata: Metadata::default(),
        deadline: None,
        oneway: false,
        ports: ports(method),
    }
}

fn ports(method: u32) -> &'static [PortDecl] {
    methods::ports(method)
}

/// An OK response.
pub fn ok(body: &[u8]) -> Response {
    let (header, len) = rapace_core::envelope::ok_header(body.len());
    let mut payload = header[..len].to_vec();
    payload.extend_from_slice(body);
    Response {
        payload: Payload::from(Bytes::from(payload)),
        error: false,
    }
}

/// A frame as a receiver gets it: one run of bytes.
fn as_received(frame: Frame) -> Frame {
    let Frame { desc, payload } = frame;
    assert_eq!(
        desc.payload_len as usize,
        payload.len(),
        "the descriptor lies about the payload"
    );
    Frame {
        desc,
        payload: Payload::from(payload.into_bytes()),
    }
}
