//! Many runs: how far they are, and what they came to.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

use crate::{FINE, err, out, sim};

#[test]
fn many_runs_of_a_scenario_say_how_far_they_are() {
    let output = sim(&["run", "row_01_handler_panics", "--seeds", "0..4"]);
    assert_eq!(output.status.code(), FINE);
    let told = err(&output);
    // What the clock says depends on the machine.
    let (clock, first) = told.split_once("  ").expect("a clock stands first");
    assert!(clock.contains(':'), "{told}");
    let runs = "1/12 runs, row_01_handler_panics over stream";
    assert!(first.starts_with(runs), "{told}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_prints_its_table() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-sim"))
            .args(["sweep", "--for", "10m", "--threads", "1"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("cargo-sim starts");
        // Its first line says that it has begun; a signal before that would end it at once.
        let mut progress = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut begun = String::new();
        progress.read_line(&mut begun).expect("progress");
        assert!(begun.contains(" failed, "), "{begun}");
        let killed = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(killed.is_ok_and(|status| status.success()));
        let output = child.wait_with_output().expect("cargo-sim ends");
        let mut rest = String::new();
        progress.read_to_string(&mut rest).expect("progress");
        assert_eq!(output.status.code(), Some(code), "{rest}");
        let text = out(&output);
        assert!(
            text.lines().any(|line| line.starts_with("seeds ")),
            "{text}"
        );
    }
}

#[test]
fn a_sweep_prints_a_table_without_colours() {
    let output = sim(&["sweep", "--seeds", "0..40", "--threads", "1"]);
    assert_eq!(
        output.status.code(),
        FINE,
        "{}{}",
        out(&output),
        err(&output)
    );
    let text = out(&output);
    for row in [
        "seeds",
        "events",
        "virtual:real",
        "faults hit",
        "marks reached",
        "failures",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(row)),
            "no row `{row}` in\n{text}"
        );
    }
    assert!(!text.contains('\u{1b}'));
    assert!(!err(&output).contains('\u{1b}'));
}

#[test]
fn shards_together_are_the_whole_sweep() {
    let seeds = |args: &[&str]| {
        let text = out(&sim(args));
        let row = text
            .lines()
            .find(|line| line.starts_with("seeds"))
            .expect("a row of seeds");
        let count = row.split_whitespace().nth(1).expect("a count");
        count.parse::<u64>().expect("a number")
    };
    let mut total = 0;
    for shard in ["0/3", "1/3", "2/3"] {
        total += seeds(&["sweep", "--seeds", "100..120", "--shard", shard]);
    }
    assert_eq!(total, 20);
    let table = out(&sim(&["sweep", "--seeds", "100..120", "--shard", "1/3"]));
    let range = table.lines().find(|line| line.starts_with("range "));
    assert_eq!(
        range,
        Some("range           106..113: shard 1/3 of 100..120")
    );
    let last = "18446744073709551613..18446744073709551615";
    assert_eq!(seeds(&["sweep", "--seeds", last, "--for", "9s"]), 2);
    let empty = sim(&["sweep", "--seeds", "0..3", "--shard", "0/8"]);
    assert_eq!(empty.status.code(), FINE);
    let text = out(&empty);
    assert!(text.starts_with("shard 0/8 of 0..3 has no seeds"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
