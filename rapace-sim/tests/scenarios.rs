//! Every file of `scenarios/` over every transport that it names, with its trace as a snapshot.
#![allow(
    clippy::disallowed_methods,
    reason = "the environment says which scenario"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rapace_sim::scenario::{SavedPlan, Scenario, Services};
use rapace_sim::{LinkKind, WorldBuilder, standard};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the snapshots are: in the package, where `cargo insta` looks for them.
fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots")
}

/// The scenario files, sorted by name.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("scenarios")).expect("scenarios/ is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("scenarios/ can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).expect("a scenario can be read");
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("names are ASCII");
    Scenario::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_scenario_is_as_expected_over_every_transport() {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(snapshots());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut failures = Vec::new();
    let mut runs = 0;
    for file in files() {
        let scenario = read(&file);
        if !scenario.name.contains(&only) {
            continue;
        }
        for transport in &scenario.transports {
            if !transport.is_available() {
                println!(
                    "skipped: {} over {}: it cannot be simulated yet",
                    scenario.name,
                    transport.name()
                );
                continue;
            }
            let verdict = scenario.run(*transport);
            runs += 1;
            if !verdict.is_ok() {
                failures.push(verdict.to_string());
            }
            let name = format!("{}@{}", scenario.name, transport.name());
            settings.bind(|| insta::assert_snapshot!(name, verdict.text(&scenario)));
        }
    }
    assert!(runs > 0, "no scenario is called like `{only}`");
    assert!(
        failures.is_empty(),
        "{} fail:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let services = Services::standard();
    for file in files() {
        let scenario = read(&file);
        for transport in scenario
            .transports
            .iter()
            .filter(|kind| kind.is_available())
        {
            let name = format!("{} over {}", scenario.name, transport.name());
            let hash = |seed| scenario.run_with(*transport, seed, &services).report.hash;
            let first = hash(scenario.seed);
            assert_eq!(first, hash(scenario.seed), "{name}");
            assert_ne!(first, hash(scenario.seed + 1), "{name}");
        }
    }
}

#[test]
fn every_snapshot_belongs_to_a_scenario() {
    let mut wanted = BTreeSet::new();
    for file in files() {
        let scenario = read(&file);
        for transport in scenario
            .transports
            .iter()
            .filter(|kind| kind.is_available())
        {
            wanted.insert(format!("{}@{}.snap", scenario.name, transport.name()));
        }
    }
    let entries = fs::read_dir(snapshots()).expect("snapshots/ is there");
    let found: BTreeSet<String> = entries
        .map(|entry| entry.expect("snapshots/ can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.contains('@') && !name.ends_with(".snap.new"))
        .collect();
    let unreferenced: Vec<_> = found.difference(&wanted).collect();
    assert!(
        unreferenced.is_empty(),
        "no scenario has these: {unreferenced:?}"
    );
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "these are missing: {missing:?}");
}

/// A snapshot is the same on every machine, so nothing of one may be in it.
#[test]
fn snapshots_hold_no_path_and_no_address() {
    let here = root().canonicalize().expect("the repository is there");
    let here = here.to_str().expect("paths are UTF-8").to_owned();
    let entries = fs::read_dir(snapshots()).expect("snapshots/ is there");
    for entry in entries {
        let path = entry.expect("snapshots/ can be read").path();
        let text = fs::read_to_string(&path).expect("a snapshot can be read");
        assert!(!text.contains(&here), "{} has a path in it", path.display());
        for word in text.split("0x").skip(1) {
            let digits = word.chars().take_while(char::is_ascii_hexdigit).count();
            assert!(digits < 10, "{} may have an address in it", path.display());
        }
    }
}

/// A run of more steps than this is too long to be crashed everywhere with every change of the code.
const STEPS_MAX: u64 = 150;
/// Over shared memory every store is a moment, too, also those of payloads.
const STORES_MAX: u64 = 800;

/// Whether a scenario is short enough over this transport: each of its processes, the host too, can
/// be crashed everywhere in a moment.
fn is_short(scenario: &Scenario, transport: LinkKind) -> bool {
    let report = scenario.run(transport).report;
    report.steps <= STEPS_MAX && report.stores.values().sum::<u64>() <= STORES_MAX
}

/// Crashes every short scenario over this transport everywhere; how many there are.
fn crash_everywhere_over(transport: LinkKind) -> usize {
    let services = Services::standard();
    let mut explored = 0;
    for file in files() {
        let scenario = read(&file);
        if !scenario.transports.contains(&transport) {
            continue;
        }
        let (name, over) = (&scenario.name, transport.name());
        if !is_short(&scenario, transport) {
            println!("left: cargo sim run {name} --transport {over} --crash-everywhere");
            continue;
        }
        explored += 1;
        let all = scenario.crash_everywhere(transport, &services, |_| {});
        if let Some(verdict) = all.failures.first() {
            let crash = verdict.report.plan.faults.last();
            panic!(
                "{verdict}\nwith {}",
                crash.map(ToString::to_string).unwrap_or_default()
            );
        }
        assert!(all.cut_short.is_empty(), "{name} is too long for this");
        assert!(all.events > 5, "{name}: only {} crash points", all.events);
        assert_eq!(all.stores > 0, transport == LinkKind::Shm, "{name}");
        assert_eq!(all.bytes > 0, transport == LinkKind::Stream, "{name}");
        assert_eq!(all.thinned, 0, "{name}: not every subset was tried");
        println!(
            "{name} over {over}: {} events, {} stores, {} bytes, {} runs, up to {} unreleased words",
            all.events, all.stores, all.bytes, all.runs, all.unreleased_max
        );
    }
    explored
}

#[test]
fn every_process_may_crash_before_any_event_and_within_any_write() {
    assert!(crash_everywhere_over(LinkKind::Stream) > 30);
    assert!(crash_everywhere_over(LinkKind::Mem) > 30);
}

#[test]
fn every_process_may_crash_before_any_event_and_any_store() {
    assert!(crash_everywhere_over(LinkKind::Shm) > 15);
}

/// The failures that a sweep found are fixed, and their faults still hit what they hit: else the run
/// would show nothing.
#[test]
fn saved_failures_stay_fixed() {
    let entries = fs::read_dir(root().join("scenarios/regressions"));
    let mut paths: Vec<PathBuf> = entries
        .expect("scenarios/regressions/ is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "only {} saved failures", paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).expect("a saved plan can be read");
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let saved = SavedPlan::parse(name, &text).unwrap_or_else(|error| panic!("{error}"));
        assert!(!saved.about.is_empty(), "{name} does not say what it was");
        let faults = saved.plan.faults.len();
        let has_all = |world: WorldBuilder| {
            if let Err(why) = world.check() {
                panic!("{name}: {why}");
            }
        };
        let report = if saved.world == SavedPlan::STANDARD {
            let world = standard::with_plan(saved.plan);
            has_all(world.clone());
            world.trace(true).run_twice()
        } else {
            let files = saved.scenario_files(&path, &root().join("scenarios"));
            let Some(file) = files.iter().find(|file| file.is_file()) else {
                panic!("{name}: there is no scenario `{}`", saved.world);
            };
            let scenario = read(file);
            let transport = saved.transport.unwrap_or(scenario.transports[0]);
            let services = Services::standard();
            has_all(
                scenario
                    .builder(transport, &services)
                    .plan(saved.plan.clone()),
            );
            let verdict = scenario.run_saved(transport, &saved.plan, &services);
            assert!(verdict.is_ok(), "{name}: {verdict}");
            verdict.report
        };
        assert!(report.is_ok(), "{name}: {report}");
        assert_eq!(
            report.hit.len(),
            faults,
            "{name}: only these of its faults still hit: {:?}",
            report.hit
        );
    }
}
