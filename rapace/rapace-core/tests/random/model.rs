//! What the users of two sessions know, and what they may rely on.
#![allow(unreachable_pub, reason = "one test binary, nothing is public")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::control::{CancelReason, Hello, Verb};
use rapace_core::envelope::{Code, Status, encode_error};
use rapace_core::session::{
    CallOutcome, CancelCause, CloseReason, Config, Event, PortKind, Response, TableSizes,
};
use rapace_core::{ChannelId, Frame, Metadata, Payload};

use crate::pair::{Pair, Side, call, methods, ok};

/// A live stream or tunnel, as one user sees it.
struct Port {
    kind: PortKind,
    sending: bool,
    receiving: bool,
}

#[derive(Default)]
struct User {
    calls_out: BTreeMap<ChannelId, u32>,
    calls_in: BTreeMap<ChannelId, u32>,
    /// Calls that were answered with OK: their streams may live.
    answered: Vec<ChannelId>,
    ports: BTreeMap<ChannelId, Port>,
    /// Lengths of what came in and was not read.
    unread: BTreeMap<ChannelId, VecDeque<usize>>,
    /// How many items have come in.
    received: BTreeMap<ChannelId, usize>,
    /// What was sent, in order: length and first byte.
    sent: BTreeMap<ChannelId, Vec<(usize, u8)>>,
    closed: Option<CloseReason>,
}

pub struct World {
    pub pair: Pair,
    /// Something has ended the connection, or soon will.
    pub ending: bool,
    rejecting: bool,
    rejected: bool,
    a: User,
    b: User,
    calls_max: u32,
}

impl World {
    /// After the handshake. `grants`: as if no Hello carried a window.
    pub fn new(a: Config, b: Config, grants: bool, rejecting: bool) -> World {
        let of = |config: &Config| {
            let limits = &config.limits;
            limits.max_channels.min(limits.max_pending_calls).min(5)
        };
        let calls_max = of(&a).min(of(&b));
        let mut pair = Pair::new(a, b);
        for side in [Side::A, Side::B] {
            pair.transmit(side, 1);
            if grants {
                let hello = pair.end(side).wire.pop_front().expect("a Hello");
                pair.end(side).wire.push_back(without_window(hello));
            }
        }
        pair.run();
        assert_eq!(pair.events(Side::A), ["Ready"]);
        assert_eq!(pair.events(Side::B), ["Ready"]);
        World {
            pair,
            ending: false,
            rejecting,
            rejected: false,
            a: User::default(),
            b: User::default(),
            calls_max,
        }
    }

