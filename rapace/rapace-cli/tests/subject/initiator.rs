//! `--connect --call` against a peer that listens, with minimal features.

use std::net::TcpListener;

use bytes::Bytes;
use rapace_core::control::{CancelReason, ChannelKind, HelloMethod, Message, OpenChannel, Verb};
use rapace_core::envelope::{Code, Status, encode_error};
use rapace_core::frame::Flags;
use rapace_core::session::Role;
use rapace_core::{ChannelId, Metadata, MethodId};

use super::peer::{Peer, RESPONSE, Received, flow_hello, method, minimal_hello, string, zigzags};
use super::process::{Outcome, Subject};

/// A subject that calls, and the peer that it has connected to and greeted.
fn calling(method: &str, args: &str) -> (Subject, Peer) {
    let (subject, peer) = dialling(method, args);
    (subject, peer.greeted(&minimal_hello(Role::Acceptor)))
}

fn dialling(method: &str, args: &str) -> (Subject, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp:{}", listener.local_addr().expect("an address"));
    let call = ["--connect", &address, "--call", method, "--args", args];
    let subject = Subject::start(&call);
    (subject, Peer::accept(&listener))
}

/// The request, after its OpenChannel.
fn take_request(peer: &mut Peer, name: &str) -> Received {
    let open = peer.recv();
    match open.message() {
        Message::Open(OpenChannel {
            channel,
            kind: ChannelKind::Call,
            attach: None,
            ..
        }) => {
            assert_eq!(channel, ChannelId(1));
        }
        other => panic!("{other:?}"),
    }
    let request = peer.recv_until(|frame| !frame.desc.has(Flags::CONTROL));
    assert_eq!(request.desc.channel_id, ChannelId(1));
    assert_eq!(request.desc.method_id.0, method(name));
    request
}

fn expect(outcome: &Outcome, line: &str) {
    assert!(outcome.stdout.starts_with(line), "{outcome:?}");
    let code = i32::from(!line.starts_with("ok"));
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
}

#[test]
fn the_request_has_exactly_these_bytes_and_the_caller_stays_until_the_peer_closes() {
    let (mut subject, mut peer) = calling("Testbed.add", "[1, -2]");
    let open = peer.recv();
    assert_eq!(
        (open.desc.msg_id, open.desc.method_id),
        (2, Verb::OPEN_CHANNEL)
    );
    // Channel 1, a call, attached to nothing; trace context may stand in the metadata.
    assert_eq!(open.payload[..3], [1, 0, 0]);
    let request = peer.recv();
    let mut expected = vec![64 + 2];
    expected.extend(3_u64.to_le_bytes());
    expected.extend(1_u32.to_le_bytes());
    expected.extend(method("Testbed.add").to_le_bytes());
    expected.extend([0xFF; 4]);
    expected.extend([0; 8]);
    expected.extend(2_u32.to_le_bytes());
    expected.extend(5_u32.to_le_bytes());
    expected.extend([0; 4]);
    expected.extend([0xFF; 8]);
    expected.extend([2, 3]);
    expected.extend([0; 14]);
    expected.extend([2, 3]);
    assert_eq!(request.bytes, expected);

    peer.answer(&request, &zigzags(&[-1]));
    assert_eq!(subject.line(), "ok -1");
    // The caller serves, too, for as long as it stays.
    peer.still_answers(2);
    assert!(subject.is_running());
    peer.close();
    assert_eq!(subject.wait().code, Some(0));
}

#[test]
fn ok_stays_ok_however_the_connection_ends() {
    let (mut subject, mut peer) = calling("Testbed.nap", "[5]");
    let request = take_request(&mut peer, "Testbed.nap");
    peer.answer(&request, &[5]);
    assert_eq!(subject.line(), "ok 5");
    peer.bytes(&[1]);
    drop(peer);
    assert_eq!(subject.wait().code, Some(0));
}

#[test]
fn error_statuses_are_printed_by_name() {
    for (code, name) in [
        (12, "UNIMPLEMENTED"),
        (13, "INTERNAL"),
        (4, "DEADLINE_EXCEEDED"),
        (404, "CODE_404"),
    ] {
        let (mut subject, mut peer) = calling("Testbed.add", "[1, 2]");
        let request = take_request(&mut peer, "Testbed.add");
        let status = Status {
            code: Code(code),
            message: "two\nlines".to_owned(),
            details: Bytes::new(),
        };
        let payload = encode_error(&status, &Metadata::default()).into_bytes();
        peer.answer_with(&request, RESPONSE | Flags::ERROR, &payload);
        let line = subject.line();
        assert!(line.starts_with(&format!("error {name} ")), "{line}");
        peer.close();
        let outcome = subject.wait();
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(1), ""),
            "{outcome:?}"
        );
    }
}

