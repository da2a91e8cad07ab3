//! Calls (PROTOCOL §6) and the identity of channels (§3).

use rapace_core::control::{CancelReason, Features, GoAwayReason, Message};
use rapace_core::envelope::Code;
use rapace_core::session::{CallOutcome, Event, LinkEnd, OpenError, Response, Role, TableSizes};
use rapace_core::{ChannelId, Flags, Metadata, Payload};

use crate::pair::methods::{COUNT, SUM, UNARY};
use crate::pair::{Pair, Raw, Side, call, config, ok, raw};

fn metadata(key: &str, value: &'static [u8]) -> Metadata {
    let mut metadata = Metadata::default();
    metadata
        .insert(key.to_owned(), value.into())
        .expect("good metadata");
    metadata
}

/// [call.flow]
#[test]
fn a_call_reaches_its_handler_and_its_answer_the_caller() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, UNARY);
    pair.run();
    assert_eq!(pair.events(Side::B), ["Request #1 0x11"]);
    assert!(pair.respond(Side::B, call, b"result"));
    pair.run();
    let Some(Event::CallDone {
        outcome: CallOutcome::Response(envelope),
        ..
    }) = pair.a.events.pop_front()
    else {
        panic!("no answer");
    };
    let body = envelope.body.expect("a body").into_bytes();
    assert_eq!(body, "result");
    pair.assert_empty();
}

/// [id.channel]
#[test]
fn both_sides_call_at_once_on_channels_of_their_own_parity() {
    let mut pair = Pair::ready();
    for expected in [1, 3, 5] {
        assert_eq!(pair.call(Side::A, UNARY), ChannelId(expected));
        assert_eq!(pair.call(Side::B, UNARY), ChannelId(expected + 1));
    }
    pair.run();
    assert_eq!(
        pair.events(Side::A),
        ["Request #2 0x11", "Request #4 0x11", "Request #6 0x11"]
    );
    assert_eq!(
        pair.events(Side::B),
        ["Request #1 0x11", "Request #3 0x11", "Request #5 0x11"]
    );
}

/// [call.flow]: the response echoes msg_id and method.
#[test]
fn a_response_echoes_what_it_answers() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.request_with(1, UNARY, |desc| desc.msg_id = 77);
    raw.respond(1, ok(b""));
    let frames = raw.frames();
    let desc = frames[0].desc;
    assert_eq!((desc.msg_id, desc.method_id.0), (77, UNARY));
    assert_eq!(desc.flags, Flags::DATA | Flags::EOS | Flags::RESPONSE);
}

/// [call.implicit]
#[test]
fn without_metadata_the_request_opens_its_channel() {
    let mut raw = Raw::initiator();
    let opened = raw.session.open_call(raw.now, call(UNARY));
    assert_eq!(opened.expect("opens"), ChannelId(1));
    assert_eq!(raw.sent(), ["Request #1 0x11 4B"]);
}

/// [call.implicit], [call.flow]: Open stands right before its request.
#[test]
fn with_metadata_or_without_the_feature_open_comes_first() {
    let mut raw = Raw::initiator();
    let mut with = call(UNARY);
    with.metadata = metadata("key", b"value");
    raw.session.open_call(raw.now, with).expect("opens");
    assert_eq!(
        raw.sent(),
        ["Open #1 Call 1 metadata", "Request #1 0x11 4B"]
    );

    let mut plain = raw::hello(Role::Acceptor);
    plain.supported = Features::required();
    let mut raw = Raw::ready(config(Role::Initiator), &plain);
    raw.session.open_call(raw.now, call(UNARY)).expect("opens");
    assert_eq!(raw.sent(), ["Open #1 Call", "Request #1 0x11 4B"]);
}

/// [call.implicit]: not without the feature on both sides ([data.unknown]).
#[test]
fn an_implicit_open_without_the_feature_is_a_violation() {
    let mut plain = raw::hello(Role::Initiator);
    plain.supported = Features::required();
    let mut raw = Raw::ready(config(Role::Acceptor), &plain);
    raw.request(1, UNARY);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    assert!(raw.events().is_empty());
}