    fn user(&mut self, side: Side) -> &mut User {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    pub fn call(
        &mut self,
        side: Side,
        method: u32,
        deadline: Option<Duration>,
        with_metadata: bool,
        oneway: bool,
    ) {
        let mut open = call(method);
        open.deadline = deadline.map(|left| self.pair.now + left);
        open.oneway = oneway;
        if with_metadata {
            let value = Bytes::from_static(b"v");
            open.metadata.insert("k".to_owned(), value).expect("good");
        }
        if let Ok(channel) = self.pair.try_call(side, open)
            && !oneway
        {
            let known = self.user(side).calls_out.insert(channel, method);
            assert!(known.is_none(), "{channel:?} was used before");
        }
    }

    pub fn open_port(&mut self, side: Side, n: usize) {
        let user = self.user(side);
        let out = user.calls_out.iter().map(|call| (call, true));
        let served = user.calls_in.iter().map(|call| (call, false));
        let ports: Vec<_> = out
            .chain(served)
            .flat_map(|((call, method), outgoing)| {
                let ports = methods::ports(*method).iter();
                let mine = ports.filter(move |decl| decl.is_request() == outgoing);
                mine.map(|decl| (*call, *decl))
            })
            .collect();
        let Some((call, decl)) = pick(&ports, n) else {
            return;
        };
        let now = self.pair.now;
        match self.pair.session(side).open_port(now, call, decl.port) {
            Ok(channel) => {
                let port = Port {
                    kind: decl.kind,
                    sending: true,
                    receiving: decl.kind == PortKind::Tunnel,
                };
                self.user(side).ports.insert(channel, port);
            }
            Err(why) => {
                let why = format!("{why:?}");
                assert!(
                    ["AlreadyOpen", "TooManyChannels"].contains(&&why[..]),
                    "{why}"
                );
            }
        }
    }

    fn pick_port(&mut self, side: Side, n: usize, filter: fn(&Port) -> bool) -> Option<ChannelId> {
        let ports = self.user(side).ports.iter();
        let fitting: Vec<ChannelId> = ports
            .filter(|(_, port)| filter(port))
            .map(|(channel, _)| *channel)
            .collect();
        pick(&fitting, n)
    }

    pub fn send(&mut self, side: Side, n: usize, len: usize, eos: bool) {
        let Some(channel) = self.pick_port(side, n, |port| port.sending) else {
            return;
        };
        let is_stream = self.user(side).ports[&channel].kind == PortKind::Stream;
        let log = self.user(side).sent.entry(channel).or_default();
        let first = log.len() as u8;
        let item = Payload::from(Bytes::from(vec![first; len]));
        let session = self.pair.session(side);
        let before = session.send_credit(channel).expect("a live port");
        match session.send_data(channel, item, eos) {
            Ok(()) => {
                let covered = len == 0 || len as i64 <= before;
                assert!(
                    covered || is_stream && before > 0,
                    "{len} bytes with credit {before}"
                );
                self.user(side)
                    .sent
                    .entry(channel)
                    .or_default()
                    .push((len, first));
                if eos {
                    self.half_ended(side, channel, true);
                }
            }
            Err((why, given_back)) => {
                assert_eq!(given_back.len(), len);
                let why = format!("{why:?}");
                assert!(["Credit", "Congested"].contains(&&why[..]), "{why}");
            }
        }
    }

    pub fn eos(&mut self, side: Side, n: usize) {
        if let Some(channel) = self.pick_port(side, n, |port| port.sending) {
            assert!(self.pair.session(side).send_eos(channel));
            self.half_ended(side, channel, true);
        }
    }

    fn half_ended(&mut self, side: Side, channel: ChannelId, sending: bool) {
        let ports = &mut self.user(side).ports;
        let port = ports.get_mut(&channel).expect("a live port");
        if sending {
            port.sending = false;
        } else {
            port.receiving = false;
        }
        if !port.sending && !port.receiving {
            ports.remove(&channel);
        }
    }

    pub fn respond(&mut self, side: Side, n: usize, error: bool) {
        let calls: Vec<ChannelId> = self.user(side).calls_in.keys().copied().collect();
        let Some(channel) = pick(&calls, n) else {
            return;
        };
        let response = if error { failure() } else { ok(b"result") };
        let now = self.pair.now;
        let taken = self.pair.session(side).respond(now, channel, response);
        assert!(taken, "{side:?} was not told that {channel:?} had ended");
        self.user(side).calls_in.remove(&channel);
        self.user(side).answered.push(channel);
    }

    pub fn cancel_call(&mut self, side: Side, n: usize) {
        let user = self.user(side);
        let mut calls: Vec<ChannelId> = user.calls_out.keys().copied().collect();
        calls.extend(&user.answered);
        calls.extend(user.calls_in.keys());
        if let Some(channel) = pick(&calls, n) {
            self.user(side).calls_out.remove(&channel);
            self.pair.cancel(side, channel);
        }
    }

    pub fn cancel_port(&mut self, side: Side, n: usize) {
        if let Some(channel) = self.pick_port(side, n, |_| true) {
            self.user(side).ports.remove(&channel);
            self.pair.cancel(side, channel);
        }
    }

    pub fn consume(&mut self, side: Side, n: usize) {
        let unread: Vec<ChannelId> = self.user(side).unread.keys().copied().collect();
        if let Some(channel) = pick(&unread, n) {
            let items = self.user(side).unread.remove(&channel).unwrap_or_default();
            let bytes: usize = items.iter().sum();
            self.pair.session(side).consumed(channel, bytes as u32);
        }
    }

    pub fn reject(&mut self, side: Side, n: usize) {
        let received: Vec<ChannelId> = self.user(side).received.keys().copied().collect();
        if !self.rejecting {
            return;
        }
        if let Some(channel) = pick(&received, n) {
            self.rejected = true;
            self.user(side).ports.remove(&channel);
            let now = self.pair.now;
            self.pair.session(side).reject_item(now, channel, "random");
        }
    }
}

fn pick<T: Clone>(from: &[T], n: usize) -> Option<T> {
    let at = n.checked_rem(from.len())?;
    Some(from[at].clone())
}

fn failure() -> Response {
    let status = Status {
        code: Code::NOT_FOUND,
        message: String::new(),
        details: Bytes::new(),
    };
    Response {
        payload: encode_error(&status, &Metadata::default()),
        error: true,
    }
}

fn without_window(frame: Frame) -> Frame {
    assert_eq!(frame.desc.method_id, Verb::HELLO);
    let mut hello = Hello::decode(&frame.payload.into_bytes()).expect("a Hello");
    hello.params.retain(|(key, _)| key != "rapace.window");
    Frame::new(frame.desc, Payload::from(Bytes::from(hello.encode())))
}

/// What the sessions report.
impl World {
    /// Looks at every event of both sides.
    pub fn look(&mut self) {
        self.pair.collect();
        for side in [Side::A, Side::B] {
            while let Some(event) = self.pair.end(side).events.pop_front() {
                self.event(side, event);
            }
            let sizes = self.pair.session(side).table_sizes();
            let user = self.user(side);
            assert_eq!(sizes.calls_out, user.calls_out.len(), "{side:?}");
            assert_eq!(sizes.ports, user.ports.len(), "{side:?}");
            assert!(sizes.calls_in >= user.calls_in.len(), "{side:?}");
            assert!(sizes.awaiting_ports <= 256);
        }
    }

