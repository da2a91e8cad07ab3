//! Streams and tunnels (PROTOCOL §7, without credit).

use rapace_core::session::{CancelReason, Role};
use rapace_core::{ChannelId, Flags, Payload};

use crate::pair::methods::{COUNT, MAYBE, PIPE, RELAY, SUM, UNARY};
use crate::pair::{Pair, Raw, Side, call, config, ok, raw};

/// [port], [stream]: request ports are opened by the caller, response ports by the callee.
#[test]
fn items_flow_both_ways_and_end_with_eos() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    let up = pair.open_port(Side::A, call, 1);
    pair.send(Side::A, up, 3).expect("sent");
    pair.run();
    let down = pair.open_port(Side::B, call, 101);
    pair.send(Side::B, down, 0).expect("sent");
    pair.a.session.send_eos(up);
    let last = Payload::copy_from_slice(b"last");
    pair.b.session.send_data(down, last, true).expect("sent");
    pair.respond(Side::B, call, b"");
    pair.run();
    assert_eq!(
        pair.events(Side::B),
        [
            "Request #1 0x44",
            "PortOpened #3 Stream of #1 port 1",
            "Data #3 3B",
            "Eos #3"
        ]
    );
    assert_eq!(
        pair.events(Side::A),
        [
            "PortOpened #2 Stream of #1 port 101",
            "Data #2 0B",
            "Data #2 4B eos",
            "CallDone #1 OK"
        ]
    );
    assert!(pair.send(Side::A, up, 1).is_err());
    assert!(!pair.a.session.send_eos(up));
    pair.assert_empty();
}

/// [stream]: method_id 0; a frame with EOS and no DATA ends the stream.
#[test]
fn stream_frames_look_as_the_protocol_says() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(SUM)).expect("opens");
    let stream = raw
        .session
        .open_port(raw.now, ChannelId(1), 1)
        .expect("opens");
    let item = |bytes: &[u8]| Payload::copy_from_slice(bytes);
    raw.session
        .send_data(stream, item(b""), false)
        .expect("sent");
    raw.session
        .send_data(stream, item(b"a"), false)
        .expect("sent");
    raw.session.send_eos(stream);
    assert_eq!(
        raw.sent(),
        [
            "Request #1 0x22 4B",
            "Open #3 Stream of #1 port 1 ClientToServer",
            "Data #3 0B",
            "Data #3 1B",
            "Eos #3"
        ]
    );
}

/// [stream.order], row 9 of the field's failures.
#[test]
fn row_09_data_before_its_open_is_refused_and_streams_may_come_before_their_request() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.data(3, 5);
    assert_eq!(raw.sent(), ["Cancel #3 ProtocolViolation"]);
    assert!(raw.events().is_empty());
    raw.open_stream(3, 1, 1);
    raw.data(3, 5);
    raw.request(1, SUM);
    assert_eq!(
        raw.events(),
        [
            "PortOpened #3 Stream of #1 port 1",
            "Data #3 5B",
            "Request #1 0x22"
        ]
    );
    assert!(raw.sent().is_empty());
}

/// [open.check]: streams that came early are checked when the request names the method.
#[test]
fn early_streams_that_the_method_does_not_declare_are_refused() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.open_stream(3, 1, 1);
    raw.open_stream(5, 1, 2);
    raw.request(1, SUM);
    assert_eq!(raw.sent(), ["Cancel #5 ProtocolViolation"]);
    raw.open_call(7);
    raw.open_stream(9, 7, 1);
    raw.request(7, PIPE);
    assert_eq!(
        raw.sent(),
        ["Cancel #9 ProtocolViolation", "Response #7 CANCELLED error"],
        "its required port is lost"
    );
}