#[test]
fn metadata_reaches_the_handler_in_order() {
    let mut pair = Pair::ready();
    let mut with = call(UNARY);
    with.metadata = metadata("b", b"1");
    with.metadata
        .insert("a".to_owned(), "2".into())
        .expect("good");
    pair.try_call(Side::A, with).expect("opens");
    pair.run();
    let Some(Event::Request { metadata, .. }) = pair.b.events.pop_front() else {
        panic!("no request");
    };
    let entries: Vec<_> = metadata
        .iter()
        .map(|(key, value)| (key, &value[..]))
        .collect();
    assert_eq!(entries, [("b", &b"1"[..]), ("a", b"2")]);
}

/// Row 1 of the field's failures, the part of the session: an unknown method is answered at once.
#[test]
fn row_01_an_unknown_method_is_answered_at_once() {
    let mut pair = Pair::ready();
    pair.call(Side::A, 0xBAD);
    pair.run();
    assert!(pair.events(Side::B).is_empty());
    assert_eq!(pair.events(Side::A), ["CallDone #1 UNIMPLEMENTED"]);
    pair.assert_empty();
}

/// [call.limits], at the callee: opened channels without a request do not count.
#[test]
fn calls_over_the_limit_are_answered_with_resource_exhausted() {
    let mut config = config(Role::Acceptor);
    config.limits.max_pending_calls = 2;
    let mut raw = Raw::ready(config, &raw::hello(Role::Initiator));
    raw.open_call(1);
    for channel in [3, 5, 7] {
        raw.request(channel, UNARY);
    }
    assert_eq!(raw.events(), ["Request #3 0x11", "Request #5 0x11"]);
    assert_eq!(raw.sent(), ["Response #7 RESOURCE_EXHAUSTED error"]);
    raw.respond(3, ok(b""));
    raw.request(9, UNARY);
    assert_eq!(raw.events(), ["Request #9 0x11"]);
}

/// [call.limits], [hello.limits]: the caller knows the limit and does not send.
#[test]
fn a_caller_keeps_within_the_limits_of_both_sides() {
    let mut strict = config(Role::Acceptor);
    strict.limits.max_pending_calls = 2;
    strict.limits.max_payload_size = 1000;
    let mut pair = Pair::with(config(Role::Initiator), strict);
    let mut large = call(UNARY);
    large.payload = Payload::from(bytes::Bytes::from(vec![0; 1001]));
    let refused = pair.a.session.open_call(pair.now, large);
    let (why, _) = refused.expect_err("too large");
    assert_eq!(
        why,
        OpenError::TooLarge {
            bytes: 1001,
            limit: 1000
        }
    );
    let first = pair.call(Side::A, UNARY);
    pair.call(Side::A, UNARY);
    let third = pair.try_call(Side::A, call(UNARY));
    assert_eq!(third, Err("TooManyCalls { limit: 2 }".to_owned()));
    pair.run();
    pair.respond(Side::B, first, b"");
    pair.run();
    pair.call(Side::A, UNARY);
}

/// [call.limits]
#[test]
fn a_response_that_is_too_large_becomes_an_error_that_says_so() {
    let mut strict = config(Role::Initiator);
    strict.limits.max_payload_size = 100;
    let mut pair = Pair::with(strict, config(Role::Acceptor));
    let call = pair.call(Side::A, UNARY);
    pair.run();
    pair.respond(Side::B, call, &[0; 101]);
    pair.run();
    let Some(Event::CallDone {
        outcome: CallOutcome::Response(envelope),
        ..
    }) = pair.a.events.pop_front()
    else {
        panic!("no answer");
    };
    assert_eq!(envelope.status.code, Code::RESOURCE_EXHAUSTED);
    assert!(
        envelope.status.message.contains("100"),
        "{}",
        envelope.status.message
    );
}

