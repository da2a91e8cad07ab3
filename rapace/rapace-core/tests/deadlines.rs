//! Deadlines (PROTOCOL §6, [deadline.wire]).

use std::time::Duration;

use rapace_core::session::{Event, OpenError, Role};
use rapace_core::{DeadlineForm, Metadata, Time};

use crate::pair::methods::{COUNT, SUM, UNARY};
use crate::pair::{Pair, Raw, Side, call, config, ok, raw};

const SECOND: Duration = Duration::from_secs(1);

fn with_deadline(method: u32, at: Time) -> rapace_core::session::OpenCall {
    rapace_core::session::OpenCall {
        deadline: Some(at),
        ..call(method)
    }
}

/// [deadline.wire]: on sockets the time left when sent, not when queued.
#[test]
fn the_time_left_counts_from_when_the_frame_leaves() {
    let mut raw = Raw::initiator();
    let at = raw.now + SECOND;
    raw.session
        .open_call(raw.now, with_deadline(UNARY, at))
        .expect("opens");
    raw.now = raw.now + SECOND / 4;
    let frames = raw.frames();
    assert_eq!(frames[0].desc.deadline_ns, 750_000_000);
}

/// [deadline.wire]: on shared memory the absolute time.
#[test]
fn with_a_common_clock_the_deadline_is_absolute() {
    let monotonic = |role| {
        let mut config = config(role);
        config.deadline_form = DeadlineForm::Monotonic;
        config
    };
    let mut raw = Raw::ready(monotonic(Role::Initiator), &raw::hello(Role::Acceptor));
    let at = raw.now + SECOND;
    raw.session
        .open_call(raw.now, with_deadline(UNARY, at))
        .expect("opens");
    raw.now = raw.now + SECOND / 4;
    assert_eq!(raw.frames()[0].desc.deadline_ns, at.as_nanos());

    let mut raw = Raw::ready(monotonic(Role::Acceptor), &raw::hello(Role::Initiator));
    raw.request_with(1, UNARY, |desc| desc.deadline_ns = at.as_nanos());
    assert_eq!(raw.session.poll_timeout(), Some(at));
}

/// [deadline.wire]: expired at the caller, nothing is sent.
#[test]
fn an_expired_deadline_fails_without_sending() {
    let mut raw = Raw::initiator();
    let refused = raw
        .session
        .open_call(raw.now, with_deadline(UNARY, raw.now));
    assert_eq!(refused.expect_err("expired").0, OpenError::DeadlineExpired);
    assert!(raw.sent().is_empty());
}

/// [deadline.wire]: at the callee, the handler is stopped and the answer sent.
#[test]
fn the_callee_stops_the_handler_and_answers() {
    let mut raw = Raw::acceptor();
    raw.request_with(1, UNARY, |desc| desc.deadline_ns = 1_000_000);
    assert_eq!(raw.events(), ["Request #1 0x11"]);
    raw.advance(Duration::from_micros(999));
    assert!(raw.events().is_empty());
    raw.advance(Duration::from_micros(1));
    assert_eq!(raw.events(), ["RequestCancelled #1 Deadline"]);
    assert_eq!(raw.sent(), ["Response #1 DEADLINE_EXCEEDED error"]);
    assert!(!raw.respond(1, ok(b"")));
    assert_eq!(raw.session.table_sizes(), Default::default());
}

/// [deadline.wire]: nothing left when it arrives; no handler is started.
#[test]
fn a_request_without_time_left_is_answered_at_once() {
    let mut raw = Raw::acceptor();
    raw.request_with(1, UNARY, |desc| desc.deadline_ns = 0);
    assert_eq!(raw.sent(), ["Response #1 DEADLINE_EXCEEDED error"]);
    assert!(raw.events().is_empty());
    raw.open_call(3);
    raw.open_stream(5, 3, 1);
    raw.request_with(3, SUM, |desc| desc.deadline_ns = 0);
    assert_eq!(
        raw.sent(),
        [
            "Response #3 DEADLINE_EXCEEDED error",
            "Cancel #5 DeadlineExceeded"
        ]
    );
}

/// [deadline.wire]: attached channels are cancelled, after the answer, which says more.
#[test]
fn the_streams_of_an_expired_call_are_cancelled() {
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.open_stream(3, 1, 1);
    raw.request_with(1, SUM, |desc| desc.deadline_ns = 1_000_000);
    raw.events();
    raw.advance(SECOND);
    assert_eq!(
        raw.sent(),
        [
            "Response #1 DEADLINE_EXCEEDED error",
            "Cancel #3 DeadlineExceeded"
        ]
    );
    assert_eq!(
        raw.events(),
        ["RequestCancelled #1 Deadline", "PortClosed #3 Deadline"]
    );
}