/// [stream.life]: a required stream that was lost before its request fails the call.
#[test]
fn a_required_stream_lost_before_the_request_fails_the_call() {
    for (method, fails) in [(SUM, true), (MAYBE, false)] {
        let mut raw = Raw::acceptor();
        raw.open_call(1);
        raw.open_stream(3, 1, 1);
        raw.cancel(3);
        raw.request(1, method);
        let expected: &[&str] = if fails {
            &["Response #1 CANCELLED error"]
        } else {
            &[]
        };
        assert_eq!(raw.sent(), expected);
        assert_eq!(raw.session.table_sizes().calls_in, usize::from(!fails));
    }
}

/// [stream.life]: one that had ended cleanly is not lost.
#[test]
fn a_stream_that_ended_before_the_request_is_whole() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.open_stream(3, 1, 1);
    raw.data(3, 5);
    raw.eos(3);
    raw.request(1, SUM);
    assert!(raw.sent().is_empty());
    assert_eq!(raw.events().last().expect("events"), "Request #1 0x22");
}

/// [stream.life]: a stream may outlive the response.
#[test]
fn streams_outlive_the_response() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    let up = pair.open_port(Side::A, call, 1);
    pair.run();
    let down = pair.open_port(Side::B, call, 101);
    pair.respond(Side::B, call, b"");
    pair.run();
    pair.events(Side::A);
    pair.events(Side::B);
    pair.send(Side::A, up, 1).expect("sent");
    pair.send(Side::B, down, 2).expect("sent");
    pair.run();
    assert_eq!(pair.events(Side::B), ["Data #3 1B"]);
    assert_eq!(pair.events(Side::A), ["Data #2 2B"]);
    pair.a.session.send_eos(up);
    pair.b.session.send_eos(down);
    pair.run();
    pair.assert_empty();
}

/// [stream.life], [stream.order]: a peer may open its response streams after its response, once.
#[test]
fn a_response_stream_may_be_opened_after_the_response() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(COUNT)).expect("opens");
    raw.response(1, COUNT);
    raw.sent();
    assert_eq!(raw.session.table_sizes().awaiting_ports, 1);
    raw.open_tunnel(2, 1, 101, 0);
    assert_eq!(raw.sent(), ["Cancel #2 ProtocolViolation"]);
    raw.open_stream(4, 1, 101);
    raw.data(4, 5);
    assert_eq!(raw.session.table_sizes().awaiting_ports, 0);
    raw.open_stream(6, 1, 101);
    assert_eq!(raw.sent(), ["Cancel #6 ClientCancel"]);
    assert_eq!(
        raw.events(),
        [
            "CallDone #1 OK",
            "PortOpened #4 Stream of #1 port 101",
            "Data #4 5B"
        ]
    );
}

/// Calls that wait for late streams are bounded.
#[test]
fn answered_calls_without_their_streams_are_forgotten_in_the_end() {
    let mut raw = Raw::initiator();
    for n in 0..1000 {
        let call = raw.session.open_call(raw.now, call(MAYBE)).expect("opens");
        raw.response(call.0, MAYBE);
        raw.sent();
        raw.events();
        assert!(raw.session.table_sizes().awaiting_ports <= 256, "{n}");
    }
    let last = ChannelId(1999);
    raw.session
        .cancel(raw.now, last, CancelReason::ClientCancel);
    assert_eq!(raw.session.table_sizes().awaiting_ports, 255);
}

/// [cancel]: cancelling an answered call cancels its streams, on both sides.
#[test]
fn cancelling_an_answered_call_cancels_its_streams() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, COUNT);
    pair.run();
    pair.open_port(Side::B, call, 101);
    pair.respond(Side::B, call, b"");
    pair.run();
    pair.events(Side::A);
    pair.events(Side::B);
    pair.cancel(Side::A, call);
    pair.run();
    assert_eq!(pair.events(Side::A), ["PortClosed #2 CallEnded"]);
    assert_eq!(
        pair.events(Side::B),
        ["PortClosed #2 by the peer: ClientCancel"]
    );
    pair.assert_empty();
}