    fn event(&mut self, side: Side, event: Event) {
        let line = crate::pair::text::event(&event);
        let rejected = self.rejected;
        let user = self.user(side);
        assert!(user.closed.is_none(), "after the end: {line}");
        match event {
            Event::Request {
                channel,
                method_id,
                payload,
                ..
            } => {
                assert_eq!(payload.into_bytes(), "args");
                let known = user.calls_in.insert(channel, method_id.0);
                assert!(
                    known.is_none() && !user.answered.contains(&channel),
                    "{line}"
                );
            }
            Event::RequestCancelled { channel, reason } => {
                assert!(user.calls_in.remove(&channel).is_some(), "{line}");
                assert!(rejected || !blames(&reason), "{line}");
            }
            Event::CallDone { channel, outcome } => {
                assert!(
                    user.calls_out.remove(&channel).is_some(),
                    "twice or never: {line}"
                );
                match outcome {
                    CallOutcome::Response(envelope) if envelope.status.code == Code::OK => {
                        user.answered.push(channel);
                    }
                    CallOutcome::BadResponse(_)
                    | CallOutcome::Cancelled(CancelReason::ProtocolViolation) => {
                        assert!(rejected, "an honest peer is accused: {line}");
                    }
                    _ => {}
                }
            }
            Event::PortOpened { channel, kind, .. } => {
                let port = Port {
                    kind,
                    sending: kind == PortKind::Tunnel,
                    receiving: true,
                };
                assert!(user.ports.insert(channel, port).is_none(), "{line}");
            }
            Event::Data {
                channel,
                payload,
                eos,
                has_data,
            } => {
                let port = user.ports.get(&channel);
                assert!(port.is_some_and(|port| port.receiving), "{line}");
                if has_data {
                    user.unread
                        .entry(channel)
                        .or_default()
                        .push_back(payload.len());
                    let at = user.received.entry(channel).or_default();
                    *at += 1;
                    let at = *at - 1;
                    // A prefix of what was sent, in order.
                    let (len, first) = self.user(side.other()).sent[&channel][at];
                    let bytes = payload.into_bytes();
                    assert_eq!(bytes.len(), len, "{line}");
                    assert!(bytes.iter().all(|byte| *byte == first), "{line}");
                }
                if eos {
                    let sent = &self.user(side.other()).sent;
                    let sent = sent.get(&channel).map_or(0, Vec::len);
                    let user = self.user(side);
                    let received = user.received.get(&channel).copied().unwrap_or(0);
                    assert_eq!(received, sent, "an end with a part missing: {line}");
                    self.half_ended(side, channel, false);
                }
            }
            Event::PortClosed { channel, cause } => {
                assert!(user.ports.remove(&channel).is_some(), "{line}");
                assert!(
                    rejected || !blames(&cause),
                    "an honest peer is accused: {line}"
                );
            }
            Event::Writable { channel } => {
                assert!(user.ports.contains_key(&channel), "{line}");
            }
            Event::Closed(reason) => {
                let honest = matches!(
                    reason,
                    CloseReason::LocalClose
                        | CloseReason::PeerClosed(None)
                        | CloseReason::Drained
                        | CloseReason::Link(_)
                );
                assert!(honest, "{line}");
                assert!(user.calls_out.is_empty(), "{line}");
                assert!(user.calls_in.is_empty(), "{line}");
                assert!(user.ports.is_empty(), "{line}");
                user.closed = Some(reason);
            }
            Event::Ready | Event::Uncongested | Event::GoAway { .. } | Event::Pong { .. } => {}
        }
    }