/// [deadline.wire]: both sides have the alarm; the caller hears of it once.
#[test]
fn both_sides_give_up_at_the_same_time() {
    let mut pair = Pair::ready();
    let at = pair.now + SECOND;
    pair.try_call(Side::A, with_deadline(COUNT, at))
        .expect("opens");
    pair.run();
    let call = rapace_core::ChannelId(1);
    let stream = pair.open_port(Side::B, call, 101);
    pair.advance(SECOND);
    assert_eq!(
        pair.events(Side::A),
        [
            format!("PortOpened {stream:?} Stream of #1 port 101"),
            format!("PortClosed {stream:?} CallEnded"),
            "CallDone #1 deadline exceeded".to_owned(),
        ]
    );
    assert_eq!(pair.events(Side::B)[1], "RequestCancelled #1 Deadline");
    pair.assert_empty();
}

/// [deadline.wire]: across hops in metadata; the earlier one counts.
#[test]
fn a_deadline_in_the_metadata_is_enforced_too() {
    for (in_desc, in_metadata, expected) in [(u64::MAX, 300, 300), (200_000_000, 300, 200)] {
        let mut raw = Raw::acceptor();
        let mut metadata = Metadata::default();
        let millis: u32 = in_metadata;
        let value = millis.to_le_bytes().to_vec();
        metadata
            .insert("rapace.deadline_remaining_ms".to_owned(), value.into())
            .expect("good metadata");
        raw.control(&rapace_core::control::Message::Open(
            rapace_core::control::OpenChannel {
                channel: rapace_core::ChannelId(1),
                kind: rapace_core::control::ChannelKind::Call,
                attach: None,
                metadata: Some(metadata),
                initial_credits: 0,
            },
        ));
        raw.request_with(1, UNARY, |desc| desc.deadline_ns = in_desc);
        let due = raw.session.poll_timeout().expect("an alarm");
        assert_eq!(due.since(raw.now), Duration::from_millis(expected));
        let Some(Event::Request { deadline, .. }) = raw.session.poll_event() else {
            panic!("no request");
        };
        assert_eq!(deadline, Some(due));
    }
}

/// [deadline.wire]: a deadline ends with the response; streams that outlive it are not bound by it.
#[test]
fn streams_outlive_the_deadline_of_an_answered_call() {
    let mut pair = Pair::ready();
    let at = pair.now + SECOND;
    let call = pair
        .try_call(Side::A, with_deadline(COUNT, at))
        .expect("opens");
    pair.run();
    let stream = pair.open_port(Side::B, call, 101);
    pair.respond(Side::B, call, b"");
    pair.advance(SECOND * 10);
    pair.events(Side::A);
    pair.send(Side::B, stream, 5).expect("sent");
    pair.run();
    assert_eq!(pair.events(Side::A), [format!("Data {stream:?} 5B")]);
    assert_eq!(pair.a.session.table_sizes().deadlines, 0);
    assert_eq!(pair.b.session.table_sizes().deadlines, 0);
}

/// The largest numbers that are no absence overflow nothing.
#[test]
fn an_endless_deadline_is_far_away() {
    let mut raw = Raw::acceptor();
    raw.request_with(1, UNARY, |desc| desc.deadline_ns = u64::MAX - 1);
    assert_eq!(raw.session.poll_timeout(), Some(Time::MAX));
    raw.request(3, UNARY);
    raw.advance(Duration::from_secs(1 << 30));
    assert_eq!(raw.events(), ["Request #1 0x11", "Request #3 0x11"]);
}

/// Alarms are disarmed with the call, on both sides.
#[test]
fn an_answered_or_cancelled_call_leaves_no_alarm() {
    let mut pair = Pair::ready();
    let at = pair.now + SECOND;
    let answered = pair
        .try_call(Side::A, with_deadline(UNARY, at))
        .expect("opens");
    let cancelled = pair
        .try_call(Side::A, with_deadline(UNARY, at))
        .expect("opens");
    pair.run();
    assert_eq!(pair.a.session.poll_timeout(), Some(at));
    pair.respond(Side::B, answered, b"");
    pair.cancel(Side::A, cancelled);
    pair.run();
    assert_eq!(pair.a.session.poll_timeout(), None);
    assert_eq!(pair.b.session.poll_timeout(), None);
}