/// [call.oneway]
#[test]
fn a_oneway_call_gets_no_response() {
    let mut pair = Pair::ready();
    let mut oneway = call(UNARY);
    oneway.oneway = true;
    pair.try_call(Side::A, oneway).expect("opens");
    pair.run();
    assert_eq!(pair.events(Side::B), ["Request #1 0x11 oneway"]);
    let sent = pair.b.frames;
    assert!(pair.respond(Side::B, ChannelId(1), b""));
    pair.run();
    assert_eq!(pair.b.frames, sent);
    assert!(pair.events(Side::A).is_empty());
    pair.assert_empty();
}

/// [call.oneway]: not even an error is sent, and early streams do not stay behind.
#[test]
fn a_oneway_call_that_fails_leaves_nothing() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.open_stream(3, 1, 1);
    raw.request_with(1, 0xBAD, |desc| desc.flags = desc.flags | Flags::NO_REPLY);
    assert_eq!(raw.sent(), ["Cancel #3 ClientCancel"]);
    raw.events();
    assert_eq!(raw.session.table_sizes(), TableSizes::default());
}

/// [call.envelope]: the ERROR flag stands exactly beside an error.
#[test]
fn an_error_flag_that_contradicts_the_status_is_no_answer() {
    for (flags, payload) in [
        (Flags::ERROR, ok(b"").payload),
        (Flags::empty(), error_payload()),
    ] {
        let mut raw = Raw::initiator();
        raw.session.open_call(raw.now, call(UNARY)).expect("opens");
        raw.response_with(1, UNARY, flags, payload.into_bytes());
        let events = raw.events();
        assert!(
            events[0].starts_with("CallDone #1 bad response"),
            "{events:?}"
        );
        assert_eq!(raw.session.table_sizes().calls_out, 0);
    }
}

fn error_payload() -> Payload {
    let status = rapace_core::envelope::Status {
        code: Code::NOT_FOUND,
        message: "gone".to_owned(),
        details: bytes::Bytes::new(),
    };
    rapace_core::envelope::encode_error(&status, &Metadata::default())
}

/// [call.envelope]
#[test]
fn an_error_status_and_its_message_arrive() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, UNARY);
    pair.run();
    let response = Response {
        payload: error_payload(),
        error: true,
    };
    let now = pair.now;
    assert!(pair.b.session.respond(now, call, response));
    pair.run();
    assert_eq!(pair.events(Side::A), ["CallDone #1 NOT_FOUND"]);
}

/// [call.envelope]: a body that is missing beside OK, bytes that are no envelope.
#[test]
fn an_answer_that_is_no_envelope_ends_the_call() {
    for payload in [&[0, 0, 0, 0, 0][..], b"\xff", b""] {
        let mut raw = Raw::initiator();
        raw.session.open_call(raw.now, call(UNARY)).expect("opens");
        raw.response_with(1, UNARY, Flags::empty(), payload.to_vec().into());
        let events = raw.events();
        assert!(
            events[0].starts_with("CallDone #1 bad response"),
            "{events:?}"
        );
    }
}

/// [call.once]
#[test]
fn a_second_request_on_a_live_call_is_a_violation_and_on_a_finished_one_ignored() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.request(1, UNARY);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
    assert_eq!(
        raw.events(),
        ["Request #1 0x11", "RequestCancelled #1 Local"]
    );
    raw.request(3, UNARY);
    raw.respond(3, ok(b""));
    raw.sent();
    raw.request(3, UNARY);
    assert!(raw.sent().is_empty());
    assert_eq!(raw.events(), ["Request #3 0x11"]);
}

/// [call.once]
#[test]
fn a_response_that_lost_a_race_is_ignored() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(UNARY)).expect("opens");
    raw.response(1, UNARY);
    assert_eq!(raw.events(), ["CallDone #1 OK"]);
    raw.sent();
    raw.response(1, UNARY);
    raw.response(999, UNARY);
    raw.response(2, UNARY);
    assert!(raw.sent().is_empty() && raw.events().is_empty());
}

/// [call.once]: a response on a channel that is open as something else.
#[test]
fn a_response_on_a_call_of_the_sender_is_a_violation() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.response(1, UNARY);
    assert_eq!(raw.sent(), ["Cancel #1 ProtocolViolation"]);
}

