//! Violations, verbs, pings, GoAway.

use rapace_core::control::{CancelReason, ChannelKind, GoAwayReason, Message};
use rapace_core::frame::{Descriptor, Flags};
use rapace_core::{ChannelId, MethodId};

use super::peer::{Peer, REQUEST, method, zigzags};
use super::process::Subject;

fn expect_protocol_error(peer: &mut Peer) {
    match peer.recv().message() {
        Message::GoAway {
            reason: GoAwayReason::ProtocolError,
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    peer.expect_hangup();
}

fn violation(channel: u32) -> Message {
    Message::Cancel {
        channel: ChannelId(channel),
        reason: CancelReason::ProtocolViolation,
    }
}

#[test]
fn the_sixteenth_violation_ends_the_connection() {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    for at in 0..15 {
        // [data.unknown]: channels that were never opened.
        let channel = 101 + 2 * at;
        peer.item(channel, &[1]);
        assert_eq!(peer.recv().message(), violation(channel));
    }
    peer.still_answers(1);
    peer.item(201, &[1]);
    expect_protocol_error(&mut peer);
    let outcome = subject.wait();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("connection ended: "), "{outcome:?}");
}

#[test]
fn a_flood_does_not_hide_what_the_subject_said_last() {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    for at in 0..15 {
        peer.item(101 + 2 * at, &[1]);
    }
    for at in 0..15 {
        assert_eq!(peer.recv().message(), violation(101 + 2 * at));
    }
    // All of it arrives together, and most of it is never read.
    let mut flood = Vec::new();
    for _ in 0..500 {
        flood.extend([64]);
        flood.extend(Descriptor::new(ChannelId(999), MethodId(0), Flags::DATA).to_bytes());
    }
    peer.bytes(&flood);
    expect_protocol_error(&mut peer);
    assert_eq!(subject.wait().code, Some(1));
}

#[test]
fn what_the_protocol_calls_a_violation_is_answered_on_its_channel() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    let mut expect = |start: &dyn Fn(&mut Peer), channel| {
        start(&mut peer);
        assert_eq!(peer.recv().message(), violation(channel));
    };
    // [open.check]: parity, reuse, attach, and [ctl.small].
    expect(&|peer| peer.open_call(2, &[]), 2);
    expect(&|peer| peer.open_port(3, 0, 1, ChannelKind::Call, 0), 3);
    expect(
        &|peer| {
            peer.open_call(5, &[]);
            peer.open_call(5, &[]);
        },
        5,
    );
    // [frame.flags]: CONTROL beside channel 0, a request without EOS.
    expect(
        &|peer| {
            peer.data(7, 0, Flags::CONTROL, &[]);
        },
        7,
    );
    expect(
        &|peer| {
            peer.open_call(9, &[]);
            peer.data(9, method("Testbed.add"), Flags::DATA, &zigzags(&[1, 2]));
        },
        9,
    );
    // [call.once]: a second request while the first is served.
    expect(
        &|peer| {
            peer.call(11, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
            peer.request(11, "Testbed.nap", &[1]);
        },
        11,
    );
    // IMPLICIT_OPEN needs both sides.
    expect(
        &|peer| {
            peer.request(13, "Testbed.add", &zigzags(&[1, 2]));
        },
        13,
    );
    peer.still_answers(15);
}

#[test]
fn violations_on_channel_0_are_counted_without_an_answer() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    for _ in 0..15 {
        // A second Hello, and a control frame without its flag.
        peer.verb(MethodId(0), &[]);
    }
    peer.still_answers(1);
    let desc = Descriptor::new(ChannelId(0), MethodId(5), Flags::empty());
    peer.frame(desc, &[0; 8]);
    expect_protocol_error(&mut peer);
}

#[test]
fn reserved_verbs_end_the_connection_and_high_ones_are_ignored() {
    for verb in [8, 50, 99] {
        let subject = Subject::tcp(&["--once"]);
        let mut peer = Peer::minimal(&subject);
        peer.verb(MethodId(100), &[1, 2, 3]);
        peer.verb(MethodId(u32::MAX), &[0; 30]);
        peer.still_answers(1);
        peer.verb(MethodId(verb), &[]);
        expect_protocol_error(&mut peer);
        assert_eq!(subject.wait().code, Some(1));
    }
}

