//! [hello], [hello.fail]: every way in which two sides do not agree to talk.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_core::control::{Features, Hello, HelloMethod, Message};
use rapace_core::session::Role;
use rapace_core::{ChannelId, MethodId};

use super::peer::{Peer, flow_hello, method, minimal_hello, varint};
use super::process::Subject;

/// The payload of `01-hello-initiator-default` in the golden vectors, and of `02-hello-acceptor-specpeer`.
const INITIATOR: [u8; 13] = [0x80, 0x80, 4, 0, 3, 0x0F, 0x80, 0x80, 0x40, 0, 0, 0, 0];
const ACCEPTOR: [u8; 13] = [0x80, 0x80, 4, 1, 0, 3, 0x80, 0x80, 0x40, 0, 0, 0, 0];

#[test]
fn the_hellos_of_these_tests_are_those_of_the_vectors() {
    assert_eq!(flow_hello(Role::Initiator).encode(), INITIATOR);
    let mut acceptor = minimal_hello(Role::Acceptor);
    acceptor.required = Features(0);
    assert_eq!(acceptor.encode(), ACCEPTOR);
}

#[test]
fn a_subject_greets_at_once_and_lists_the_testbed() {
    let subject = Subject::tcp(&[
        "--limits",
        "max_payload_size=4096,max_channels=7,max_pending_calls=3",
    ]);
    let hello = Peer::dial(&subject).take_hello();
    assert_eq!(hello.protocol_version, 0x0001_0000);
    assert_eq!(hello.role, Role::Acceptor);
    assert_eq!(hello.required, Features(0b11));
    let limits = hello.limits;
    assert_eq!(
        (
            limits.max_payload_size,
            limits.max_channels,
            limits.max_pending_calls
        ),
        (4096, 7, 3)
    );
    for name in [
        "add",
        "echo",
        "divide",
        "boom",
        "nap",
        "naps_running",
        "sum",
        "count",
        "relay",
        "pipe",
    ] {
        let name = format!("Testbed.{name}");
        let listed = hello
            .methods
            .iter()
            .find(|listed| listed.method_id.0 == method(&name));
        let listed = listed.unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(listed.name.as_deref(), Some(name.as_str()));
    }
}

/// The subject says why and hangs up, whoever dialled.
fn refused(start: impl Fn(&mut Peer), part: &str) {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::dial(&subject);
    peer.take_hello();
    start(&mut peer);
    expect_refusal(&mut peer, part);
    let outcome = subject.wait();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(part), "{outcome:?}");
}

fn expect_refusal(peer: &mut Peer, part: &str) {
    match peer.recv().message() {
        Message::Close {
            channel: ChannelId(0),
            error: Some(why),
        } => {
            assert!(why.contains(part), "{why}");
        }
        other => panic!("{other:?}"),
    }
    peer.expect_hangup();
}

fn hello_with(edit: impl Fn(&mut Hello)) -> impl Fn(&mut Peer) {
    move |peer| {
        let mut hello = minimal_hello(Role::Initiator);
        edit(&mut hello);
        peer.hello(&hello);
    }
}

fn listed(id: u32) -> HelloMethod {
    HelloMethod {
        method_id: MethodId(id),
        sig_hash: [1; 32],
        name: None,
    }
}

#[test]
fn hellos_that_nobody_can_agree_to() {
    refused(
        hello_with(|hello| hello.protocol_version = 0x0002_0000),
        "version 2.0",
    );
    refused(
        hello_with(|hello| hello.role = Role::Acceptor),
        "both sides",
    );
    refused(
        hello_with(|hello| hello.supported = Features(0b01)),
        "lacks",
    );
    refused(
        hello_with(|hello| hello.required = Features(1 << 63)),
        "requires",
    );
    refused(hello_with(|hello| hello.methods = vec![listed(0)]), "id 0");
    refused(
        hello_with(|hello| hello.methods = vec![listed(5), listed(6), listed(5)]),
        "twice",
    );
    let bad_key = ("Bad-Key".to_owned(), Bytes::new());
    refused(
        hello_with(|hello| hello.params = vec![bad_key.clone()]),
        "Bad-Key",
    );
}