/// [stream.life]: cancelling a call cancels its channels.
#[test]
fn cancelling_a_call_cancels_its_streams() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    let up = pair.open_port(Side::A, call, 1);
    pair.run();
    pair.open_port(Side::B, call, 101);
    pair.cancel(Side::A, call);
    assert_eq!(pair.send(Side::A, up, 1), Err("Closed".to_owned()));
    pair.run();
    let events = pair.events(Side::B);
    assert_eq!(
        events[2..],
        [
            "PortClosed #2 CallEnded",
            "PortClosed #3 CallEnded",
            "RequestCancelled #1 by the peer: ClientCancel"
        ]
    );
    pair.assert_empty();
}

/// [stream.life]: cancelling a channel ends that port only, and a required port's loss fails the
/// call, whichever side lost it.
#[test]
fn a_cancelled_stream_fails_the_call_only_if_it_was_required() {
    let mut pair = Pair::ready();
    let needs = pair.call(Side::A, SUM);
    let stream = pair.open_port(Side::A, needs, 1);
    let may = pair.call(Side::A, MAYBE);
    let optional = pair.open_port(Side::A, may, 1);
    pair.run();
    pair.cancel(Side::A, stream);
    pair.cancel(Side::A, optional);
    pair.run();
    assert_eq!(pair.events(Side::A), ["CallDone #1 CANCELLED"]);
    let events = pair.events(Side::B);
    assert_eq!(
        events[4..],
        [
            "PortClosed #3 by the peer: ClientCancel",
            "RequestCancelled #1 by the peer: ClientCancel",
            "PortClosed #7 by the peer: ClientCancel"
        ]
    );
    assert!(pair.respond(Side::B, may, b""));

    let needs = pair.call(Side::A, COUNT);
    pair.run();
    let stream = pair.open_port(Side::B, needs, 101);
    pair.run();
    pair.events(Side::A);
    pair.b
        .session
        .cancel(pair.now, stream, CancelReason::PermissionDenied);
    pair.run();
    assert_eq!(
        pair.events(Side::A),
        [
            format!("PortClosed {stream:?} by the peer: PermissionDenied"),
            format!("CallDone {needs:?} cancelled PermissionDenied"),
        ]
    );
    pair.advance(std::time::Duration::from_secs(1));
    assert_eq!(pair.b.session.table_sizes(), Default::default());
}

/// A reader that has seen enough does not fail the call that fills its stream.
#[test]
fn a_reader_may_stop_reading() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, SUM);
    let stream = pair.open_port(Side::A, call, 1);
    pair.run();
    pair.cancel(Side::B, stream);
    pair.run();
    assert_eq!(
        pair.events(Side::A),
        ["PortClosed #3 by the peer: ClientCancel"]
    );
    assert!(pair.respond(Side::B, call, b""));
    pair.run();
    assert_eq!(pair.events(Side::A), ["CallDone #1 OK"]);
    pair.assert_empty();
}

/// [stream]: at the callee.
#[test]
fn an_item_that_does_not_decode_fails_the_call() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.data(3, 5);
    raw.events();
    raw.session.reject_item(raw.now, ChannelId(3), "cut off");
    assert_eq!(
        raw.sent(),
        [
            "Cancel #3 ProtocolViolation",
            "Response #1 INVALID_ARGUMENT error"
        ]
    );
    assert_eq!(raw.events(), ["RequestCancelled #1 Local"]);
    assert_eq!(raw.session.table_sizes(), Default::default());
}

/// [stream]: the last item, which carried EOS: the channel is gone, the call is not.
#[test]
fn a_last_item_that_does_not_decode_fails_the_call_too() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.stream_frame(3, Flags::DATA | Flags::EOS, 5);
    raw.events();
    raw.session.reject_item(raw.now, ChannelId(3), "cut off");
    assert_eq!(
        raw.sent(),
        [
            "Cancel #3 ProtocolViolation",
            "Response #1 INVALID_ARGUMENT error"
        ]
    );
}

