//! Streams and tunnels frame by frame, with and without credit.

use rapace_core::ChannelId;
use rapace_core::control::{CancelReason, ChannelKind, GoAwayReason, Message, OpenChannel, Verb};
use rapace_core::frame::Flags;

use super::peer::{Peer, string, varint, zigzags};
use super::process::Subject;

/// A small window, so that it can be used up.
const WINDOW: &[&str] = &["--limits", "window_bytes=8"];

/// The channel that the subject opens for a port.
fn take_open(peer: &mut Peer, port: u32) -> u32 {
    let open = peer.recv_until(|frame| frame.desc.method_id == Verb::OPEN_CHANNEL);
    match open.message() {
        Message::Open(OpenChannel {
            channel,
            attach: Some(attach),
            initial_credits: 0,
            ..
        }) => {
            assert_eq!(attach.port, port);
            assert_eq!(channel.0 % 2, 0, "[id.channel]");
            channel.0
        }
        other => panic!("{other:?}"),
    }
}

/// What the subject lets this side send on a channel.
fn take_grant(peer: &mut Peer, on: u32) -> u32 {
    let grant = peer.recv_until(|frame| frame.desc.method_id == Verb::GRANT_CREDITS);
    match grant.message() {
        Message::Grant { channel, bytes } => {
            assert_eq!(channel.0, on);
            bytes
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sum_without_credit_in_either_order_of_open_and_request() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Stream, 0);
    peer.item(3, &zigzags(&[40]));
    peer.request(1, "Testbed.sum", &[1]);
    peer.data(3, 0, Flags::DATA | Flags::EOS, &zigzags(&[2]));
    assert_eq!(peer.response(1).envelope().2, Some(zigzags(&[42])));

    peer.open_call(5, &[]);
    peer.request(5, "Testbed.sum", &[1]);
    peer.open_port(7, 5, 1, ChannelKind::Stream, 0);
    peer.item(7, &zigzags(&[-3]));
    peer.eos(7);
    assert_eq!(peer.response(5).envelope().2, Some(zigzags(&[-3])));
}

#[test]
fn sum_with_credit_grants_first_and_again_as_items_are_read() {
    let subject = Subject::tcp(WINDOW);
    let mut peer = Peer::with_flow(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Stream, 0);
    peer.request(1, "Testbed.sum", &[1]);
    let mut credit = take_grant(&mut peer, 3);
    assert_eq!(credit, 8);
    for _ in 0..100 {
        while credit == 0 {
            credit += take_grant(&mut peer, 3);
        }
        peer.item(3, &zigzags(&[1]));
        credit -= 1;
    }
    peer.eos(3);
    assert_eq!(peer.response(1).envelope().2, Some(zigzags(&[100])));
}

#[test]
fn more_than_the_credit_ends_the_connection() {
    let subject = Subject::tcp(&["--once", "--limits", "window_bytes=8"]);
    let mut peer = Peer::with_flow(&subject);
    peer.open_call(1, &[]);
    // No request yet, so nobody reads and nothing is granted back.
    peer.open_port(3, 1, 1, ChannelKind::Stream, 0);
    assert_eq!(take_grant(&mut peer, 3), 8);
    for _ in 0..9 {
        peer.item(3, &[2]);
    }
    match peer.recv().message() {
        Message::GoAway {
            reason: GoAwayReason::ProtocolError,
            message,
            ..
        } => {
            assert!(message.contains("credit overrun"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    peer.expect_hangup();
    assert_eq!(subject.wait().code, Some(1));
}

#[test]
fn count_without_credit_comes_at_once() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.count", &varint(300));
    let channel = take_open(&mut peer, 101);
    let mut next = 0;
    let mut answered = false;
    loop {
        let frame = peer.recv();
        if frame.desc.channel_id == ChannelId(1) {
            assert_eq!(frame.envelope().2, Some(vec![101]));
            answered = true;
            continue;
        }
        assert_eq!(
            (frame.desc.channel_id.0, frame.desc.method_id.0),
            (channel, 0),
            "[stream]"
        );
        if frame.desc.has(Flags::DATA) {
            assert_eq!(frame.payload, varint(next));
            next += 1;
        }
        if frame.desc.has(Flags::EOS) {
            break;
        }
    }
    assert!(answered, "the stream ended before the response");
    assert_eq!(next, 300);
    peer.still_answers(3);
}

#[test]
fn count_with_credit_sends_exactly_what_is_granted() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::with_flow(&subject);
    peer.call(1, "Testbed.count", &[5]);
    let channel = take_open(&mut peer, 101);
    assert_eq!(peer.response(1).envelope().2, Some(vec![101]));
    peer.expect_quiet();
    peer.grant(channel, 2);
    assert_eq!(
        (peer.recv().payload, peer.recv().payload),
        (vec![0], vec![1])
    );
    peer.expect_quiet();
    // A grant can stand on a frame, too.
    let mut desc =
        rapace_core::Descriptor::new(ChannelId(channel), rapace_core::MethodId(0), Flags::CREDITS);
    desc.credit_grant = 100;
    peer.frame(desc, &[]);
    let mut items = Vec::new();
    loop {
        let frame = peer.recv();
        items.extend(frame.payload);
        if frame.desc.has(Flags::EOS) {
            break;
        }
    }
    assert_eq!(items, [2, 3, 4]);
}

#[test]
fn relay_streams_both_ways_at_once() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Stream, 0);
    peer.request(1, "Testbed.relay", &[1]);
    let back = take_open(&mut peer, 101);
    assert_eq!(peer.response(1).envelope().2, Some(vec![101]));
    // The streams outlive the response ([stream.life]).
    for (item, upper) in [("a", "A"), ("", ""), ("süß", "SÜSS")] {
        peer.item(3, &string(item));
        let frame = peer.recv();
        assert_eq!(
            (frame.desc.channel_id.0, frame.payload),
            (back, string(upper))
        );
    }
    peer.eos(3);
    let end = peer.recv();
    assert_eq!(
        (end.desc.channel_id.0, end.desc.flags, end.payload.len()),
        (back, Flags::EOS, 0)
    );
    peer.still_answers(5);
}

#[test]
fn an_item_that_does_not_decode_cancels_its_stream_and_fails_the_call() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Stream, 0);
    peer.request(1, "Testbed.sum", &[1]);
    peer.item(3, &zigzags(&[1]));
    peer.item(3, &[0xFF; 11]);
    let (mut cancelled, mut failed) = (false, false);
    while !(cancelled && failed) {
        let frame = peer.recv();
        if frame.desc.has(Flags::CONTROL) {
            let violation = Message::Cancel {
                channel: ChannelId(3),
                reason: CancelReason::ProtocolViolation,
            };
            cancelled |= frame.message() == violation;
        } else {
            let (code, message, body) = frame.envelope();
            assert!(code != 0 && body.is_none(), "{code} {message}");
            failed = true;
        }
    }
    peer.still_answers(5);
}

