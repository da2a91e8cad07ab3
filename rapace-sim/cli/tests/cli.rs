//! The command line as people and CI see it: what it prints, and its exit codes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FINE: Option<i32> = Some(0);
const FOUND: Option<i32> = Some(1);
const UNUSABLE: Option<i32> = Some(2);

fn command(args: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sim"));
    command.args(args).current_dir(root).env("NO_COLOR", "1");
    command
}

fn sim(args: &[&str]) -> Output {
    command(args).output().expect("cargo-sim starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

/// A file in a fresh folder of this test.
fn file(test: &str, name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}

const DIES: &str = r#"
about = "The plugin dies, and nobody said that it may."

[plugin.images]

[[call]]
do = "nap(500)"

[[fault]]
when = "at 100ms"
what = "kill images"

[[fault]]
when = "at 50ms"
what = "slow images to 10us an event for 1ms"
"#;

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

/// A call that takes longer than a world may: every run fails, whatever else happens.
const ENDLESS: &str = r#"
about = "A call that takes longer than a world may."
plugin.images = {}

[[call]]
do = "nap(130000)"
"#;

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

/// Files are what their keys say, not what their lines begin with.
#[test]
fn a_scenario_may_be_written_in_other_words_of_toml() {
    let path = file("toml", "endless.toml", &ENDLESS.replace("130000", "1"));
    let path = path.to_str().expect("paths are UTF-8");
    for command in ["run", "replay", "show"] {
        let output = sim(&[command, path]);
        assert_eq!(output.status.code(), FINE, "{command}: {}", err(&output));
    }
}

#[test]
fn seeds_and_transports_of_scenarios_can_be_chosen() {
    let hash = |args: &[&str]| {
        let output = sim(args);
        assert_eq!(output.status.code(), FINE, "{args:?}: {}", err(&output));
        let text = out(&output);
        text.lines().last().unwrap_or_default().to_owned()
    };
    let name = "row_04_unread_stream";
    let own = hash(&["replay", name]);
    assert_eq!(own, hash(&["replay", name, "--transport", "stream"]));
    assert_ne!(own, hash(&["replay", name, "--transport", "shm"]));
    let five = hash(&["replay", name, "--seed", "5"]);
    assert_ne!(own, five);
    assert_eq!(five, hash(&["replay", name, "--seed", "5"]));
    assert_eq!(hash(&["replay", "1_7"]), hash(&["replay", "17"]));
    let shown = |args: &[&str]| out(&sim(args));
    assert_ne!(
        shown(&["show", name]),
        shown(&["show", name, "--seed", "5"])
    );
    let shrunk = out(&sim(&["shrink", name, "--seed", "5", "--transport", "mem"]));
    assert!(shrunk.contains("over mem with seed 5"), "{shrunk}");
}

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

#[test]
fn every_command_shows_how_it_is_used() {
    for command in ["run", "sweep", "replay", "shrink", "show", "list"] {
        let help = out(&sim(&[command, "--help"]));
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
        let examples = examples.lines().filter(|line| line.contains("cargo sim "));
        assert!(examples.count() >= 2, "{help}");
    }
}

/// What goes into `jq` is JSON alone, also when the run has failed.
#[test]
fn json_stands_alone() {
    let path = file("json", "dies.toml", DIES);
    let output = sim(&["show", path.to_str().expect("paths are UTF-8"), "--json"]);
    assert_eq!(output.status.code(), FOUND);
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert!(json["events"].is_array());
    assert!(
        err(&output).contains("call `nap` (line 6)"),
        "{}",
        err(&output)
    );
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

#[test]
fn a_page_stands_alone() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace.html");
    let shown = path.to_str().expect("paths are UTF-8");
    let output = sim(&["show", "row_02_link_cut", "--html", shown]);
    assert_eq!(output.status.code(), FINE, "{}", err(&output));
    let page = std::fs::read_to_string(&path).expect("the page is there");
    assert!(page.starts_with("<!"), "{}", &page[..20]);
    assert!(page.contains("row_02_link_cut"));
}

#[test]
fn everything_is_listed() {
    let output = sim(&["list"]);
    assert_eq!(output.status.code(), FINE, "{}", err(&output));
    assert!(out(&output).lines().count() >= 40);
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
