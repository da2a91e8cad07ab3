//! What the protocol calls a violation, and what it does not (PROTOCOL §1, §5 [violation], §8).

use bytes::Bytes;
use rapace_core::control::Message;
use rapace_core::session::Role;
use rapace_core::{ChannelId, Descriptor, Flags, Frame, MethodId, Payload};

use crate::pair::methods::{COUNT, PIPE, SUM, UNARY};
use crate::pair::{Raw, call, config, ok, raw};

fn control_flag_missing(raw: &mut Raw) {
    let desc = Descriptor::new(ChannelId::CONTROL, MethodId(5), Flags::empty());
    raw.frame(desc, vec![0; 8]);
}

/// [violation]: the 16th brings GoAway ProtocolError and an immediate close.
#[test]
fn the_connection_goes_on_until_the_sixteenth_violation() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.events();
    for n in 0..15 {
        raw.data(101 + 2 * n, 3);
        assert_eq!(
            raw.sent(),
            [format!("Cancel #{} ProtocolViolation", 101 + 2 * n)]
        );
    }
    assert!(raw.respond(1, ok(b"")), "honest calls go on");
    assert_eq!(raw.sent(), ["Response #1 OK"]);
    raw.data(201, 3);
    assert_eq!(
        raw.sent(),
        ["GoAway ProtocolError last #1: too many protocol violations"]
    );
    assert!(raw.session.link_finished());
    assert_eq!(
        raw.events(),
        ["Closed: the peer broke the protocol: too many protocol violations"]
    );
}

/// [violation]: `max_violations` is the limit.
#[test]
fn the_number_of_violations_is_configurable() {
    let mut strict = config(Role::Acceptor);
    strict.limits.max_violations = 2;
    let mut raw = Raw::ready(strict, &raw::hello(Role::Initiator));
    raw.data(1, 3);
    assert!(raw.session.is_ready());
    raw.data(1, 3);
    assert!(!raw.session.is_ready());
}

/// [violation]: on channel 0 only counted, a second Hello too.
#[test]
fn violations_on_the_control_channel_are_only_counted() {
    let mut raw = Raw::acceptor();
    for n in 0..15 {
        if n % 2 == 0 {
            raw.hello(&raw::hello(Role::Initiator));
        } else {
            control_flag_missing(&mut raw);
        }
        assert!(raw.sent().is_empty());
    }
    control_flag_missing(&mut raw);
    assert_eq!(raw.sent().len(), 1);
    assert!(raw.session.link_finished());
}

/// [frame.flags]: CONTROL stands exactly on channel 0.
#[test]
fn a_wrong_control_flag_is_a_violation_and_ends_the_channel() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.stream_frame(1, Flags::CONTROL, 0);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    assert_eq!(
        raw.events(),
        ["Request #1 0x11", "RequestCancelled #1 Local"]
    );
}

/// [frame.flags]: an inline slot with more than 16 bytes.
#[test]
fn an_inline_slot_with_a_long_payload_is_a_violation() {
    let mut raw = Raw::acceptor();
    let send = |raw: &mut Raw, len: usize| {
        let payload = Payload::from(Bytes::from(vec![7; len]));
        let mut desc = Descriptor::new(ChannelId(1), MethodId(UNARY), Flags::DATA | Flags::EOS);
        desc.msg_id = 1;
        // As it is after `new`: inline.
        desc.payload_len = len as u32;
        raw.session.handle_frame(raw.now, Frame { desc, payload });
    };
    send(&mut raw, 17);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    assert!(raw.events().is_empty());
    send(&mut raw, 16);
    assert_eq!(raw.events(), ["Request #1 0x11"]);
}

/// [frame.flags]: DATA after EOS, for a stream, for each half of a tunnel, and after both.
#[test]
fn data_after_eos_is_a_violation() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.stream_frame(3, Flags::DATA | Flags::EOS, 1);
    raw.data(3, 1);
    assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);
    raw.eos(3);
    assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);

    raw.request(5, PIPE);
    raw.open_tunnel(7, 5, 1, 0);
    raw.eos(7);
    raw.data(7, 1);
    assert_eq!(raw.sent(), ["Cancel #7 ProtocolViolation"]);

    raw.request(9, PIPE);
    raw.open_tunnel(11, 9, 1, 0);
    raw.eos(11);
    raw.session.send_eos(ChannelId(11));
    raw.sent();
    raw.data(11, 1);
    assert_eq!(raw.sent(), ["Cancel #11 ProtocolViolation"]);
}

/// [frame.flags]: a tunnel that this side opened and ended first.
#[test]
fn data_after_eos_on_an_own_tunnel_is_a_violation() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(PIPE)).expect("opens");
    let tunnel = raw
        .session
        .open_port(raw.now, ChannelId(1), 1)
        .expect("opens");
    raw.session.send_eos(tunnel);
    raw.sent();
    raw.eos(tunnel.0);
    raw.data(tunnel.0, 1);
    assert_eq!(raw.sent(), [format!("Cancel {tunnel:?} ProtocolViolation")]);
}

