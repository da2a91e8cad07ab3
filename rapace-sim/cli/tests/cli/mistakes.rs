//! What newcomers get wrong, and what they are told.

use crate::{UNUSABLE, command, err, file, sim};

/// Every mistake is answered by what to do next.
#[test]
fn mistakes_of_newcomers_are_met_with_advice() {
    for (wrong, advice) in [
        (&["walk"][..], "--help"),
        (&["swep"], "'sweep'"),
        (&["run", "no-such-thing"], "`cargo sim list`"),
        (
            &["run", "row_04_unread_strem"],
            "is it `row_04_unread_stream`",
        ),
        (&["run", "row_04"], "is it `row_04"),
        (&["run", "row_4"], "is it `row_04_unread_stream`?"),
        (
            &["run", "/nowhere/x.toml"],
            "there is no file `/nowhere/x.toml`; `cargo sim list`",
        ),
        (&["run", "4711"], "`cargo sim replay 4711`"),
        (&["replay", "99999999999999999999"], "18446744073709551615"),
        (
            &[
                "run",
                "row_04_unread_stream",
                "--seed",
                "99999999999999999999",
            ],
            "18446744073709551615",
        ),
        (&["replay", "7", "--transport", "shm"], "for scenarios"),
        (&["show", "7", "--seed", "3"], "for scenarios"),
        (
            &["run", "clock_ahead_for_good", "--transport", "stream"],
            "for scenarios",
        ),
        (
            &["shrink", "clock_ahead_for_good", "--seed", "3"],
            "for scenarios",
        ),
        (
            &["run", "clock_ahead_for_good", "--seeds", "0..3"],
            "for scenarios",
        ),
        (&["run", "scenarios"], "`cargo sim run --all`"),
        (&["run", "README.md"], "docs/simulator/scenario-format.md"),
        (
            &["run", "row_04_unread_stream", "--transport", "tcp"],
            "stream, mem, shm",
        ),
        (
            &["run", "row_04_unread_stream", "--seeds", "0.."],
            "0..1000",
        ),
        (
            &["run", "row_04_unread_stream", "--seed", "x"],
            "such as 4711",
        ),
        (&["replay", "0..5"], "cargo sim sweep --seeds 0..5"),
        (&["sweep", "--seeds", "9..3"], "write 3..9"),
        (&["sweep", "--seeds", "9..9"], "write 9..10"),
        (&["sweep", "--seeds", "9"], "write 9..10"),
        (
            &["sweep", "--seeds", "18446744073709551615"],
            "`cargo sim replay 18446744073709551615` for this one seed",
        ),
        (
            &[
                "sweep",
                "--seeds",
                "18446744073709551615..18446744073709551615",
            ],
            "`cargo sim replay 18446744073709551615` for this one seed",
        ),
        (
            &["sweep", "--seeds", "18446744073709551615.."],
            "`cargo sim replay 18446744073709551615`",
        ),
        (&["sweep", "--seeds", "-1..4"], "0..10000"),
        (
            &["sweep", "--seeds", "0..99999999999999999999"],
            "18446744073709551615",
        ),
        (&["sweep", "--for", "10"], "60s"),
        (&["sweep", "--for", "-3s"], "60s"),
        (&["sweep", "--shard", "3/3"], "0/8"),
        (&["sweep", "--threads", "0"], "from 1 on"),
        (&["sweep", "--save", "README.md/x"], "--save"),
        (
            &["show", "row_02_link_cut", "--html", "nowhere/x.html"],
            "mkdir -p nowhere",
        ),
        (
            &["show", "row_02_link_cut", "--html", "docs"],
            "docs/trace.html",
        ),
    ] {
        let output = sim(wrong);
        assert_eq!(output.status.code(), UNUSABLE, "{wrong:?}");
        assert!(err(&output).contains(advice), "{wrong:?}: {}", err(&output));
    }
}

/// A run in which nothing can go wrong looks like one in which nothing did.
#[test]
fn faults_that_name_what_there_is_not_are_refused() {
    for (world, fault, why) in [
        ("standard", "at 1ms: kill nobody", "no process `nobody`"),
        (
            "row_04_unread_stream",
            "at 1ms: cut link nothing",
            "no link `nothing`",
        ),
    ] {
        let plan = format!("world = {world:?}\nseed = 1\nfaults = [{fault:?}]\n");
        let plan = file("nobody", &format!("{world}.toml"), &plan);
        for command in ["replay", "run", "show", "shrink"] {
            let output = sim(&[command, plan.to_str().expect("paths are UTF-8")]);
            assert_eq!(output.status.code(), UNUSABLE, "{command} {world}");
            let told = err(&output);
            assert!(told.contains(why) && told.contains(".toml`: "), "{told}");
        }
    }
}

/// A folder of no scenario is no success.
#[test]
fn an_empty_folder_of_scenarios_is_refused() {
    let readme = file("empty/scenarios", "README.md", "Later.");
    let project = readme.ancestors().nth(2).expect("it is in a folder");
    for args in [&["run", "--all"][..], &["list"]] {
        let output = command(args).current_dir(project).output();
        let output = output.expect("cargo-sim starts");
        assert_eq!(output.status.code(), UNUSABLE, "{args:?}");
        let told = err(&output);
        assert!(told.contains("has no scenario"), "{told}");
    }
}
