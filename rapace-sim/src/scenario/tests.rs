//! Reading scenarios: what is understood, and what is said of what is not.

use proptest::prelude::*;

use super::*;
use crate::fault::{FrameKind, Moment, What, When};
use crate::{LinkKind, Nanos, Plan, Restart};

const FULL: &str = r#"
about = "Everything that can be said."
transports = ["stream", "mem"]
seed = 9

[host]
limits = { window_bytes = "64KiB", ping_interval = "1s" }

[plugin.images]
link = { latency = "1ms", jitter = "0s", window_bytes = 4096, short_io = false }
restart = "20ms"
serves = ["Testbed"]

[plugin.css]
restart = "never"

[[call]]
name = "first"
to = "images"
do = "Testbed.sum(stream)"
send = { items = 10, every = "1ms" }
deadline = "1s"
repeat = 2
parallel = 3
returns = 45
within = "20ms"

[[call]]
at = "5ms"
after = "first"
from = "css"
do = "add(1, -2)"
fails = ["peer died", "not sent"]
says = "gone"

[[fault]]
when = "after images sends response 3"
what = "restart images after 20ms"
may_miss = true

[expect]
lives = { images = 2 }
over_by = "10s"
"#;

#[test]
fn everything_that_can_be_said_is_understood() {
    let scenario = Scenario::parse("scenarios/full.toml", FULL).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(scenario.name, "full");
    assert_eq!(scenario.transports, [LinkKind::Stream, LinkKind::Mem]);
    assert_eq!(scenario.seed, 9);
    assert_eq!(scenario.host.limits.window_bytes, 64 << 10);
    let [images, css] = &*scenario.plugins else {
        panic!("two plugins in the order of the file");
    };
    assert_eq!((&*images.name, &*css.name), ("images", "css"));
    assert_eq!(images.link.window_bytes, 4096);
    assert_eq!(images.party.serves, ["Testbed"]);
    assert_eq!(css.restart, Restart::Never);
    let [first, second] = &*scenario.calls else {
        panic!("two calls");
    };
    assert_eq!(first.invocation.full_name(), "Testbed.sum");
    assert_eq!(first.invocation.args, [Arg::Json(1.into())]);
    assert_eq!(first.ports[0].send.items, 10);
    assert_eq!(first.total(), 6);
    assert_eq!(first.line, 17);
    assert_eq!((&*second.from, &*second.to), ("css", "host"));
    assert_eq!(second.expect.fails, [Ending::PeerDied, Ending::NotSent]);
    let [fault] = &*scenario.faults else {
        panic!("one fault");
    };
    let when = When::Frame {
        from: "images".into(),
        kind: FrameKind::Response,
        n: 3,
        moment: Moment::After,
    };
    assert_eq!(fault.fault.when, when);
    let what = What::Restart {
        process: "images".into(),
        after: Nanos::from_millis(20),
    };
    assert_eq!(fault.fault.what, what);
    assert_eq!(scenario.expect.lives["images"], 2);
}

/// What is said of a scenario in which a piece of [`FULL`] is replaced.
fn said(piece: &str, by: &str) -> String {
    assert!(FULL.contains(piece), "{piece}");
    let text = FULL.trim_start().replacen(piece, by, 1);
    let error = Scenario::parse("x.toml", &text).expect_err(by);
    error.to_string()
}