/// [call.lost], row 2 of the field's failures.
#[test]
fn row_02_when_the_link_is_cut_every_call_stream_and_handler_ends_with_the_reason() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, UNARY);
    let sum = pair.call(Side::A, SUM);
    let stream = pair.open_port(Side::A, sum, 1);
    let count = pair.call(Side::A, COUNT);
    pair.run();
    let items = pair.open_port(Side::B, count, 101);
    pair.respond(Side::B, count, b"");
    pair.run();
    pair.events(Side::A);
    pair.events(Side::B);
    pair.cut(&LinkEnd::Died("signal 9".into()));
    let why = "lost: peer died: signal 9";
    assert_eq!(
        pair.events(Side::A),
        [
            format!("CallDone {call:?} {why}"),
            format!("CallDone {sum:?} {why}"),
            format!("PortClosed {items:?} {why}"),
            format!("PortClosed {stream:?} {why}"),
            "Closed: peer died: signal 9".to_owned(),
        ]
    );
    assert_eq!(
        pair.events(Side::B),
        [
            format!("RequestCancelled {call:?} {why}"),
            format!("RequestCancelled {sum:?} {why}"),
            format!("PortClosed {items:?} {why}"),
            format!("PortClosed {stream:?} {why}"),
            "Closed: peer died: signal 9".to_owned(),
        ]
    );
    pair.assert_empty();
    let refused = pair.try_call(Side::A, crate::pair::call(UNARY));
    assert!(refused.expect_err("over").contains("signal 9"));
}

/// Row 6 of the field's failures.
#[test]
fn row_06_state_tables_are_flat_over_a_million_calls() {
    let mut pair = Pair::ready();
    let mut calls = std::collections::VecDeque::new();
    for _ in 0..1_000_000 / 8 {
        for _ in 0..8 {
            calls.push_back(pair.call(Side::A, UNARY));
        }
        pair.run();
        pair.b.events.clear();
        while let Some(call) = calls.pop_front() {
            pair.respond(Side::B, call, b"ok");
        }
        pair.run();
        assert_eq!(pair.a.events.len(), 8);
        pair.a.events.clear();
    }
    pair.assert_empty();
    // Ids are never used twice.
    assert_eq!(pair.call(Side::A, UNARY), ChannelId(2_000_001));
}

/// Row 20 of the field's failures: whatever races with the response, one outcome is reported.
#[test]
fn row_20_exactly_one_outcome_of_response_cancel_deadline_and_teardown() {
    use std::time::Duration;
    type Act = fn(&mut Pair, ChannelId);
    let acts: [Act; 6] = [
        |pair, call| {
            pair.respond(Side::B, call, b"");
        },
        |pair, call| pair.cancel(Side::B, call),
        |pair, _| {
            pair.now = pair.now + Duration::from_millis(10);
            pair.fire();
        },
        |pair, _| pair.a.session.close(pair.now, ""),
        |pair, _| {
            pair.b
                .session
                .go_away(pair.now, GoAwayReason::Shutdown, "bye");
        },
        |pair, _| pair.cut(&LinkEnd::Closed),
    ];
    for first in acts {
        for second in acts {
            for third in acts {
                let mut pair = Pair::ready();
                let mut open = call(UNARY);
                open.deadline = Some(pair.now + Duration::from_millis(10));
                let call = pair.try_call(Side::A, open).expect("opens");
                pair.run();
                assert_eq!(pair.events(Side::B), ["Request #1 0x11"]);
                for act in [first, second, third] {
                    act(&mut pair, call);
                    pair.transmit(Side::B, usize::MAX);
                    pair.transmit(Side::A, usize::MAX);
                }
                pair.run();
                pair.advance(Duration::from_mins(1));
                let events = pair.events(Side::A);
                let done = events.iter().filter(|line| line.starts_with("CallDone"));
                assert_eq!(done.count(), 1, "{events:?}");
                let events = pair.events(Side::B);
                let stopped = events.iter().filter(|line| line.starts_with("RequestCan"));
                assert!(stopped.count() <= 1, "{events:?}");
                assert_eq!(pair.a.session.table_sizes().calls_out, 0);
                assert_eq!(pair.b.session.table_sizes().calls_in, 0);
            }
        }
    }
}