#[test]
fn answers_that_make_no_sense_are_decode_errors() {
    for (flags, payload) in [
        (RESPONSE, &[0, 0, 0, 0, 1, 2, 1, 1][..]),
        (RESPONSE, &[0, 0, 0, 0]),
        (RESPONSE | Flags::ERROR, &[0, 0, 0, 0, 1, 1, 1]),
    ] {
        let (subject, mut peer) = calling("Testbed.add", "[1, 2]");
        let request = take_request(&mut peer, "Testbed.add");
        peer.answer_with(&request, flags, payload);
        peer.close();
        expect(&subject.wait(), "error DECODE_ERROR ");
    }
}

#[test]
fn a_call_without_an_answer_says_what_became_of_it() {
    let (subject, mut peer) = calling("Testbed.add", "[1, 2]");
    take_request(&mut peer, "Testbed.add");
    drop(peer);
    expect(&subject.wait(), "error PEER_DIED ");

    let (subject, mut peer) = calling("Testbed.add", "[1, 2]");
    take_request(&mut peer, "Testbed.add");
    peer.close();
    expect(&subject.wait(), "error UNAVAILABLE ");

    for (reason, name) in [
        (CancelReason::ClientCancel, "CANCELLED"),
        (CancelReason::PermissionDenied, "PERMISSION_DENIED"),
    ] {
        let (subject, mut peer) = calling("Testbed.add", "[1, 2]");
        take_request(&mut peer, "Testbed.add");
        peer.control(&Message::Cancel {
            channel: ChannelId(1),
            reason,
        });
        peer.close();
        expect(&subject.wait(), &format!("error {name} "));
    }

    let (subject, mut peer) = calling("Testbed.add", "[1, 2]");
    take_request(&mut peer, "Testbed.add");
    peer.verb(MethodId(50), &[]);
    expect(&subject.wait(), "error PROTOCOL_ERROR ");
}

#[test]
fn a_method_with_other_types_is_not_even_sent() {
    let (subject, peer) = dialling("Testbed.add", "[1, 2]");
    let mut hello = minimal_hello(Role::Acceptor);
    hello.methods = vec![HelloMethod {
        method_id: MethodId(method("Testbed.add")),
        sig_hash: [9; 32],
        name: Some("Testbed.add".to_owned()),
    }];
    let mut peer = peer.greeted(&hello);
    peer.expect_quiet();
    peer.close();
    expect(&subject.wait(), "error SCHEMA ");
}

#[test]
fn streams_of_the_peer_are_printed_whole() {
    let (subject, mut peer) = calling("Testbed.count", "[3]");
    let request = take_request(&mut peer, "Testbed.count");
    assert_eq!(request.payload, [3]);
    peer.open_port(2, 1, 101, ChannelKind::Stream, 0);
    peer.answer(&request, &[101]);
    peer.item(2, &[0]);
    peer.item(2, &[1]);
    // The last item carries the end ([stream]).
    peer.data(2, 0, Flags::DATA | Flags::EOS, &[2]);
    peer.close();
    expect(&subject.wait(), "ok [0,1,2]\n");
}

#[test]
fn a_stream_that_breaks_off_is_an_error() {
    let (subject, mut peer) = calling("Testbed.count", "[3]");
    let request = take_request(&mut peer, "Testbed.count");
    peer.open_port(2, 1, 101, ChannelKind::Stream, 0);
    peer.answer(&request, &[101]);
    peer.item(2, &[0]);
    drop(peer);
    expect(&subject.wait(), "error PEER_DIED ");
}

#[test]
fn streams_of_the_caller_wait_for_credit() {
    let (mut subject, peer) = dialling("Testbed.relay", "[[\"a\", \"bc\"]]");
    let mut peer = peer.greeted(&flow_hello(Role::Acceptor));
    let mut opened = None;
    let request = loop {
        let frame = peer.recv();
        if !frame.desc.has(Flags::CONTROL) {
            break frame;
        }
        if let Message::Open(OpenChannel {
            channel,
            attach: Some(attach),
            ..
        }) = frame.message()
        {
            assert_eq!((attach.call, attach.port), (ChannelId(1), 1));
            opened = Some(channel);
        }
    };
    assert_eq!(request.payload, [1]);
    let channel = opened.unwrap_or_else(|| match peer.recv().message() {
        Message::Open(open) => open.channel,
        other => panic!("{other:?}"),
    });
    peer.expect_quiet();
    peer.grant(channel.0, 2);
    assert_eq!(peer.recv().payload, string("a"));
    peer.expect_quiet();
    peer.grant(channel.0, 3);
    assert_eq!(peer.recv().payload, string("bc"));
    peer.open_port(2, 1, 101, ChannelKind::Stream, 0);
    // Without windows in both Hellos, whoever receives grants first.
    let granted = peer.recv_until(|frame| frame.desc.method_id == Verb::GRANT_CREDITS);
    assert!(matches!(
        granted.message(),
        Message::Grant {
            channel: ChannelId(2),
            ..
        }
    ));
    peer.answer(&request, &[101]);
    peer.item(2, &string("A"));
    peer.eos(2);
    assert_eq!(subject.line(), "ok [\"A\"]");
    peer.close();
    assert_eq!(subject.wait().code, Some(0));
}