#[test]
fn known_verbs_that_do_not_decode_end_the_connection() {
    for (verb, payload) in [
        (1, &[1][..]),
        (2, &[0, 2]),
        (3, &[1, 6]),
        (4, &[1]),
        (5, &[0; 7]),
        (7, &[4, 0, 0, 0]),
        (4, &[1, 1, 1]),
    ] {
        let subject = Subject::tcp(&[]);
        let mut peer = Peer::minimal(&subject);
        peer.verb(MethodId(verb), payload);
        expect_protocol_error(&mut peer);
    }
}

#[test]
fn a_ping_is_answered_with_its_bytes_and_id_when_both_sides_ping() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::with_flow(&subject);
    let ping = Message::Ping(*b"12345678");
    let msg_id = peer.control(&ping);
    let pong = peer.recv();
    assert_eq!(pong.message(), Message::Pong(*b"12345678"));
    assert_eq!(pong.desc.msg_id, msg_id);

    let mut peer = Peer::minimal(&subject);
    peer.control(&ping);
    peer.expect_quiet();
    peer.still_answers(1);
}

#[test]
fn closing_another_channel_is_a_hint() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.control(&Message::Close {
        channel: ChannelId(7),
        error: Some("no matter".to_owned()),
    });
    peer.still_answers(1);
}

#[test]
fn closing_with_an_error_is_no_clean_end() {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    peer.control(&Message::Close {
        channel: ChannelId(0),
        error: Some("had enough".to_owned()),
    });
    peer.expect_hangup();
    let outcome = subject.wait();
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("had enough"), "{outcome:?}");
}

#[test]
fn a_subject_that_is_told_to_stop_drains() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &[0xF4, 0x03]);
    peer.still_answers(3);
    subject.signal("TERM");
    match peer.recv().message() {
        Message::GoAway {
            reason: GoAwayReason::Shutdown,
            last_channel,
            ..
        } => {
            assert_eq!(last_channel, ChannelId(3));
        }
        other => panic!("{other:?}"),
    }
    peer.open_call(5, &[]);
    peer.data(5, method("Testbed.add"), REQUEST, &zigzags(&[1, 1]));
    let refused = Message::Cancel {
        channel: ChannelId(5),
        reason: CancelReason::ResourceExhausted,
    };
    assert_eq!(peer.recv().message(), refused);
    assert_eq!(peer.recv().envelope().2, Some(vec![0xF4, 0x03]));
    let closed = Message::Close {
        channel: ChannelId(0),
        error: None,
    };
    assert_eq!(peer.recv().message(), closed);
    peer.expect_hangup();
    assert_eq!(subject.wait().code, Some(0));
}

#[test]
fn draining_ends_with_the_grace() {
    let subject = Subject::tcp(&["--limits", "grace_ms=200"]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
    peer.still_answers(3);
    subject.signal("INT");
    peer.recv_until(|frame| matches!(frame.message(), Message::Close { .. }));
    peer.expect_hangup();
    subject.wait();
}

#[test]
fn a_peer_that_goes_away_still_gets_its_answers() {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &[50]);
    peer.control(&Message::GoAway {
        reason: GoAwayReason::Shutdown,
        last_channel: ChannelId(0),
        message: "bye".to_owned(),
        metadata: Vec::new(),
    });
    assert_eq!(peer.response(1).envelope().2, Some(vec![50]));
    peer.still_answers(3);
    peer.close();
    assert_eq!(subject.wait().code, Some(0));
}

#[test]
fn a_peer_that_goes_away_and_stays_is_left_after_the_grace() {
    let subject = Subject::tcp(&["--once", "--limits", "grace_ms=200"]);
    let mut peer = Peer::minimal(&subject);
    peer.control(&Message::GoAway {
        reason: GoAwayReason::Maintenance,
        last_channel: ChannelId(0),
        message: String::new(),
        metadata: Vec::new(),
    });
    peer.recv_until(|frame| matches!(frame.message(), Message::Close { .. }));
    peer.expect_hangup();
    assert_eq!(subject.wait().code, Some(0));
}
