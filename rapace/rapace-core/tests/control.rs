//! Control messages and the opening of channels (PROTOCOL §5).

use std::time::Duration;

use bytes::Bytes;
use rapace_core::control::{ChannelKind, Direction, Message, OpenChannel};
use rapace_core::session::Role;
use rapace_core::{ChannelId, Descriptor, Flags, MethodId};

use crate::pair::methods::{COUNT, MAYBE, PIPE, RELAY, SUM, UNARY};
use crate::pair::raw::attach;
use crate::pair::{Raw, config, ok, raw};

/// [ctl.unknown]
#[test]
fn reserved_verbs_end_the_connection_and_higher_ones_are_ignored() {
    let mut raw = Raw::acceptor();
    for verb in [100, 101, u32::MAX] {
        raw.verb(verb, vec![0xFF; 70_000]);
    }
    assert!(raw.sent().is_empty());
    assert!(raw.session.is_ready());
    for verb in [8, 50, 99] {
        let mut raw = Raw::acceptor();
        raw.request(5, UNARY);
        raw.verb(verb, Bytes::new());
        let what = format!("unknown control verb {verb}");
        assert_eq!(
            raw.sent(),
            [format!("GoAway ProtocolError last #5: {what}")]
        );
        assert!(raw.session.link_finished(), "closed at once");
        let events = raw.events();
        assert_eq!(
            events[2],
            format!("Closed: the peer broke the protocol: {what}")
        );
    }
}

/// [ctl.bad]
#[test]
fn a_known_verb_that_does_not_decode_ends_the_connection() {
    for verb in 1..=7 {
        for payload in [&b""[..], &[0xFF; 12], &[0x80; 20], &[9, 9, 9, 9, 9, 9, 9]] {
            let mut raw = Raw::acceptor();
            raw.verb(verb, payload.to_vec());
            let sent = raw.sent();
            assert_eq!(sent.len(), 1, "verb {verb}");
            assert!(sent[0].starts_with("GoAway ProtocolError"), "{sent:?}");
            assert!(raw.session.link_finished());
        }
    }
}

/// [enc.strict]: longer varints than needed are fine, trailing bytes are not.
#[test]
fn control_payloads_are_decoded_strictly() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.verb(3, vec![0x81, 0x80, 0x80, 0x80, 0x00, 0x80, 0x00]);
    assert_eq!(
        raw.events()[1],
        "RequestCancelled #1 by the peer: ClientCancel"
    );
    raw.verb(3, vec![1, 0, 0]);
    assert!(!raw.session.is_ready());
}

/// [ctl.bad]: CloseChannel elsewhere than on channel 0 is a hint.
#[test]
fn close_on_another_channel_is_a_hint() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    let channel = ChannelId(1);
    raw.control(&Message::Close {
        channel,
        error: None,
    });
    assert!(raw.sent().is_empty());
    assert!(raw.respond(1, ok(b"")));
}

/// §5: CloseChannel on channel 0 ends the connection.
#[test]
fn close_ends_the_connection_with_its_reason() {
    for (error, expected) in [
        (None, "Closed: closed by the peer"),
        (
            Some("tired".to_owned()),
            "Closed: closed by the peer: tired",
        ),
    ] {
        let mut raw = Raw::acceptor();
        raw.request(1, UNARY);
        raw.events();
        let channel = ChannelId::CONTROL;
        raw.control(&Message::Close { channel, error });
        let events = raw.events();
        assert!(events[0].starts_with("RequestCancelled #1 lost"));
        assert_eq!(events[1], expected);
        assert!(raw.session.link_finished());
    }
}

/// [ctl.small]
#[test]
fn a_control_payload_over_64_kib_ends_the_connection() {
    let mut raw = Raw::acceptor();
    raw.verb(7, vec![0; 64 * 1024 + 1]);
    assert_eq!(
        raw.sent(),
        ["GoAway ProtocolError last #0: control message longer than 64 KiB"]
    );
}