#[test]
fn errors_show_the_place_and_what_was_expected() {
    let mut all = String::new();
    for (piece, by) in [
        ("about = \"Everything that can be said.\"", ""),
        ("seed = 9", "sead = 9"),
        ("\"mem\"]", "\"memm\"]"),
        ("returns = 45", "retruns = 45"),
        ("returns = 45", "returns = \"many\""),
        ("deadline = \"1s\"", "deadline = 1"),
        ("deadline = \"1s\"", "deadline = \"soon\""),
        ("window_bytes = 4096", "window_bytes = 0"),
        ("window_bytes = 4096", "window_bytes = \"4kb\""),
        ("repeat = 2", "repeat = 0"),
        ("repeat = 2", "repeat = 900000"),
        ("Testbed.sum(stream)", "Testbed.smu(stream)"),
        ("Testbed.sum(stream)", "Tsetbed.sum(stream)"),
        ("Testbed.sum(stream)", "Testbed.sum(17)"),
        ("Testbed.sum(stream)", "Testbed.sum(stream, stream)"),
        ("Testbed.sum(stream)", "Testbed.sum(stream"),
        ("add(1, -2)", "add(1, \\\"two\\\")"),
        ("add(1, -2)", "add(1, two)"),
        ("add(1, -2)", "nothing"),
        ("after = \"first\"", "after = \"frist\""),
        ("from = \"css\"", "from = \"ccs\""),
        ("from = \"css\"", "from = \"css\"\nto = \"images\""),
        ("[\"peer died\", \"not sent\"]", "\"peer dead\""),
        ("fails = [\"peer died\", \"not sent\"]\n", ""),
        ("response 3", "respnse 3"),
        ("after images sends", "after imges sends"),
        (
            "after images sends response 3",
            "before store 17 of images after imges sends response 3",
        ),
        (
            "after images sends response 3",
            "before store 17 of images after the next response",
        ),
        ("restart images after 20ms", "kill images losing stores 1,x"),
        ("restart images after 20ms", "restart images later"),
        ("restart images after 20ms", "reboot images"),
        ("restart images after 20ms", "cut link host"),
        ("restart = \"never\"", "restart = \"nevr\""),
        ("[plugin.css]", "[plugin.host]"),
        ("lives = { images = 2 }", "lives = { image = 2 }"),
        ("[host]", "[host"),
        ("to = \"images\"\n", ""),
    ] {
        all.push_str(&said(piece, by));
        all.push_str("\n\n");
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("errors", all);
    });
}

const SEVERAL: &str = r#"
about = "Several streams."
[plugin.a]
serves = ["Manifold"]
[[call]]
do = 'take({ "left": stream, "right": stream }, null, 0)'
send.feeds.left = { items = 3 }
send.feeds.right = { items = ["AAAA"] }
[[call]]
do = 'cross(tunnel, tunnel)'
reads = { here = 3, there = "at least 3" }
read.here = { stop_after = 3 }
[[call]]
do = 'give({ "items": 1, "bytes": 1, "micros": 1 }, null)'
reads.right = "absent"
reads.left = ["AA=="]
"#;

#[test]
fn several_streams_are_understood_each() {
    let scenario = Scenario::parse("several", SEVERAL).unwrap_or_else(|error| panic!("{error}"));
    let of = |call: usize| {
        let ports = scenario.calls[call].ports.iter();
        ports.map(|port| (&*port.name, port)).collect::<Vec<_>>()
    };
    let [("feeds.left", left), ("feeds.right", right)] = &*of(0) else {
        panic!("two streams in the arguments");
    };
    assert_eq!((left.number, left.send.items), (1, 3));
    assert_eq!((right.number, right.send.items), (2, 0));
    assert_eq!(right.send.values, Some(vec!["AAAA".into()]));
    let [("here", here), ("there", there)] = &*of(1) else {
        panic!("two tunnels");
    };
    assert_eq!(here.read.stop_after, Some(3));
    assert_eq!(here.reads, Reads::Count { least: 3, most: 3 });
    let least = Reads::Count {
        least: 3,
        most: u64::MAX,
    };
    assert_eq!(there.reads, least);
    let [("left", left), ("right", right)] = &*of(2) else {
        panic!("two streams are returned");
    };
    assert_eq!((left.number, right.number), (101, 102));
    assert_eq!(left.reads, Reads::Items(vec!["AA==".into()]));
    assert_eq!(right.reads, Reads::Absent);
}