/// [cancel]: dropping a call's future sends it, and no answer comes.
#[test]
fn row_05_a_dropped_call_cancels_its_handler_and_gets_no_response() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, UNARY);
    pair.run();
    pair.cancel(Side::A, call);
    pair.cancel(Side::A, call);
    pair.run();
    assert_eq!(
        pair.events(Side::B),
        [
            "Request #1 0x11",
            "RequestCancelled #1 by the peer: ClientCancel"
        ]
    );
    assert!(!pair.respond(Side::B, call, b""));
    pair.run();
    assert!(pair.events(Side::A).is_empty());
    pair.assert_empty();
}

/// [cancel]: by the callee.
#[test]
fn a_call_that_the_callee_cancels_ends_with_its_reason() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, UNARY);
    pair.run();
    pair.b
        .session
        .cancel(pair.now, call, CancelReason::PermissionDenied);
    pair.run();
    assert_eq!(
        pair.events(Side::A),
        ["CallDone #1 cancelled PermissionDenied"]
    );
    pair.assert_empty();
}

#[test]
fn calls_before_the_handshake_are_refused_and_given_back() {
    let mut raw = Raw::new(config(Role::Initiator));
    let refused = raw.session.open_call(raw.now, call(UNARY));
    let (why, given_back) = refused.expect_err("not ready");
    assert_eq!(why, OpenError::NotReady);
    assert_eq!(given_back.payload.into_bytes(), "args");
}

/// Metadata that a peer with a small payload limit could not take.
#[test]
fn metadata_beyond_the_peers_payload_limit_is_refused_here() {
    let mut strict = raw::hello(Role::Acceptor);
    strict.limits.max_payload_size = 64;
    let mut raw = Raw::ready(config(Role::Initiator), &strict);
    let mut with = call(UNARY);
    with.metadata = metadata("key", &[0; 64]);
    let (why, _) = raw.session.open_call(raw.now, with).expect_err("too long");
    assert!(matches!(why, OpenError::BadMetadata(_)), "{why:?}");
    assert!(raw.sent().is_empty());
}

/// [call.lost]: a request that never left is told apart from one that the peer may have seen.
#[test]
fn a_call_that_was_still_queued_when_the_link_ended_was_never_sent() {
    for ends in [LinkEnd::Closed, LinkEnd::Io("no more memory".into())] {
        let mut pair = Pair::ready();
        pair.call(Side::A, UNARY);
        pair.run();
        pair.call(Side::A, UNARY);
        pair.call(Side::A, SUM);
        let now = pair.now;
        pair.a.session.handle_link_closed(now, ends.clone());
        pair.collect();
        assert!(!pair.a.session.has_transmit());
        let ended = format!("Closed: {ends}");
        assert_eq!(
            pair.events(Side::A),
            [
                format!("CallDone #1 lost: {ends}"),
                format!("CallDone #3 never sent: {ends}"),
                format!("CallDone #5 never sent: {ends}"),
                ended,
            ]
        );
    }
    let open = |raw: &mut Raw| raw.session.open_call(raw.now, call(UNARY)).expect("opened");
    // The same when the peer says that it is done.
    let mut raw = Raw::initiator();
    open(&mut raw);
    raw.sent();
    open(&mut raw);
    raw.control(&Message::Close {
        channel: ChannelId::CONTROL,
        error: None,
    });
    assert_eq!(
        raw.events(),
        [
            "CallDone #1 lost: closed by the peer",
            "CallDone #3 never sent: closed by the peer",
            "Closed: closed by the peer",
        ]
    );
    assert!(raw.sent().is_empty(), "nobody reads it");
    // A request that leaves before our own Close may be seen.
    let mut raw = Raw::initiator();
    open(&mut raw);
    raw.session.close(raw.now, "");
    assert_eq!(raw.events()[0], "CallDone #1 lost: closed by this side");
    assert_eq!(raw.sent(), ["Request #1 0x11 4B", "Close #0"]);
}
