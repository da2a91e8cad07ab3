//! Reading scenarios: what is understood, and what is said of what is not.

use proptest::prelude::*;

use super::*;
use crate::fault::{FrameKind, Moment, What, When};
use crate::{LinkKind, Nanos, Restart};

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
    assert_eq!(first.invocation.args, [Arg::Stream]);
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

#[test]
fn every_key_of_the_format_is_in_the_reference() {
    let reference = include_str!("../../../docs/simulator/scenario-format.md");
    for key in parse::all_keys() {
        let told = format!("`{key}`");
        assert!(reference.contains(&told), "`{key}` is not in scenario-format.md");
    }
    for (_, word) in Ending::WORDS {
        assert!(reference.contains(word), "`{word}` is not in scenario-format.md");
    }
    for form in sentence::forms() {
        assert!(reference.contains(form), "`{form}` is not in scenario-format.md");
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
    }
}

#[test]
fn plans_of_seeds_survive_being_saved() {
    for seed in 0..300 {
        let plan = crate::Plan::swarm(seed, &crate::Cast::standard());
        let saved = SavedPlan::standard(format!("seed \"{seed}\"\nfailed"), plan);
        let text = saved.to_string();
        assert_eq!(SavedPlan::parse("x", &text).unwrap_or_else(|e| panic!("{e}")), saved);
    }
}