    /// Everybody finishes what is under way; nothing may be left.
    pub fn quiet(&mut self) {
        for side in [Side::A, Side::B] {
            self.pair.end(side).capacity = usize::MAX;
        }
        for round in 0.. {
            assert!(round < 100, "it never comes to rest");
            self.pair.run();
            self.look();
            let mut busy = false;
            for side in [Side::A, Side::B] {
                for n in 0..1000 {
                    let user = self.user(side);
                    let senders = user.ports.values().any(|port| port.sending);
                    if user.unread.is_empty() && user.calls_in.is_empty() && !senders {
                        break;
                    }
                    busy = true;
                    self.consume(side, 0);
                    self.eos(side, 0);
                    self.respond(side, 0, false);
                    self.look();
                    assert!(n < 999, "a user is never done");
                }
            }
            if !busy {
                break;
            }
        }
        self.pair.advance(Duration::from_secs(1));
        self.look();
        if self.ending {
            for side in [Side::A, Side::B] {
                assert!(self.user(side).closed.is_some(), "{side:?} was never told");
            }
        } else {
            self.full_again();
        }
        for side in [Side::A, Side::B] {
            let user = self.user(side);
            assert!(user.calls_out.is_empty(), "{side:?} waits for ever");
            let sizes = self.pair.session(side).table_sizes();
            let expected = TableSizes {
                awaiting_ports: sizes.awaiting_ports,
                ..TableSizes::default()
            };
            assert_eq!(sizes, expected, "{side:?} holds on to something");
        }
    }

    /// As many calls as the limits allow go through: nothing that was counted was forgotten.
    fn full_again(&mut self) {
        for side in [Side::A, Side::B] {
            for _ in 0..self.calls_max {
                self.call(side, methods::UNARY, None, false, false);
            }
            assert_eq!(self.user(side).calls_out.len(), self.calls_max as usize);
            self.pair.run();
            self.look();
            assert_eq!(
                self.user(side.other()).calls_in.len(),
                self.calls_max as usize
            );
            for _ in 0..self.calls_max {
                self.respond(side.other(), 0, false);
            }
            self.pair.run();
            self.look();
            assert!(self.user(side).calls_out.is_empty());
        }
    }
}

/// Whether it says that somebody broke the protocol.
fn blames(cause: &CancelCause) -> bool {
    matches!(cause, CancelCause::Peer(CancelReason::ProtocolViolation))
}