/// [ctl.small]: in OpenChannel it costs the channel, not the connection.
#[test]
fn bad_metadata_costs_the_channel() {
    let many = (0..129).map(|n| (format!("k{n}"), String::new())).collect();
    let pair = |key: &str, len| vec![(key.to_owned(), "v".repeat(len))];
    let bad: [Vec<(String, String)>; 5] = [
        many,
        pair("Upper", 0),
        pair(&"k".repeat(257), 0),
        pair("k", 16 * 1024 + 1),
        [pair("k", 1), pair("k", 1)].concat(),
    ];
    for entries in bad {
        let mut raw = Raw::acceptor();
        // By hand, because the encoder has no way to say it.
        let mut payload = vec![1, 0, 0];
        let varint = |mut value: usize, out: &mut Vec<u8>| {
            while value >= 0x80 {
                out.push(value as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        };
        varint(entries.len(), &mut payload);
        for (key, value) in &entries {
            for text in [key, value] {
                varint(text.len(), &mut payload);
                payload.extend_from_slice(text.as_bytes());
            }
        }
        payload.push(0);
        raw.verb(1, payload);
        assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
        // The channel was cancelled, so its request is ignored.
        raw.request(1, UNARY);
        assert!(raw.sent().is_empty() && raw.events().is_empty());
    }
}

/// One open that is refused with ProtocolViolation, after a `call` of `method` on channel 1.
#[track_caller]
fn refused(method: u32, open: impl Fn(&mut Raw), channel: u32) {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.request(1, method);
    raw.events();
    open(&mut raw);
    assert_eq!(raw.sent(), [format!("Cancel #{channel} ProtocolViolation")]);
    assert!(raw.events().is_empty());
}

/// [open.check]
#[test]
fn channels_that_may_not_be_opened_are_refused() {
    // Wrong parity.
    refused(UNARY, |raw| raw.open_call(2), 2);
    // Stream and tunnel without attach, a call with one.
    refused(SUM, |raw| raw.open(3, ChannelKind::Stream, None, 0), 3);
    refused(PIPE, |raw| raw.open(3, ChannelKind::Tunnel, None, 0), 3);
    let to_server = attach(1, 1, Direction::ClientToServer);
    refused(
        SUM,
        move |raw| raw.open(3, ChannelKind::Call, to_server, 0),
        3,
    );
    // Calls that were never possible: not opened yet, passed over, of the other side, itself,
    // the control channel.
    for call in [5, 99, 2, 4, 3, 0] {
        refused(SUM, move |raw| raw.open_stream(3, call, 1), 3);
    }
    refused(SUM, |raw| raw.open_stream(9, 5, 1), 9);
    // Undeclared.
    refused(UNARY, |raw| raw.open_stream(3, 1, 1), 3);
    refused(SUM, |raw| raw.open_stream(3, 1, 2), 3);
    refused(SUM, |raw| raw.open_stream(3, 1, 0), 3);
    // A response port is for the callee to open.
    refused(COUNT, |raw| raw.open_stream(3, 1, 101), 3);
    // Wrong kind, wrong direction.
    refused(SUM, |raw| raw.open_tunnel(3, 1, 1, 0), 3);
    refused(PIPE, |raw| raw.open_stream(3, 1, 1), 3);
    for direction in [Direction::ServerToClient, Direction::Bidir] {
        let wrong = attach(1, 1, direction);
        refused(
            SUM,
            move |raw| raw.open(3, ChannelKind::Stream, wrong, 0),
            3,
        );
    }
    let one_way = attach(1, 1, Direction::ClientToServer);
    refused(
        PIPE,
        move |raw| raw.open(3, ChannelKind::Tunnel, one_way, 0),
        3,
    );
}

/// [open.check]: reused ids; re-opening a live one ends it.
#[test]
fn ids_are_never_used_twice() {
    let mut raw = Raw::acceptor();
    raw.request(5, UNARY);
    raw.open_call(5);
    assert_eq!(raw.sent(), ["Cancel #5 ProtocolViolation"]);
    assert_eq!(
        raw.events(),
        ["Request #5 0x11", "RequestCancelled #5 Local"]
    );
    for reused in [5, 3, 1] {
        raw.open_call(reused);
        assert_eq!(raw.sent(), [format!("Cancel #{reused} ProtocolViolation")]);
    }
    assert!(raw.events().is_empty());
}

/// [open.check]: a live channel of this side.
#[test]
fn opening_a_live_channel_of_this_side_ends_it() {
    let mut raw = Raw::initiator();
    raw.session
        .open_call(raw.now, crate::pair::call(UNARY))
        .expect("opens");
    raw.sent();
    raw.open_call(1);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    let events = raw.events();
    assert!(
        events[0].starts_with("CallDone #1 bad response"),
        "{events:?}"
    );
}

/// [open.check]
#[test]
fn a_port_is_opened_once() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.events();
    raw.open_stream(5, 1, 1);
    assert_eq!(raw.sent(), ["Cancel #5 ProtocolViolation"]);
    // Also after it has ended.
    raw.eos(3);
    raw.open_stream(7, 1, 1);
    assert_eq!(raw.sent(), ["Cancel #7 ProtocolViolation"]);
    // The first one was not touched.
    assert_eq!(raw.events(), ["Eos #3"]);
}

/// [open.check], for the ports of a call of this side.
#[test]
fn response_ports_are_checked_too() {
    let mut raw = Raw::initiator();
    raw.session
        .open_call(raw.now, crate::pair::call(RELAY))
        .expect("opens");
    raw.sent();
    raw.open_stream(2, 1, 1);
    raw.open_stream(4, 1, 102);
    raw.open_stream(6, 3, 101);
    raw.open_tunnel(8, 1, 101, 0);
    assert_eq!(
        raw.sent(),
        [2, 4, 6, 8].map(|id| format!("Cancel #{id} ProtocolViolation"))
    );
    raw.open_stream(10, 1, 101);
    assert!(raw.sent().is_empty());
    assert_eq!(raw.events(), ["PortOpened #10 Stream of #1 port 101"]);
    raw.open_stream(12, 1, 101);
    assert_eq!(raw.sent(), ["Cancel #12 ProtocolViolation"]);
}

/// [open.check]: over max_channels, counted per opener.
#[test]
fn channels_over_the_limit_are_refused_until_one_ends() {
    let mut few = config(Role::Acceptor);
    few.limits.max_channels = 2;
    let mut raw = Raw::ready(few, &raw::hello(Role::Initiator));
    raw.open_call(1);
    raw.request(3, MAYBE);
    raw.open_call(5);
    raw.request(7, UNARY);
    raw.open_stream(9, 3, 1);
    assert_eq!(
        raw.sent(),
        [5, 7, 9].map(|id| format!("Cancel #{id} ResourceExhausted"))
    );
    // This side's own channels are counted apart.
    let now = raw.now;
    raw.session
        .open_port(now, ChannelId(3), 101)
        .expect("opens");
    raw.session
        .open_call(now, crate::pair::call(UNARY))
        .expect("opens");
    let third = raw.session.open_call(now, crate::pair::call(UNARY));
    assert!(third.is_err());
    raw.cancel(1);
    raw.sent();
    raw.events();
    raw.request(11, UNARY);
    assert_eq!(raw.events(), ["Request #11 0x11"]);
}

/// [open.check]: what was refused is used up, and what follows on it is ignored.
#[test]
fn frames_for_a_refused_channel_are_ignored() {
    let mut few = config(Role::Acceptor);
    few.limits.max_channels = 1;
    let mut raw = Raw::ready(few, &raw::hello(Role::Initiator));
    raw.open_call(1);
    raw.open_call(3);
    raw.sent();
    raw.request(3, UNARY);
    raw.data(3, 5);
    raw.cancel(3);
    raw.grant(3, 5);
    assert!(raw.sent().is_empty() && raw.events().is_empty());
}

/// An OpenChannel after its call has ended lost a race. The declared port of a call that was
/// answered with OK may still come, once.
#[test]
fn a_stream_of_a_finished_call_is_refused_without_blame() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.respond(1, ok(b""));
    raw.sent();
    raw.events();
    raw.open_tunnel(3, 1, 1, 0);
    assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);
    raw.open_stream(5, 1, 1);
    assert_eq!(raw.events(), ["PortOpened #5 Stream of #1 port 1"]);
    for channel in (7..).step_by(2).take(40) {
        raw.open_stream(channel, 1, 1);
        assert_eq!(raw.sent(), [format!("Cancel #{channel} ClientCancel")]);
        raw.data(channel, 5);
    }
    assert!(raw.session.is_ready());
}