/// What is said of a call that speaks of several streams and tunnels, and says something wrong.
#[test]
fn errors_about_streams_show_the_place_and_what_was_expected() {
    const TAKE: &str = r#"take({ "left": stream, "right": stream }, null, 0)"#;
    const RELAY: &str = "relay_both([stream, stream])";
    const CROSS: &str = "cross(tunnel, tunnel)";
    let mut all = String::new();
    for (call, rest) in [
        (TAKE, "send = { items = 3 }"),
        (TAKE, "send.feeds = { items = 3 }"),
        (TAKE, "send.feeds.lefft = { items = 3 }"),
        (TAKE, "send.left = { items = 3 }"),
        (TAKE, "send.feeds.left = 3"),
        (TAKE, "send.feeds.left = { itms = 3 }"),
        (TAKE, "reads.left = 3"),
        (
            r#"take({ "left": stream }, null, 0)"#,
            "send.feeds.right = { items = 3 }",
        ),
        (r#"take({ "left": strem }, null, 0)"#, ""),
        (r#"take({ "left": tunnel }, null, 0)"#, ""),
        (r#"take({ "left": "stream" }, null, 0)"#, ""),
        (r#"take({ "right": stream }, null, 0)"#, ""),
        ("take(stream, null, 0)", ""),
        (r#"take({ "left": stream }, stream, 0)"#, ""),
        (CROSS, "reads = 3"),
        (CROSS, "reads = { here = [1] }"),
        (CROSS, "send.here = { items = 3 }"),
        (CROSS, "[call.send.threre]\nbytes = 3"),
        (RELAY, "reads.0 = \"absent\""),
        (RELAY, "reads.2 = 1"),
        (RELAY, "reads.1 = \"some\""),
        (RELAY, "reads.1 = true"),
        (RELAY, "read.0 = { text = \"a\" }"),
        (RELAY, "send.pair.0 = { items = [\"a\", 1] }"),
        ("relay_both([stream])", ""),
        ("sum(stream)", "send.numbers = { items = 1 }"),
        ("sum(stream)", "send = { text = \"a\" }"),
        ("count(3)", "reads.return = 1"),
        ("count(3)", "read.return = { every = \"1ms\" }"),
        ("add(1, 2)", "reads = 1"),
        ("add(1, 2)", "send = { items = 1 }"),
    ] {
        let text = format!("about = \"x\"\n[plugin.a]\n[[call]]\ndo = '{call}'\n{rest}\n");
        let error = Scenario::parse("x.toml", &text).expect_err(rest);
        all.push_str(&error.to_string());
        all.push_str("\n\n");
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("errors_about_streams", all);
    });
}

#[test]
fn every_key_of_the_format_is_in_the_reference() {
    let reference = include_str!("../../../docs/simulator/scenario-format.md");
    for key in parse::all_keys() {
        let told = format!("`{key}`");
        assert!(
            reference.contains(&told),
            "`{key}` is not in scenario-format.md"
        );
    }
    for (_, word) in Ending::WORDS {
        assert!(
            reference.contains(word),
            "`{word}` is not in scenario-format.md"
        );
    }
    for form in sentence::forms() {
        assert!(
            reference.contains(form),
            "`{form}` is not in scenario-format.md"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_without_a_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_bodies::script(&data);
    }

    #[test]
    fn damaged_scenarios_are_read_without_a_panic(
        changes in prop::collection::vec(any::<u8>(), 3..60),
    ) {
        fuzz_bodies::changed_script(FULL, &changes);
        fuzz_bodies::changed_script(SEVERAL, &changes);
    }
}

#[test]
fn plans_of_seeds_survive_being_saved() {
    for seed in 0..300 {
        let plan = crate::Plan::swarm(seed, &crate::Cast::standard());
        let saved = SavedPlan::standard(format!("seed \"{seed}\"\nfailed"), plan);
        let text = saved.to_string();
        assert_eq!(
            SavedPlan::parse("x", &text).unwrap_or_else(|e| panic!("{e}")),
            saved
        );
    }
}

/// What is wrong with the call of a small scenario in which the plugin dies at 10 ms.
fn verdict_of(expectation: &str) -> Vec<String> {
    let text = format!(
        "about = \"x\"\n[plugin.a]\n[[call]]\ndo = \"drip(100, 10, 1000)\"\n{expectation}\n\
         [[fault]]\nwhen = \"at 10ms\"\nwhat = \"kill a\"\n"
    );
    let scenario = Scenario::parse("x", &text).unwrap_or_else(|error| panic!("{error}"));
    scenario.run(LinkKind::Stream).problems
}

#[test]
fn each_expectation_can_fail_and_can_hold() {
    assert_eq!(verdict_of("fails = \"peer died\""), Vec::<String>::new());
    for (right, wrong, told) in [
        (
            "",
            "fails = \"dropped\"",
            "should fail with `dropped`, but it failed with `peer died`",
        ),
        (
            "says = \"peer died\"",
            "says = \"out of cheese\"",
            "should say `out of cheese`",
        ),
        (
            "within = \"11ms\"",
            "within = \"9ms\"",
            "should end within 9ms",
        ),
        (
            "not_before = \"9ms\"",
            "not_before = \"11ms\"",
            "should take at least 11ms",
        ),
        (
            "reads = \"8 to 10\"",
            "reads = \"at least 11\"",
            "should read at least 11",
        ),
    ] {
        let ending = if wrong.starts_with("fails") {
            ""
        } else {
            "fails = \"peer died\"\n"
        };
        if !right.is_empty() {
            let problems = verdict_of(&format!("{ending}{right}"));
            assert!(problems.is_empty(), "{right}: {problems:?}");
        }
        let problems = verdict_of(&format!("{ending}{wrong}"));
        assert!(
            problems.iter().any(|text| text.contains(told)),
            "{wrong}: {problems:?}"
        );
    }
    let problems = verdict_of("");
    assert!(
        problems.iter().any(|text| text.contains("should succeed")),
        "{problems:?}"
    );
}

#[test]
fn items_that_do_not_come_as_listed_are_told_and_long_ones_abbreviated() {
    let text = r#"
about = "Two relays, of which the script expects something else."
[plugin.a]
[[call]]
do = "relay(stream)"
send = { items = 1, item_bytes = 300 }
reads = ["short"]
[[call]]
do = "relay(stream)"
send = { items = ["two", "three"] }
reads = 2
[[call]]
name = "right"
do = "relay(stream)"
send = { items = 2 }
reads = ["ITEM 0 ", "ITEM 1 "]
"#;
    let scenario = Scenario::parse("x", text).unwrap_or_else(|error| panic!("{error}"));
    let problems = scenario.run(LinkKind::Mem).problems;
    let [problem] = &*problems else {
        panic!("one problem, not {problems:#?}");
    };
    let told = "item 1 of the stream is \"ITEM 0 ................................… 302 chars ";
    assert!(problem.contains(told), "{problem}");
    assert!(problem.ends_with("and not \"short\""), "{problem}");
}

#[test]
fn expectations_of_the_world_can_fail() {
    let text = r#"
about = "Nothing that is expected happens."
[plugin.a]
[[call]]
do = "add(1, 2)"
returns = 4
[[call]]
name = "well"
do = "add(1, 2)"
fails = "peer died"
[[fault]]
when = "at 1000s"
what = "kill a"
[[fault]]
when = "after host sends request 1"
what = "doorbells of link a coalesced for 1s"
[expect]
lives = { a = 2 }
dead = "a"
marks = "never marked"
over_by = "1us"
"#;
    let scenario = Scenario::parse("x", text).unwrap_or_else(|error| panic!("{error}"));
    let problems = scenario.run(LinkKind::Stream).problems;
    for told in [
        "should return 4, but it returned 3",
        "should fail with `peer died`, but it returned 3",
        "`at 1000s: kill a` (line 11) never came",
        "cannot happen over `stream`, which has no doorbells; write `transports = [\"shm\"]`",
        "a should have 2 lives, but it had 1",
        "a should be dead at the end",
        "`never marked` was never reached",
        "all should be over by 1us",
    ] {
        assert!(
            problems.iter().any(|text| text.contains(told)),
            "{told}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 8, "{problems:#?}");
}

#[test]
fn a_fault_that_a_transport_cannot_have_says_where_it_can_happen() {
    let problems = |what: &str, transport| {
        let text = format!(
            "about = \"x\"\n[plugin.a]\n[[call]]\ndo = \"add(1, 2)\"\n[[fault]]\nwhen = \"after host sends request 1\"\nwhat = \"{what}\"\n"
        );
        let scenario = Scenario::parse("x", &text).unwrap_or_else(|error| panic!("{error}"));
        scenario.run(transport).problems.join("\n")
    };
    let corrupt = "corrupt byte 900000 of host on link a by 1";
    let told = problems(corrupt, LinkKind::Mem);
    assert!(
        told.contains("cannot happen over `mem`, which has no bytes; write `transports = [\"stream\", \"shm\"]`"),
        "{told}"
    );
    let told = problems(corrupt, LinkKind::Stream);
    assert!(!told.contains("cannot happen"), "{told}");
}

/// Every way to see a run again is one that shows the same.
#[test]
fn how_to_see_a_run_again_says_what_the_command_line_cannot_know() {
    let text = "about = \"x\"\n[plugin.a]\n[[call]]\ndo = \"add(1, 2)\"\nreturns = 4\n";
    let own = Services::standard().with::<WorkbenchClient, _>(|process| {
        WorkbenchServer::new(super::workbench::Bench::new(process))
    });
    let fault = crate::Fault {
        when: When::At(Nanos(900_000_000)),
        what: What::Kill {
            process: "a".to_owned(),
        },
    };
    let plan = Plan {
        seed: 7,
        faults: vec![fault],
    };
    let scenario = Scenario::parse("dir/x.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let standard = Services::standard();
    let again = |plan: &Plan, services: &Services| {
        let verdict = scenario.run_plan(LinkKind::Mem, plan, services);
        assert!(!verdict.is_ok());
        let text = verdict.to_string();
        let (_, again) = text.split_once("\nsee it again: ").expect("it says how");
        again.to_owned()
    };
    let calm = scenario.plan(7);
    assert_eq!(
        again(&calm, &standard),
        "cargo sim run x --transport mem --seed 7"
    );
    let saved = again(&plan, &standard);
    let saved = saved.strip_prefix("cargo sim replay FILE, where the file has this:\n");
    let saved = SavedPlan::parse("x", saved.expect("a saved plan")).expect("it is one");
    assert_eq!(saved.plan, plan);
    assert_eq!((&*saved.world, saved.transport), ("x", Some(LinkKind::Mem)));
    for plan in [&calm, &plan] {
        let again = again(plan, &own);
        assert!(!again.contains("cargo sim"), "{again}");
        assert!(again.contains("over mem with "), "{again}");
        assert!(again.contains("seed 7"), "{again}");
    }
}

#[test]
fn long_traces_are_folded_and_nothing_rare_is_left_out() {
    let text = r#"
about = "Many calls and one fault."
[plugin.a]
[[call]]
do = "add(1, 2)"
repeat = 200
[[fault]]
when = "after host sends request 100"
what = "slow a to 1us an event for 1us"
"#;
    let scenario = Scenario::parse("x", text).unwrap_or_else(|error| panic!("{error}"));
    let verdict = scenario.run(LinkKind::Mem);
    let folded = verdict.text(&scenario);
    assert!(folded.lines().count() < 80, "{folded}");
    assert!(folded.contains("!! slow a"), "{folded}");
    assert!(folded.contains(" request from host"), "{folded}");
    assert!(folded.contains("add  200 × 3"), "{folded}");
    let trace = verdict.report.trace.expect("scenarios keep their traces");
    let counted: usize = folded
        .lines()
        .filter_map(|line| line.trim().strip_prefix('…'))
        .flat_map(|line| line.trim().split(", "))
        .filter_map(|part| part.split(' ').next()?.parse::<usize>().ok())
        .sum();
    let shown = folded
        .lines()
        .skip(3)
        .filter(|line| line.contains("  "))
        .count();
    let gaps = folded
        .lines()
        .filter(|line| line.trim().starts_with('…'))
        .count();
    // The last line is the summary of the calls.
    assert_eq!(shown - gaps - 1 + counted, trace.events.len(), "{folded}");
}
