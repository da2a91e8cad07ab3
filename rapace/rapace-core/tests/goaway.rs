//! Going away (PROTOCOL §8, [goaway]).

use std::time::Duration;

use rapace_core::ChannelId;
use rapace_core::control::{GoAwayReason, Message};
use rapace_core::session::LinkEnd;

use crate::pair::methods::{RELAY, SUM, UNARY};
use crate::pair::{Pair, Raw, Side, call, ok};

const BYE: GoAwayReason = GoAwayReason::Shutdown;

/// [goaway]: finish the peer's channels ≤ last, refuse later ones, close when drained.
#[test]
fn calls_under_way_are_finished_and_later_ones_refused() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.open_call(3);
    raw.events();
    raw.session.go_away(raw.now, BYE, "update");
    assert_eq!(raw.sent(), ["GoAway Shutdown last #3: update"]);
    raw.request(3, UNARY);
    raw.request(5, UNARY);
    raw.open_call(7);
    raw.open_stream(9, 7, 1);
    assert_eq!(raw.events(), ["Request #3 0x11"]);
    assert_eq!(
        raw.sent(),
        [5, 7, 9].map(|id| format!("Cancel #{id} ResourceExhausted"))
    );
    raw.respond(1, ok(b""));
    assert_eq!(raw.sent(), ["Response #1 OK"]);
    raw.respond(3, ok(b""));
    assert_eq!(raw.sent(), ["Response #3 OK", "Close #0"]);
    assert_eq!(raw.events(), ["Closed: drained"]);
}

/// [goaway]: no calls are opened any more, by either side.
#[test]
fn neither_side_opens_calls_after_a_goaway() {
    let mut pair = Pair::ready();
    pair.call(Side::A, UNARY);
    pair.run();
    pair.a.session.go_away(pair.now, BYE, "");
    pair.a.session.go_away(pair.now, BYE, "");
    assert_eq!(
        pair.try_call(Side::A, call(UNARY)),
        Err("Draining".to_owned())
    );
    pair.run();
    assert_eq!(
        pair.events(Side::B),
        ["Request #1 0x11", "GoAway Shutdown: "]
    );
    assert_eq!(
        pair.try_call(Side::B, call(UNARY)),
        Err("Draining".to_owned())
    );
    pair.respond(Side::B, ChannelId(1), b"");
    pair.run();
    assert_eq!(pair.events(Side::A), ["CallDone #1 OK", "Closed: drained"]);
    assert_eq!(pair.events(Side::B), ["Closed: drained"]);
}

/// [goaway]: streams of live calls may still be opened, by both, and they are waited for.
#[test]
fn streams_of_live_calls_may_still_be_opened_by_both() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, RELAY);
    pair.run();
    pair.b.session.go_away(pair.now, BYE, "");
    pair.run();
    let up = pair.open_port(Side::A, call, 1);
    let down = pair.open_port(Side::B, call, 101);
    pair.respond(Side::B, call, b"");
    pair.run();
    assert!(pair.a.session.is_ready());
    pair.send(Side::A, up, 1).expect("sent");
    pair.a.session.send_eos(up);
    pair.run();
    assert!(pair.b.session.is_ready());
    pair.b.session.send_eos(down);
    pair.run();
    let events = pair.events(Side::B);
    assert_eq!(events.last().expect("events"), "Closed: drained");
    let events = pair.events(Side::A);
    assert_eq!(events[events.len() - 2..], ["Eos #2", "Closed: drained"]);
}

/// [goaway]: calls on their way when it was sent are refused, which is safe to repeat.
#[test]
fn calls_that_crossed_the_goaway_are_refused() {
    let mut pair = Pair::ready();
    let busy = pair.call(Side::B, UNARY);
    pair.run();
    let now = pair.now;
    pair.b.session.go_away(now, BYE, "restart");
    let crossed = pair.call(Side::A, SUM);
    pair.open_port(Side::A, crossed, 1);
    pair.run();
    assert_eq!(
        pair.events(Side::A),
        [
            "Request #2 0x11",
            "GoAway Shutdown: restart",
            "PortClosed #3 CallEnded",
            "CallDone #1 refused: restart"
        ]
    );
    assert!(pair.events(Side::B).is_empty());
    pair.respond(Side::A, busy, b"");
    pair.run();
    pair.assert_empty();
    assert!(pair.b.session.link_finished());
}