/// [stream]: at the caller.
#[test]
fn an_item_of_a_response_that_does_not_decode_fails_the_call() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(COUNT)).expect("opens");
    raw.open_stream(2, 1, 101);
    raw.data(2, 5);
    raw.sent();
    raw.events();
    raw.session.reject_item(raw.now, ChannelId(2), "cut off");
    assert_eq!(
        raw.sent(),
        ["Cancel #2 ProtocolViolation", "Cancel #1 ProtocolViolation"]
    );
    let events = raw.events();
    assert!(
        events[0].starts_with("CallDone #1 bad response"),
        "{events:?}"
    );
}

/// [tunnel]: EOS closes one half.
#[test]
fn a_tunnel_is_closed_half_by_half() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, PIPE);
    let tunnel = pair.open_port(Side::A, call, 1);
    pair.run();
    pair.send(Side::A, tunnel, 10).expect("sent");
    pair.a.session.send_eos(tunnel);
    pair.run();
    pair.send(Side::B, tunnel, 20).expect("sent");
    pair.run();
    assert_eq!(
        pair.events(Side::B)[1..],
        ["PortOpened #3 Tunnel of #1 port 1", "Data #3 10B", "Eos #3"]
    );
    assert_eq!(pair.events(Side::A), ["Data #3 20B"]);
    pair.b.session.send_eos(tunnel);
    pair.respond(Side::B, call, b"");
    pair.run();
    assert_eq!(pair.events(Side::A), ["Eos #3", "CallDone #1 OK"]);
    pair.assert_empty();
}

/// An answer that fails the call ends its streams on both sides, and says why it failed.
#[test]
fn an_error_answer_arrives_before_its_streams_end() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    pair.open_port(Side::A, call, 1);
    pair.run();
    pair.open_port(Side::B, call, 101);
    pair.run();
    pair.events(Side::A);
    let status = rapace_core::envelope::Status {
        code: rapace_core::envelope::Code::NOT_FOUND,
        message: String::new(),
        details: bytes::Bytes::new(),
    };
    let response = rapace_core::session::Response {
        payload: rapace_core::envelope::encode_error(&status, &Default::default()),
        error: true,
    };
    let now = pair.now;
    pair.b.session.respond(now, call, response);
    pair.run();
    let events = pair.events(Side::A);
    assert_eq!(events.last().expect("events"), "CallDone #1 NOT_FOUND");
    pair.assert_empty();
}

/// A port that the method does not declare, one that is open, one of a call that has ended.
#[test]
fn ports_that_cannot_be_opened_are_refused_here() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    let open = |pair: &mut Pair, port| {
        let now = pair.now;
        let opened = pair.a.session.open_port(now, call, port);
        opened.map_err(|why| format!("{why:?}"))
    };
    assert!(open(&mut pair, 1).is_ok());
    assert_eq!(open(&mut pair, 1), Err("AlreadyOpen".to_owned()));
    assert_eq!(open(&mut pair, 2), Err("NotDeclared".to_owned()));
    assert_eq!(open(&mut pair, 101), Err("NotDeclared".to_owned()));
    pair.cancel(Side::A, call);
    assert_eq!(open(&mut pair, 1), Err("CallGone".to_owned()));
}

/// Items longer than any frame of the peer.
#[test]
fn an_item_over_the_payload_limit_is_given_back() {
    let mut strict = raw::hello(Role::Acceptor);
    strict.limits.max_payload_size = 100;
    let mut raw = Raw::ready(config(Role::Initiator), &strict);
    raw.session.open_call(raw.now, call(SUM)).expect("opens");
    let stream = raw
        .session
        .open_port(raw.now, ChannelId(1), 1)
        .expect("opens");
    raw.sent();
    let item = Payload::from(bytes::Bytes::from(vec![0; 101]));
    let (why, item) = raw
        .session
        .send_data(stream, item, false)
        .expect_err("too large");
    assert_eq!(format!("{why:?}"), "TooLarge");
    assert_eq!(item.len(), 101);
    assert!(raw.sent().is_empty());
    raw.response(1, SUM);
    assert!(raw.session.send_eos(stream), "the stream itself goes on");
    assert!(!raw.respond(1, ok(b"")));
    raw.session.open_call(raw.now, call(UNARY)).expect("opens");
}