/// [frame.flags], [hello.bits]: unknown and reserved flags are ignored.
#[test]
fn unknown_flags_are_ignored() {
    let mut raw = Raw::acceptor();
    let unknown = Flags(0x8 | 0x80 | 0x8000_0000 | Flags::HIGH_PRIORITY.0);
    raw.request_with(1, UNARY, |desc| desc.flags = desc.flags | unknown);
    assert_eq!(raw.events(), ["Request #1 0x11"]);
    let desc = Descriptor::new(ChannelId::CONTROL, MethodId(3), Flags::CONTROL | unknown);
    let cancel = Message::Cancel {
        channel: ChannelId(1),
        reason: rapace_core::session::CancelReason::ClientCancel,
    };
    raw.frame(desc, cancel.encode());
    assert_eq!(
        raw.events(),
        ["RequestCancelled #1 by the peer: ClientCancel"]
    );
    // The session sends none of them.
    raw.request(3, UNARY);
    raw.respond(3, ok(b""));
    assert!(
        raw.frames()
            .iter()
            .all(|frame| frame.desc.flags.0 & unknown.0 == 0)
    );
}

/// [frame.desc]: message ids rise from 1.
#[test]
fn message_ids_rise_from_one() {
    let mut raw = Raw::new(config(Role::Initiator));
    raw.hello(&raw::hello(Role::Acceptor));
    for _ in 0..3 {
        raw.session
            .open_call(raw.now, crate::pair::call(UNARY))
            .expect("opens");
        raw.session.ping(raw.now, [0; 8]);
    }
    let ids: Vec<u64> = raw.frames().iter().map(|frame| frame.desc.msg_id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
}

/// A peer that sends and never reads is cut off before its answers fill the memory.
#[test]
fn answers_that_are_not_read_are_bounded() {
    let mut small = config(Role::Acceptor);
    small.limits.max_queued_replies = 100;
    small.limits.max_pending_calls = 10;
    let mut raw = Raw::ready(small, &raw::hello(Role::Initiator));
    for _ in 0..100 {
        raw.verb(5, vec![0; 8]);
    }
    assert!(raw.session.is_ready());
    assert_eq!(raw.sent().len(), 100);
    for n in 0..101 {
        raw.request(1 + 2 * n, 0xBAD);
    }
    assert_eq!(
        raw.sent(),
        ["GoAway ProtocolError last #201: the answers to what was sent are not being read"]
    );
    raw.advance(Duration::from_secs(100));
    assert!(raw.session.link_finished());
}

/// A hostile list of metadata cannot be opened as an endless list of ports either: while the
/// method is not known, port numbers are bounded.
#[test]
fn early_ports_are_bounded_by_their_numbers() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.open_stream(3, 1, 100);
    raw.control(&Message::Open(OpenChannel {
        channel: ChannelId(5),
        kind: ChannelKind::Stream,
        attach: attach(1, 1000, Direction::ClientToServer),
        metadata: None,
        initial_credits: 0,
    }));
    assert_eq!(raw.sent(), ["Cancel #5 ProtocolViolation"]);
}