#[test]
fn first_frames_that_are_no_hello() {
    refused(|peer| peer.open_call(1, &[]), "no Hello");
    refused(
        |peer| {
            peer.request(1, "Testbed.add", &[]);
        },
        "no Hello",
    );
    refused(
        |peer| {
            peer.verb(MethodId(0), &[0x80]);
        },
        "does not decode",
    );
    let trailing = |peer: &mut Peer| {
        let payload = [&INITIATOR[..], &[0]].concat();
        peer.verb(MethodId(0), &payload);
    };
    refused(trailing, "does not decode");
}

#[test]
fn a_minor_version_and_unknown_features_and_parameters_do_no_harm() {
    let subject = Subject::tcp(&[]);
    let mut hello = minimal_hello(Role::Initiator);
    hello.protocol_version = 0x0001_0007;
    hello.supported = Features(!Features::CREDIT_FLOW_CONTROL.0);
    hello.params = vec![("somebody.elses".to_owned(), Bytes::from_static(&[1, 2, 3]))];
    hello.methods = vec![listed(5)];
    Peer::dial(&subject).greeted(&hello).still_answers(1);
}

#[test]
fn silence_is_not_waited_out_for_ever() {
    let subject = Subject::tcp(&["--once", "--limits", "handshake_timeout_ms=200"]);
    let started = Instant::now();
    let mut peer = Peer::dial(&subject);
    peer.take_hello();
    expect_refusal(&mut peer, "no Hello in time");
    assert!(started.elapsed() >= Duration::from_millis(190));
    assert_eq!(subject.wait().code, Some(1));
}

#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    for bytes in [
        varint(63),
        // Above the 64 KiB that hold before the Hello.
        varint(64 + (64 << 10) + 1),
        vec![0xFF; 11],
    ] {
        let subject = Subject::tcp(&["--once"]);
        let mut peer = Peer::dial(&subject);
        peer.take_hello();
        peer.bytes(&bytes);
        peer.expect_hangup();
        assert_eq!(subject.wait().code, Some(1), "{bytes:02x?}");
    }
}

#[test]
fn a_caller_prints_why_the_handshake_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp:{}", listener.local_addr().expect("an address"));
    let mut same_role = minimal_hello(Role::Initiator);
    same_role.params.clear();
    for call in [&["--call", "Testbed.add", "--args", "[1,2]"][..], &[]] {
        let subject = Subject::start(&[&["--connect", &address], call].concat());
        let mut peer = Peer::accept(&listener);
        peer.take_hello();
        peer.hello(&same_role);
        expect_refusal(&mut peer, "both sides");
        let outcome = subject.wait();
        assert_eq!(outcome.code, Some(1));
        assert!(
            outcome.stdout.starts_with("error HANDSHAKE "),
            "{outcome:?}"
        );
        assert!(outcome.stdout.contains("both sides"), "{outcome:?}");
    }
    // The other side refuses, with its reason.
    let subject = Subject::start(&[
        "--connect",
        &address,
        "--call",
        "Testbed.nap",
        "--args",
        "[1]",
    ]);
    let mut peer = Peer::accept(&listener);
    peer.control(&Message::Close {
        channel: ChannelId(0),
        error: Some("not today".to_owned()),
    });
    let outcome = subject.wait();
    assert!(
        outcome.stdout.starts_with("error HANDSHAKE "),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("not today"), "{outcome:?}");

    // Nobody says anything, and then hangs up.
    let subject = Subject::start(&[
        "--connect",
        &address,
        "--call",
        "Testbed.nap",
        "--args",
        "[1]",
    ]);
    drop(Peer::accept(&listener));
    let outcome = subject.wait();
    assert!(
        outcome.stdout.starts_with("error HANDSHAKE "),
        "{outcome:?}"
    );
    assert_eq!(outcome.code, Some(1));
}