/// [frame.flags]: a request without EOS, or without DATA.
#[test]
fn a_request_without_eos_is_a_violation() {
    for flags in [Flags::DATA, Flags::EOS, Flags::empty()] {
        let mut raw = Raw::acceptor();
        raw.open_call(1);
        raw.request_with(1, UNARY, |desc| desc.flags = flags);
        assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
        raw.request_with(3, UNARY, |desc| desc.flags = flags);
        assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);
        assert!(raw.events().is_empty());
        assert_eq!(raw.session.table_sizes(), Default::default());
    }
}

/// [data.unknown]: never opened is a violation, also an id that was passed over; closed is late.
#[test]
fn data_on_a_channel_never_opened_is_a_violation_and_on_a_closed_one_ignored() {
    let mut raw = Raw::acceptor();
    raw.data(7, 1);
    assert_eq!(raw.sent(), ["Cancel #7 ProtocolViolation"]);
    raw.eos(7);
    assert_eq!(raw.sent(), ["Cancel #7 ProtocolViolation"]);
    raw.data(4, 1);
    assert_eq!(raw.sent(), ["Cancel #4 ProtocolViolation"]);
    raw.request(9, UNARY);
    raw.data(5, 1);
    assert_eq!(raw.sent(), ["Cancel #5 ProtocolViolation"]);
    raw.respond(9, ok(b""));
    raw.sent();
    raw.data(9, 1);
    raw.eos(9);
    assert!(raw.sent().is_empty());
}

/// [cancel]: what was on its way when a channel was cancelled is ignored.
#[test]
fn frames_for_a_cancelled_channel_are_ignored() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.session.cancel(
        raw.now,
        ChannelId(3),
        rapace_core::session::CancelReason::ClientCancel,
    );
    assert_eq!(raw.sent(), ["Cancel #3 ClientCancel"]);
    raw.data(3, 10);
    raw.stream_frame(3, Flags::DATA | Flags::CREDITS, 10);
    raw.grant(3, 10);
    raw.eos(3);
    raw.cancel(3);
    raw.cancel(1);
    raw.cancel(1);
    raw.request(1, SUM);
    assert!(raw.sent().is_empty());
}

/// Data on a channel that is open as something else.
#[test]
fn data_on_a_call_is_a_violation() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.data(1, 3);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    raw.request(3, UNARY);
    raw.eos(3);
    assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);
}

/// A stream goes one way.
#[test]
fn data_against_the_direction_of_a_stream_is_a_violation() {
    let mut raw = Raw::acceptor();
    raw.request(1, COUNT);
    let stream = raw
        .session
        .open_port(raw.now, ChannelId(1), 101)
        .expect("opens");
    raw.sent();
    raw.data(stream.0, 1);
    assert_eq!(raw.sent(), [format!("Cancel {stream:?} ProtocolViolation")]);
    assert_eq!(
        raw.events(),
        [
            "Request #1 0x33",
            format!("PortClosed {stream:?} Local").as_str()
        ]
    );
}

/// [cancel]: of channels that were never there, and credit for them, say nothing.
#[test]
fn cancel_and_credit_for_unknown_channels_are_ignored() {
    let mut raw = Raw::acceptor();
    for channel in [1, 2, 99, 100] {
        raw.cancel(channel);
        raw.grant(channel, 5);
    }
    assert!(raw.sent().is_empty() && raw.events().is_empty());
    raw.request(1, UNARY);
    assert_eq!(raw.events(), ["Request #1 0x11"]);
}

/// A violation on the channel of an answered call ends its streams: the peer takes it for a
/// cancellation ([cancel]).
#[test]
fn reopening_an_answered_call_ends_its_streams() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.respond(1, ok(b""));
    raw.sent();
    raw.events();
    raw.open_call(1);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    assert_eq!(raw.events(), ["PortClosed #3 Local"]);
}

/// The last straw may come in the middle of a list of them.
#[test]
fn early_streams_that_turn_out_wrong_end_the_session_once() {
    let mut strict = config(Role::Acceptor);
    strict.limits.max_violations = 2;
    let mut raw = Raw::ready(strict, &raw::hello(Role::Initiator));
    raw.open_call(1);
    for port in 1..=5 {
        raw.open_stream(1 + 2 * port, 1, port);
    }
    raw.request(1, UNARY);
    let events = raw.events();
    let closed = events.iter().filter(|line| line.starts_with("Closed"));
    assert_eq!(closed.count(), 1, "{events:?}");
    assert!(events.last().expect("events").starts_with("Closed"));
    let sent = raw.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[1].starts_with("GoAway ProtocolError"));
    assert_eq!(raw.session.table_sizes(), Default::default());
}

/// Nothing is taken from a peer after the end.
#[test]
fn frames_after_the_end_are_discarded() {
    let mut raw = Raw::acceptor();
    raw.session.close(raw.now, "");
    assert_eq!(raw.sent(), ["Close #0"]);
    raw.events();
    raw.request(1, UNARY);
    raw.data(5, 1);
    let channel = ChannelId::CONTROL;
    raw.control(&Message::Close {
        channel,
        error: None,
    });
    raw.session.close(raw.now, "again");
    raw.session
        .handle_link_closed(raw.now, rapace_core::session::LinkEnd::Closed);
    assert!(raw.sent().is_empty() && raw.events().is_empty());
}