#[test]
fn pipe_echoes_bytes_and_counts_them() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Tunnel, 0);
    peer.request(1, "Testbed.pipe", &[1]);
    let sent: Vec<u8> = (0..100_000_u32).map(|at| (at / 3) as u8).collect();
    for part in sent.chunks(30_000) {
        peer.item(3, part);
    }
    peer.eos(3);
    let mut echoed = Vec::new();
    let mut ended = false;
    let mut total = None;
    while !ended || total.is_none() {
        let frame = peer.recv();
        if frame.desc.channel_id == ChannelId(3) {
            assert!(!ended, "data after EOS");
            echoed.extend(frame.payload);
            ended = frame.desc.has(Flags::EOS);
        } else {
            total = frame.envelope().2;
        }
    }
    assert!(echoed == sent, "{} bytes came back", echoed.len());
    assert_eq!(total, Some(varint(100_000)));
    peer.still_answers(5);
}

#[test]
fn pipe_with_credit_stays_within_what_the_opener_allows() {
    let subject = Subject::tcp(WINDOW);
    let mut peer = Peer::with_flow(&subject);
    peer.open_call(1, &[]);
    peer.open_port(3, 1, 1, ChannelKind::Tunnel, 3);
    peer.request(1, "Testbed.pipe", &[1]);
    assert_eq!(take_grant(&mut peer, 3), 8);
    peer.item(3, b"abcdefg");
    let mut echoed = Vec::new();
    let data = |peer: &mut Peer| peer.recv_until(|frame| frame.desc.has(Flags::DATA)).payload;
    while echoed.len() < 3 {
        echoed.extend(data(&mut peer));
    }
    assert_eq!(
        echoed, b"abc",
        "[credit]: initial_credits is all that the other side may send"
    );
    peer.grant(3, 4);
    while echoed.len() < 7 {
        echoed.extend(data(&mut peer));
    }
    assert_eq!(echoed, b"abcdefg");
    peer.eos(3);
    assert_eq!(peer.response(1).envelope().2, Some(vec![7]));
}

#[test]
fn ports_that_were_never_declared_are_violations() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.open_call(1, &[]);
    peer.request(1, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
    for (channel, call, port, kind) in [
        // The method has no port; the kind is wrong; there was no such call.
        (3, 1, 1, ChannelKind::Stream),
        (5, 1, 1, ChannelKind::Tunnel),
        (7, 99, 1, ChannelKind::Stream),
    ] {
        peer.open_port(channel, call, port, kind, 0);
        let violation = Message::Cancel {
            channel: ChannelId(channel),
            reason: CancelReason::ProtocolViolation,
        };
        assert_eq!(peer.recv().message(), violation);
    }
    peer.still_answers(9);
}

#[test]
fn another_port_number_in_the_arguments_is_an_invalid_argument() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.sum", &[2]);
    assert_eq!(peer.response(1).envelope().0, 3, "[call.port]");
}

#[test]
fn cancelling_a_call_cancels_its_streams() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::with_flow(&subject);
    peer.call(1, "Testbed.count", &[200, 1]);
    let channel = take_open(&mut peer, 101);
    peer.response(1);
    peer.grant(channel, 1);
    assert_eq!(peer.recv().payload, [0]);
    peer.control(&Message::Cancel {
        channel: ChannelId(1),
        reason: CancelReason::ClientCancel,
    });
    peer.grant(channel, 1000);
    peer.still_answers(3);
    peer.expect_quiet();
}