/// [goaway]: by its cancellation alone too, if the peer's GoAway came before.
#[test]
fn a_call_refused_after_the_announcement_is_safe_to_repeat() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(UNARY)).expect("opens");
    raw.control(&go_away(BYE, 1));
    raw.control(&go_away(BYE, 0));
    assert_eq!(
        raw.events(),
        [
            "GoAway Shutdown: why",
            "GoAway Shutdown: why",
            "CallDone #1 refused: why"
        ]
    );
}

fn go_away(reason: GoAwayReason, last: u32) -> Message {
    Message::GoAway {
        reason,
        last_channel: ChannelId(last),
        message: "why".to_owned(),
        metadata: Vec::new(),
    }
}

/// [goaway]: after the grace what is left is lost.
#[test]
fn the_grace_ends() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.session.go_away(raw.now, BYE, "");
    raw.sent();
    raw.events();
    raw.advance(Duration::from_secs(30) - Duration::from_nanos(1));
    assert!(raw.session.is_ready());
    raw.advance(Duration::from_nanos(1));
    assert_eq!(raw.sent(), ["Close #0"]);
    assert_eq!(
        raw.events(),
        ["RequestCancelled #1 lost: drained", "Closed: drained"]
    );
}

/// [goaway]: whatever the last call ended by: answer, cancellation, deadline, an unknown method.
#[test]
fn a_drained_session_closes_at_once_however_its_last_call_ended() {
    type End = fn(&mut Raw);
    let ends: [End; 4] = [
        |raw| {
            raw.respond(1, ok(b""));
        },
        |raw| raw.cancel(1),
        |raw| raw.advance(Duration::from_secs(1)),
        |raw| {
            raw.session.cancel(
                raw.now,
                ChannelId(1),
                rapace_core::session::CancelReason::ClientCancel,
            );
        },
    ];
    for end in ends {
        let mut raw = Raw::acceptor();
        raw.request_with(1, UNARY, |desc| desc.deadline_ns = 1_000_000_000);
        raw.session.go_away(raw.now, BYE, "");
        end(&mut raw);
        assert_eq!(raw.sent().last().expect("frames"), "Close #0");
    }
    let mut raw = Raw::acceptor();
    raw.open_call(1);
    raw.session.go_away(raw.now, BYE, "");
    raw.request(1, 0xBAD);
    assert_eq!(
        raw.sent()[1..],
        ["Response #1 UNIMPLEMENTED error", "Close #0"]
    );
    // A call of this side.
    let mut raw = Raw::initiator();
    let mut open = call(UNARY);
    open.deadline = Some(raw.now + Duration::from_secs(1));
    raw.session.open_call(raw.now, open).expect("opens");
    raw.session.go_away(raw.now, BYE, "");
    raw.advance(Duration::from_secs(1));
    assert_eq!(raw.sent().last().expect("frames"), "Close #0");
}

/// An idle session closes at once; before the handshake too.
#[test]
fn an_idle_session_closes_at_once() {
    let mut raw = Raw::acceptor();
    raw.session.go_away(raw.now, BYE, "bye");
    assert_eq!(raw.sent(), ["GoAway Shutdown last #0: bye", "Close #0"]);
    let mut raw = Raw::new(crate::pair::config(rapace_core::session::Role::Acceptor));
    raw.session.go_away(raw.now, BYE, "bye");
    assert_eq!(raw.sent(), ["Hello", "Close #0 error: bye"]);
}

/// A peer that accuses this side and closes: the accusation is the reason.
#[test]
fn an_accusation_is_the_reason_of_the_end() {
    let expected = "Closed: the peer went away (ProtocolError): why";
    let mut raw = Raw::acceptor();
    raw.control(&go_away(GoAwayReason::ProtocolError, 0));
    raw.session.handle_link_closed(raw.now, LinkEnd::Closed);
    assert_eq!(raw.events()[1], expected);
    let mut raw = Raw::acceptor();
    raw.control(&go_away(GoAwayReason::ProtocolError, 0));
    let channel = ChannelId::CONTROL;
    raw.control(&Message::Close {
        channel,
        error: None,
    });
    assert_eq!(raw.events()[1], expected);
}

/// Reasons are cut to what any peer can take.
#[test]
fn an_endless_reason_is_cut() {
    let mut raw = Raw::acceptor();
    raw.request(1, UNARY);
    raw.session.go_away(raw.now, BYE, &"ü".repeat(100_000));
    let frames = raw.frames();
    assert!(frames[0].payload.len() < 1100);
}
