//! Failures are seen again, smaller if that is asked for.

use std::path::Path;
use std::process::Output;

use crate::{DIES, ENDLESS, FINE, FOUND, UNUSABLE, command, err, file, out, sim};

/// Runs the command that a failure prints, which must fail in the same way.
fn see_it_again(text: &str) -> Output {
    let mut again = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("see it again: "));
    let again = again.next().unwrap_or_else(|| panic!("not said: {text}"));
    let words = again.strip_prefix("cargo sim ").expect("it is a command");
    let words: Vec<&str> = words
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .collect();
    sim(&words)
}

#[test]
fn what_is_printed_to_see_a_failure_again_shows_the_same_failure() {
    let dies = file("again", "dies.toml", DIES);
    let endless = file("again", "endless.toml", ENDLESS);
    let path = |path: &Path| path.to_str().expect("paths are UTF-8").to_owned();
    let (dies, endless) = (path(&dies), path(&endless));
    // Its fault is not the scenario's own.
    let plan = format!(
        "world = {endless:?}\ntransport = \"mem\"\nseed = 9\nfaults = [\"at 7s: hang images for 1ms\"]\n"
    );
    let plan = path(&file("again", "plan.toml", &plan));
    let page = path(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("again/page.html"));
    for (args, why) in [
        (&["run", &dies, "--seed", "3"][..], "call `nap` (line 6)"),
        (
            &["show", &dies, "--transport", "shm"],
            "call `nap` (line 6)",
        ),
        (&["show", &dies, "--html", &page], "call `nap` (line 6)"),
        (&["run", &endless, "--seeds", "4..9"], "not over after 120s"),
        (&["show", &plan], "not over after 120s"),
        (&["show", &plan, "--html", &page], "not over after 120s"),
    ] {
        let first = sim(args);
        assert_eq!(first.status.code(), FOUND, "{args:?}: {}", err(&first));
        let text = out(&first);
        assert!(text.contains(why), "{args:?}: {text}");
        let again = see_it_again(&text);
        assert_eq!(again.status.code(), FOUND, "{args:?}: {text}");
        assert!(out(&again).contains(why), "{args:?}: {}", out(&again));
    }
    let shown = out(&sim(&["show", &plan]));
    let again = format!("see it again: cargo sim replay {plan}");
    assert!(shown.contains(&again), "{shown}");
}

#[test]
fn a_crash_that_fails_is_saved_so_that_it_fails_again() {
    // Plans of crashes are written below the current folder.
    let path = file("crashes", "endless.toml", ENDLESS);
    let folder = path.parent().expect("it is in a folder");
    let run = |args: &[&str]| {
        let output = command(args).current_dir(folder).output();
        output.expect("cargo-sim starts")
    };
    let first = run(&[
        "run",
        "endless.toml",
        "--transport",
        "mem",
        "--crash-everywhere",
    ]);
    assert_eq!(first.status.code(), FOUND, "{}", err(&first));
    assert!(err(&first).starts_with("0:0"), "{}", err(&first));
    assert!(err(&first).contains(" crash points, "), "{}", err(&first));
    let saved = "target/sim/endless-mem-0.toml";
    let again = format!("see it again: cargo sim replay {saved}");
    assert!(out(&first).contains(&again), "{}", out(&first));
    let why = "call 1 `nap` of host never ended";
    assert!(out(&first).contains(why), "{}", out(&first));
    for command in ["replay", "run", "show"] {
        let again = run(&[command, saved]);
        assert_eq!(again.status.code(), FOUND, "{}", err(&again));
        assert!(out(&again).contains(why), "{command}: {}", out(&again));
    }
    let other = run(&["replay", saved, "--transport", "shm"]);
    assert_eq!(other.status.code(), UNUSABLE);
    assert!(err(&other).contains("is for `mem`"), "{}", err(&other));
    let same = run(&["replay", saved, "--transport", "mem"]);
    assert_eq!(out(&same), out(&run(&["replay", saved])));
}

#[test]
fn saved_plans_that_are_listed_can_be_run() {
    let run = sim(&["run", "clock_ahead_for_good"]);
    assert_eq!(run.status.code(), FINE, "{}", err(&run));
    assert_eq!(out(&run), out(&sim(&["replay", "clock_ahead_for_good"])));
}

const SLOW: &str = r#"
about = "A call that takes nearly as long as a world may, and faults of which one is too much."

[plugin.images]

[[call]]
do = "nap(115000)"

[[fault]]
when = "at 203.418ms"
what = "latency of link images 5.112947s"

[[fault]]
when = "at 31.4ms"
what = "slow images to 10us an event for 1.234ms"
"#;

#[test]
fn shrinking_says_what_it_came_to_and_saves_a_plan_that_fails() {
    let scenario = file("shrink", "slow.toml", SLOW);
    let saved = scenario.with_file_name("saved.toml");
    let path = |path: &Path| path.to_str().expect("paths are UTF-8").to_owned();
    let output = sim(&["shrink", &path(&scenario), "--out", &path(&saved)]);
    assert_eq!(output.status.code(), FOUND, "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("2 faults → 1 (simpler), "), "{text}");
    assert!(text.contains(" runs, "), "{text}");
    assert!(text.contains("at 120s: progress: not over"), "{text}");
    let fault = r#"    "at 0s: latency of link images 3s","#;
    assert!(text.contains(fault), "{text}");
    let kept = std::fs::read_to_string(&saved).expect("the plan is written");
    assert!(kept.contains(fault), "{kept}");
    // The saved plan finds its scenario, which is in no folder of scenarios.
    let again = sim(&["replay", &path(&saved)]);
    assert_eq!(again.status.code(), FOUND, "{}", err(&again));
    assert!(
        out(&again).contains("not over after 120s"),
        "{}",
        out(&again)
    );
    // It does so from every folder, and wherever it was made.
    let elsewhere = file("shrink/else/where", "README.md", "");
    let elsewhere = elsewhere.parent().expect("it is in a folder");
    let at = |folder: &Path, args: &[&str]| {
        let output = command(args).current_dir(folder).output();
        output.expect("cargo-sim starts")
    };
    let folder = scenario.parent().expect("it is in a folder");
    let plan = "else/plan.toml";
    let output = at(folder, &["shrink", "slow.toml", "--out", plan]);
    assert_eq!(output.status.code(), FOUND, "{}", err(&output));
    let kept = std::fs::read_to_string(folder.join(plan)).expect("the plan is written");
    assert!(kept.contains(r#"world = "../slow.toml""#), "{kept}");
    let again = at(elsewhere, &["replay", "../plan.toml"]);
    assert_eq!(again.status.code(), FOUND, "{}", err(&again));
    let lost = kept.replace("../slow", "slow");
    std::fs::write(folder.join(plan), lost).expect("the plan can be written");
    let lost = at(elsewhere, &["replay", "../plan.toml"]);
    assert_eq!(lost.status.code(), UNUSABLE);
    let told = err(&lost);
    let why = "the world of the saved plan `../plan.toml`: there is no file `../slow.toml`";
    assert!(told.contains(why), "{told}");
    // Nothing more can be taken from it.
    let again = out(&sim(&["shrink", &path(&saved)]));
    assert!(again.starts_with("1 fault → 1, "), "{again}");
    assert!(again.contains(fault), "{again}");
}
