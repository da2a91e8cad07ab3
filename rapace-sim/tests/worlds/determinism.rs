//! The same seed gives the same run: twice, on several threads, in several processes.

use std::collections::BTreeSet;
use std::process::Command;

use rapace_sim::standard;

/// Set for the copies of this test's process that only print hashes.
const CHILD: &str = "RAPACE_SIM_TEST_HASHES";

const SEEDS: std::ops::Range<u64> = 0..24;

fn hashes() -> Vec<String> {
    SEEDS
        .map(|seed| format!("{seed} {}", standard::world(seed).run().hash))
        .collect()
}

#[test]
fn two_processes_give_the_same_hashes_and_seeds_differ() {
    if std::env::var_os(CHILD).is_some() {
        for line in hashes() {
            println!("hash {line}");
        }
        return;
    }
    let child = || {
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["two_processes_give_the_same_hashes", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .expect("a copy of this process");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        // The first line may follow the test's name.
        let hashes = text.lines().filter_map(|line| line.split_once("hash "));
        hashes.map(|(_, hash)| hash.to_owned()).collect::<Vec<_>>()
    };
    let first = child();
    assert_eq!(first.len(), SEEDS.count());
    assert_eq!(first, child());
    assert_eq!(first, hashes());
    let different: BTreeSet<_> = first.iter().map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(different.len(), first.len(), "two seeds gave one trace");
}

#[test]
fn threads_do_not_change_what_a_seed_gives() {
    let alone = hashes();
    let others: Vec<_> = (0..3).map(|_| std::thread::spawn(hashes)).collect();
    for other in others {
        assert_eq!(other.join().expect("a thread"), alone);
    }
}

#[test]
fn keeping_the_trace_does_not_change_it() {
    for seed in SEEDS {
        let world = standard::world(seed);
        let kept = world.clone().trace(true).run();
        assert_eq!(world.run().hash, kept.hash, "seed {seed}");
        let trace = kept.trace.expect("it was asked for");
        assert_eq!(trace.hash, kept.hash);
        let json = serde_json::to_string(&trace).expect("to JSON");
        let back: rapace_sim::Trace = serde_json::from_str(&json).expect("from JSON");
        assert_eq!(back, trace, "seed {seed}");
    }
}

#[test]
fn a_world_that_reads_a_real_clock_is_found_out() {
    use rapace_sim::{Oracle, Program, World};
    let host = Program::new().main(|host| async move {
        let started = std::time::SystemTime::now();
        host.note(format!("{started:?}"));
    });
    let report = World::builder().host("host", host).run_twice();
    let first = report.failures.first().expect("the runs differ");
    assert_eq!(first.oracle, Oracle::Determinism);
}

#[test]
fn what_depends_on_the_real_clock_is_told_with_the_place_where_runs_part() {
    use rapace_sim::{Oracle, Program, World};
    use std::sync::atomic::{AtomicU32, Ordering};

    // As good as a clock: something that is another thing in each run.
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let host = Program::new().main(|host| async move {
        host.note("the same");
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        host.note(format!("run {run}"));
    });
    let report = World::builder().host("host", host).run_twice();
    let failure = &report.failures[0];
    assert_eq!(failure.oracle, Oracle::Determinism);
    let text = &failure.text;
    let parts = text
        .split_once("two more runs part after")
        .map(|(_, rest)| rest);
    let parts = parts.unwrap_or_else(|| panic!("{text}"));
    for said in ["the same", "run 2", "run 3"] {
        assert!(parts.contains(said), "{text}");
    }
}
