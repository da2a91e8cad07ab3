//! Exit codes, and what stands beside them.

use crate::{DIES, FINE, FOUND, UNUSABLE, command, err, file, out, sim};

#[test]
fn a_replay_ends_with_the_trace_hash_which_is_the_same_in_another_process() {
    let first = sim(&["replay", "17"]);
    assert_eq!(first.status.code(), FINE, "{}", err(&first));
    let last = out(&first).lines().last().unwrap_or_default().to_owned();
    let hash = last
        .strip_prefix("trace hash ")
        .expect("the last line is the hash");
    assert_eq!(hash.len(), 16, "{hash}");
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    assert_eq!(out(&first), out(&sim(&["replay", "17"])));
    let other = out(&sim(&["replay", "18"]));
    assert_ne!(Some(last.as_str()), other.lines().last());
}

#[test]
fn a_scenario_that_is_as_expected_exits_with_0() {
    let output = sim(&["run", "row_01_handler_panics"]);
    assert_eq!(output.status.code(), FINE, "{}", err(&output));
    assert!(out(&output).contains("row_01_handler_panics over stream with seed 1 is fine"));
}

#[test]
fn a_scenario_that_is_not_exits_with_1_and_says_why() {
    let path = file("fails", "dies.toml", DIES);
    let path = path.to_str().expect("paths are UTF-8");
    let output = sim(&["run", path, "--transport", "stream"]);
    assert_eq!(output.status.code(), FOUND, "{}", err(&output));
    let text = out(&output);
    assert!(
        text.contains("call `nap` (line 6) should succeed, but it failed with `peer died`"),
        "{text}"
    );
}

/// Who reads what is printed does not change what was found.
#[cfg(unix)]
#[test]
fn a_verdict_is_the_same_when_nobody_reads_it() {
    let path = file("unread", "dies.toml", DIES);
    let path = path.to_str().expect("paths are UTF-8");
    let into_nowhere = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command(args).stdout(writer).output();
        output.expect("cargo-sim starts")
    };
    for (args, code) in [
        (&["run", path][..], FOUND),
        (&["show", path], FOUND),
        (&["replay", path], FOUND),
        (&["run", "row_01_handler_panics"], FINE),
        (&["list"], FINE),
        (&["--help"], FINE),
    ] {
        let output = into_nowhere(args);
        assert_eq!(output.status.code(), code, "{args:?}: {}", err(&output));
        assert_eq!(err(&output), "", "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_be_written_exits_with_2_and_says_so() {
    let path = file("full", "dies.toml", DIES);
    let path = path.to_str().expect("paths are UTF-8");
    let full = || {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/full");
        file.expect("Linux has it")
    };
    for args in [
        &["run", path][..],
        &["show", "row_01_handler_panics", "--json"],
        &["run", "row_01_handler_panics"],
        &["list"],
        &["run", "--help"],
    ] {
        let output = command(args).stdout(full()).output();
        let output = output.expect("cargo-sim starts");
        assert_eq!(output.status.code(), UNUSABLE, "{args:?}");
        let said = err(&output);
        assert!(
            said.starts_with("error: stdout cannot be written: "),
            "{args:?}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
    // Nor does it panic when this cannot be said.
    let status = command(&["run", path])
        .stdout(full())
        .stderr(full())
        .status();
    assert_eq!(status.expect("cargo-sim starts").code(), UNUSABLE);
}

#[test]
fn what_cannot_be_understood_exits_with_2_and_shows_the_place() {
    let text = DIES.replacen("do =", "doo =", 1);
    let path = file("unusable", "broken.toml", &text);
    let output = sim(&["run", path.to_str().expect("paths are UTF-8")]);
    assert_eq!(output.status.code(), UNUSABLE);
    assert!(
        err(&output).contains("broken.toml:7:1: a call has no `doo`"),
        "{}",
        err(&output)
    );
}
