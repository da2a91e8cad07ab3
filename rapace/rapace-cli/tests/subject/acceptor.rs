//! Calls of a peer with minimal features, byte for byte.

use std::time::{Duration, Instant};

use rapace_core::control::{CancelReason, Message};
use rapace_core::frame::{Descriptor, Flags};
use rapace_core::{ChannelId, MethodId};

use super::peer::{Peer, REQUEST, RESPONSE, method, string, zigzags};
use super::process::Subject;

/// 60,000 as a varint: longer than any test waits.
const A_MINUTE: [u8; 3] = [0xE0, 0xD4, 0x03];

#[test]
fn the_response_of_add_has_exactly_these_bytes() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    let msg_id = peer.call(1, "Testbed.add", &zigzags(&[1, -2]));
    let response = peer.recv();

    let mut expected = vec![64 + 7];
    expected.extend(msg_id.to_le_bytes());
    expected.extend(1_u32.to_le_bytes());
    expected.extend(method("Testbed.add").to_le_bytes());
    expected.extend([0xFF; 4]);
    expected.extend([0; 8]);
    expected.extend(7_u32.to_le_bytes());
    expected.extend(0x205_u32.to_le_bytes());
    expected.extend([0; 4]);
    expected.extend([0xFF; 8]);
    // Code 0, no message, no details, no trailers, a body of one byte: -1.
    let envelope = [0, 0, 0, 0, 1, 1, 1];
    expected.extend(envelope);
    expected.extend([0; 9]);
    expected.extend(envelope);
    assert_eq!(response.bytes, expected);
    // [call.implicit] and windows need both sides: nothing more is said.
    peer.expect_quiet();
}

#[test]
fn results_are_data_and_panics_are_internal() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.divide", &zigzags(&[7, 0]));
    let division = [&[1][..], &string("division by zero")].concat();
    assert_eq!(
        peer.response(1).envelope(),
        (0, String::new(), Some(division))
    );

    peer.call(3, "Testbed.divide", &zigzags(&[-7, 2]));
    assert_eq!(
        peer.response(3).envelope().2,
        Some([&[0][..], &zigzags(&[-3])].concat())
    );

    peer.call(5, "Testbed.boom", &string("ouch"));
    assert_eq!(peer.response(5).envelope(), (13, "ouch".to_owned(), None));

    peer.call(7, "Testbed.echo", &string(&"x".repeat(70_000)));
    assert_eq!(
        peer.response(7).envelope().2,
        Some(string(&"x".repeat(70_000)))
    );
    peer.still_answers(9);
}

#[test]
fn unknown_methods_and_undecodable_arguments_are_answered() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nothing", &[]);
    assert_eq!(peer.response(1).envelope().0, 12);
    for (at, args) in [(3, &[2][..]), (5, &[2, 3, 4]), (7, &[0xFF; 12])] {
        peer.call(at, "Testbed.add", args);
        let (code, message, body) = peer.response(at).envelope();
        assert_eq!((code, body), (3, None), "{args:?}");
        assert!(
            message.contains("byte"),
            "the position is missing: {message}"
        );
    }
    peer.still_answers(9);
}

#[test]
fn a_cancelled_call_stops_its_handler_and_is_not_answered() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &A_MINUTE);
    peer.call(3, "Testbed.naps_running", &[]);
    assert_eq!(peer.recv().envelope().2, Some(vec![1]));
    for _ in 0..2 {
        // Cancelling is idempotent.
        peer.control(&Message::Cancel {
            channel: ChannelId(1),
            reason: CancelReason::ClientCancel,
        });
    }
    let mut channel = 5;
    loop {
        peer.call(channel, "Testbed.naps_running", &[]);
        let frame = peer.recv();
        assert_eq!(
            frame.desc.channel_id.0, channel,
            "an answer to a cancelled call"
        );
        if frame.envelope().2 == Some(vec![0]) {
            break;
        }
        channel += 2;
    }
    // A late request on the cancelled channel lost a race ([call.once]).
    peer.request(1, "Testbed.add", &zigzags(&[1, 1]));
    peer.expect_quiet();
}

#[test]
fn a_deadline_in_the_descriptor_or_in_the_metadata_stops_the_handler() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    let started = Instant::now();
    peer.open_call(1, &[]);
    let mut desc = Descriptor::new(ChannelId(1), MethodId(method("Testbed.nap")), REQUEST);
    desc.deadline_ns = 80_000_000;
    peer.frame(desc, &A_MINUTE);
    let response = peer.recv();
    assert_eq!(response.desc.flags, RESPONSE | Flags::ERROR);
    assert_eq!(response.envelope().0, 4);
    assert!(started.elapsed() >= Duration::from_millis(80), "too early");

    let started = Instant::now();
    peer.open_call(
        3,
        &[("rapace.deadline_remaining_ms", &80_u32.to_le_bytes())],
    );
    peer.request(3, "Testbed.nap", &A_MINUTE);
    assert_eq!(peer.recv().envelope().0, 4);
    assert!(started.elapsed() >= Duration::from_millis(80), "too early");

    peer.call(5, "Testbed.naps_running", &[]);
    assert_eq!(peer.response(5).envelope().2, Some(vec![0]));
}

#[test]
fn no_reply_means_no_reply() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    for (channel, name) in [(1, "Testbed.add"), (3, "Testbed.nothing")] {
        peer.open_call(channel, &[]);
        peer.data(
            channel,
            method(name),
            REQUEST | Flags::NO_REPLY,
            &zigzags(&[1, 1]),
        );
    }
    peer.expect_quiet();
    peer.still_answers(5);
}

#[test]
fn calls_beyond_the_limit_are_refused_one_by_one() {
    let subject = Subject::tcp(&["--limits", "max_pending_calls=2,max_channels=3"]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &A_MINUTE);
    peer.call(3, "Testbed.nap", &A_MINUTE);
    peer.call(5, "Testbed.add", &zigzags(&[1, 1]));
    assert_eq!(peer.response(5).envelope().0, 8);
    // [open.check]: three channels are the limit, whatever becomes of them.
    peer.open_call(7, &[]);
    peer.open_call(9, &[]);
    let refused = Message::Cancel {
        channel: ChannelId(9),
        reason: CancelReason::ResourceExhausted,
    };
    assert_eq!(peer.recv().message(), refused);
}
