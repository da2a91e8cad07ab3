//! What can be run, and how it is shown.

use std::path::Path;

use crate::{DIES, ENDLESS, FINE, FOUND, err, file, out, sim};

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
