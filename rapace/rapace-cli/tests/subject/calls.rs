//! One subject against another: every method of the testbed, over both kinds of socket.

use super::process::{Outcome, Subject};

fn call(address: &str, method: &str, args: &str) -> Outcome {
    // The acceptor keeps the connection, so the caller would stay: a signal ends it in good order.
    let mut caller = Subject::start(&["--connect", address, "--call", method, "--args", args]);
    let line = caller.line();
    caller.signal("TERM");
    let mut outcome = caller.wait();
    outcome.stdout.insert_str(0, &line);
    outcome
}

const CALLS: &[(&str, &str, &str)] = &[
    ("Testbed.add", "[1, -2]", "ok -1"),
    ("Testbed.add", "[2147483647, 1]", "ok -2147483648"),
    ("Testbed.echo", "[\"aGVsbG8=\"]", "ok \"aGVsbG8=\""),
    ("Testbed.echo", "[[0, 127, 255]]", "ok [0,127,255]"),
    ("Testbed.echo", "[\"\"]", "ok \"\""),
    ("Testbed.divide", "[7, 2]", "ok {\"Ok\":3}"),
    (
        "Testbed.divide",
        "[7, 0]",
        "ok {\"Err\":\"division by zero\"}",
    ),
    (
        "Testbed.boom",
        "[\"ouch\\nindeed\"]",
        "error INTERNAL ouch\\nindeed",
    ),
    ("Testbed.nap", "[5]", "ok 5"),
    ("Testbed.naps_running", "[]", "ok 0"),
    ("Testbed.sum", "[[1, -2, 1000000]]", "ok 999999"),
    ("Testbed.sum", "[]", "ok 0"),
    ("Testbed.count", "[5]", "ok [0,1,2,3,4]"),
    ("Testbed.count", "[0]", "ok []"),
    (
        "Testbed.relay",
        "[[\"a\", \"ä\", \"\"]]",
        "ok [\"A\",\"Ä\",\"\"]",
    ),
    ("Testbed.pipe", "[\"some words!\"]", "ok 11"),
    ("Testbed.pipe", "[]", "ok 0"),
];

fn every_method(address: &str) {
    let subject = Subject::listen(address, &[]);
    for (method, args, expected) in CALLS {
        let outcome = call(&subject.address, method, args);
        assert_eq!(
            outcome.stdout.trim_end(),
            *expected,
            "{method} {args}: {outcome:?}"
        );
        let code = i32::from(!expected.starts_with("ok "));
        assert_eq!(outcome.code, Some(code), "{method} {args}");
    }
    let outcome = call(&subject.address, "Testbed.nothing", "[]");
    assert!(
        outcome.stdout.starts_with("error UNIMPLEMENTED "),
        "{outcome:?}"
    );
    assert_eq!(outcome.code, Some(1));
    let outcome = call(&subject.address, "Nobody.knows", "[1, 2]");
    assert!(
        outcome.stdout.starts_with("error UNIMPLEMENTED "),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("without arguments"), "{outcome:?}");
}

#[test]
fn every_method_answers_over_tcp() {
    every_method("tcp:127.0.0.1:0");
}

#[test]
fn every_method_answers_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    every_method(&format!("unix:{}/subject.sock", folder.path().display()));
}

#[test]
fn long_streams_and_payloads_pass_through_a_small_window() {
    let limits = "window_bytes=64,max_channels=4,max_pending_calls=1";
    let subject = Subject::tcp(&["--limits", limits]);
    let numbers: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let numbers = format!("[[{}]]", numbers.join(","));
    assert_eq!(
        call(&subject.address, "Testbed.sum", &numbers)
            .stdout
            .trim_end(),
        "ok 12497500"
    );
    let counted = call(&subject.address, "Testbed.count", "[3000]").stdout;
    assert!(counted.trim_end().ends_with(",2998,2999]"), "{counted}");
    let text = "no base64! ".repeat(2000);
    let piped = call(&subject.address, "Testbed.pipe", &format!("[\"{text}\"]"));
    assert_eq!(piped.stdout.trim_end(), "ok 22000");
    let word = "x".repeat(1000);
    let relayed = call(
        &subject.address,
        "Testbed.relay",
        &format!("[[\"{word}\", \"y\"]]"),
    );
    assert_eq!(
        relayed.stdout.trim_end(),
        format!("ok [\"{}\",\"Y\"]", word.to_uppercase())
    );
}

#[test]
fn requests_and_responses_above_the_limit_say_so() {
    let subject = Subject::tcp(&["--limits", "max_payload_size=1000"]);
    let text = "no base64! ".repeat(100);
    let outcome = call(&subject.address, "Testbed.echo", &format!("[\"{text}\"]"));
    assert!(
        outcome.stdout.starts_with("error RESOURCE_EXHAUSTED "),
        "{outcome:?}"
    );
    // The request fits, and the envelope around the same bytes does not.
    let text = "!".repeat(997);
    let outcome = call(&subject.address, "Testbed.echo", &format!("[\"{text}\"]"));
    assert!(
        outcome.stdout.starts_with("error RESOURCE_EXHAUSTED "),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("1000"), "{outcome:?}");
}
