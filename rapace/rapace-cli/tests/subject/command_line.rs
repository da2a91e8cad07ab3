//! Addresses, answers, exit codes, signals.

use std::net::{Shutdown, TcpListener};
use std::path::Path;

use super::peer::{Peer, minimal_hello};
use super::process::Subject;
use rapace_core::control::Message;
use rapace_core::session::Role;

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp:{}", listener.local_addr().expect("an address"));
    (listener, address)
}

#[test]
fn the_first_line_names_the_port_that_the_system_chose() {
    let subject = Subject::tcp(&[]);
    let port = subject
        .address
        .strip_prefix("tcp:127.0.0.1:")
        .expect("the host");
    assert_ne!(port.parse::<u16>().expect("a port"), 0);
}

#[test]
fn once_exits_0_after_a_good_end_of_either_kind() {
    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    peer.still_answers(1);
    peer.close();
    assert_eq!(subject.wait().code, Some(0), "CloseChannel");

    let subject = Subject::tcp(&["--once"]);
    let mut peer = Peer::minimal(&subject);
    peer.still_answers(1);
    drop(peer);
    assert_eq!(
        subject.wait().code,
        Some(0),
        "a hang-up with nothing under way"
    );
}

#[test]
fn once_exits_1_when_the_connection_is_lost_with_a_call_under_way() {
    for half in [false, true] {
        let subject = Subject::tcp(&["--once"]);
        let mut peer = Peer::minimal(&subject);
        peer.call(1, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
        peer.still_answers(3);
        if half {
            // [call.lost]: a half-close counts as lost; the handler must not keep the subject.
            peer.stream.shutdown(Shutdown::Write).expect("half closed");
            assert_eq!(subject.wait().code, Some(1));
        } else {
            drop(peer);
            assert_eq!(subject.wait().code, Some(1));
        }
    }
}

#[test]
fn once_exits_1_when_the_peer_never_greets() {
    let subject = Subject::tcp(&["--once"]);
    drop(Peer::dial(&subject));
    let outcome = subject.wait();
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("handshake failed"), "{outcome:?}");
}

#[test]
fn connections_are_served_side_by_side_and_naps_are_counted_across_them() {
    let subject = Subject::tcp(&[]);
    let mut napping = Peer::minimal(&subject);
    napping.call(1, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
    napping.still_answers(3);
    let mut counting = Peer::minimal(&subject);
    counting.call(1, "Testbed.naps_running", &[]);
    assert_eq!(counting.response(1).envelope().2, Some(vec![1]));
    drop(napping);
    // The handler is dropped when the subject hears of it.
    let mut channel = 3;
    loop {
        counting.call(channel, "Testbed.naps_running", &[]);
        if counting.response(channel).envelope().2 == Some(vec![0]) {
            break;
        }
        channel += 2;
    }
}

#[test]
fn a_signal_drains_and_removes_the_socket_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for signal in ["TERM", "INT"] {
        let path = folder.path().join("subject.sock");
        let subject = Subject::listen(&format!("unix:{}", path.display()), &[]);
        assert!(Path::new(&path).exists());
        subject.signal(signal);
        let outcome = subject.wait();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(!path.exists(), "the file is left after SIG{signal}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let subject = Subject::tcp(&[]);
    let mut peer = Peer::minimal(&subject);
    peer.call(1, "Testbed.nap", &[0xE0, 0xD4, 0x03]);
    peer.still_answers(3);
    subject.signal("TERM");
    peer.recv_until(|frame| matches!(frame.message(), Message::GoAway { .. }));
    subject.signal("TERM");
    assert_eq!(subject.wait().code, Some(1));
}

#[test]
fn a_connected_subject_serves_until_the_peer_closes() {
    let (listener, address) = listener();
    let subject = Subject::start(&["--connect", &address]);
    let mut peer = Peer::accept(&listener).greeted(&minimal_hello(Role::Acceptor));
    peer.still_answers(2);
    peer.close();
    let outcome = subject.wait();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
}

#[test]
fn mistakes_in_the_arguments_of_a_call_are_found_before_connecting() {
    let (_listener, address) = listener();
    for (method, args, part) in [
        ("Testbed.add", "[1", "--args is not JSON"),
        ("Testbed.add", "{\"a\":1}", "JSON array"),
        ("Testbed.add", "[1]", "takes [a, b], got 1"),
        ("Testbed.add", "[1, 2147483648]", "argument 2"),
        ("add", "[]", "SERVICE.METHOD"),
    ] {
        let call = ["--connect", &address, "--call", method, "--args", args];
        let outcome = Subject::start(&call).wait();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(
            outcome.stdout.starts_with("error INVALID_ARGUMENT "),
            "{outcome:?}"
        );
        assert!(outcome.stdout.contains(part), "{outcome:?}");
    }
}

#[test]
fn addresses_that_cannot_be_used_are_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = format!("unix:{}/nobody.sock", folder.path().display());
    for (args, part) in [
        (["--listen", "ws:127.0.0.1:0"], "no WebSocket transport"),
        (["--connect", "ws:127.0.0.1:1"], "no WebSocket transport"),
        (
            ["--listen", "127.0.0.1:0"],
            "expected unix:PATH or tcp:HOST:PORT",
        ),
        (["--connect", &nobody], "nobody.sock"),
    ] {
        let outcome = Subject::start(&args).wait();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
}

#[test]
fn wrong_options_exit_2_and_help_has_examples() {
    for args in [
        &[][..],
        &["--listen", "tcp:127.0.0.1:0", "--limits", "speed=9"],
        &[
            "--listen",
            "tcp:127.0.0.1:0",
            "--limits",
            "handshake_timeout_ms=30001",
        ],
        &["--connect", "tcp:127.0.0.1:1", "--once"],
    ] {
        assert_eq!(Subject::start(args).wait().code, Some(2), "{args:?}");
    }
    let help = Subject::start(&["--help"]).wait();
    assert_eq!(help.code, Some(0));
    for part in ["Examples:", "Exit codes:", "unix:PATH", "--once"] {
        assert!(help.stdout.contains(part), "{part} is missing");
    }
}
