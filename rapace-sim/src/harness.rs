//! Worlds as ordinary tests: what [`#[rapace_sim::test]`](macro@crate::test) calls.

use std::fmt::Write as _;

use crate::fault::What;
use crate::plan::Plan;
use crate::report::Report;
use crate::shrink::shrink;
use crate::sweep::{Sweep, sweep};
use crate::world::{World, WorldBuilder};

/// How many seeds a test runs that does not say.
pub const SEEDS: u64 = 100;

/// Runs one seed only: its number.
const SEED_VARIABLE: &str = "RAPACE_SIM_SEED";
/// Keeps only these faults of the seed's plan: their numbers with commas between, or `none`.
const FAULTS_VARIABLE: &str = "RAPACE_SIM_FAULTS";

/// What a test runs, and how it is called.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seeds from 0 on.
    pub seeds: u64,
    /// Whether each seed draws faults, of all kinds but [`What::Corrupt`]; without them only the order
    /// of things differs.
    pub faults: bool,
    /// The package of the test.
    pub package: &'static str,
    /// Its module, with the crate.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// Runs a world over the seeds of a test, on all cores, every sixteenth seed twice.
///
/// The environment variables `RAPACE_SIM_SEED` and `RAPACE_SIM_FAULTS` replay one run instead, and
/// print its trace.
///
/// # Panics
///
/// When a run fails: with its seed, what was found first, the faults that matter, the end of the
/// trace, and the command that replays it. Also when a mark was passed and never reached.
#[track_caller]
pub fn test(options: &Options, world: fn(WorldBuilder) -> WorldBuilder) {
    if let Ok(seed) = std::env::var(SEED_VARIABLE) {
        let seed = seed.parse().unwrap_or_else(|_| {
            panic!("{SEED_VARIABLE} is `{seed}`, which is no number of a seed");
        });
        replay(options, world, seed);
        return;
    }
    let of_seed = |seed| built(options, world, seed);
    let report = sweep(&Sweep::over(0..options.seeds), of_seed, |_| {});
    if let Some(failed) = report.failures.first() {
        panic!("{}", message(options, world, failed));
    }
    let missed = report.marks_missed();
    assert!(
        missed.is_empty(),
        "{} seeds never reached: {}; more seeds, or a world where that can happen?",
        report.seeds,
        missed.join(", ")
    );
}

fn built(options: &Options, world: fn(WorldBuilder) -> WorldBuilder, seed: u64) -> WorldBuilder {
    let built = world(World::builder().seed(seed));
    if !options.faults {
        return built;
    }
    let mut plan = Plan::swarm(seed, &built.cast());
    // The protocol has no checksums: where bytes change on their way, a wrong answer and a call that
    // waits for ever are no fault of the test's.
    plan.faults
        .retain(|fault| !matches!(fault.what, What::Corrupt { .. }));
    // Faults that the test itself asks for stay.
    plan.faults
        .splice(0..0, built.planned().faults.iter().cloned());
    built.plan(plan)
}

#[track_caller]
fn replay(options: &Options, world: fn(WorldBuilder) -> WorldBuilder, seed: u64) {
    let mut built = built(options, world, seed);
    if let Ok(kept) = std::env::var(FAULTS_VARIABLE) {
        built = keeping(built, &kept);
    }
    let report = built.trace(true).run();
    if let Some(trace) = &report.trace {
        println!("{trace}");
    }
    println!("{}", report.plan);
    println!("trace hash {}", report.hash);
    for failure in &report.failures {
        println!("{failure}");
    }
    assert!(report.is_ok(), "seed {seed} fails");
}

/// Only some faults of a world's plan.
fn keeping(world: WorldBuilder, kept: &str) -> WorldBuilder {
    let plan = world.planned();
    let faults = if kept.trim() == "none" {
        Vec::new()
    } else {
        let number = |text: &str| {
            let at: Option<usize> = text.trim().parse().ok();
            let fault = at.and_then(|at| plan.faults.get(at));
            let count = plan.faults.len();
            fault.cloned().unwrap_or_else(|| {
                panic!("{FAULTS_VARIABLE}: `{text}` is no number of one of the {count} faults")
            })
        };
        kept.split(',').map(number).collect()
    };
    let seed = plan.seed;
    world.plan(Plan { seed, faults })
}

/// What a failing test says: what is wrong, with which faults, what happened, how to see it again.
fn message(options: &Options, world: fn(WorldBuilder) -> WorldBuilder, failed: &Report) -> String {
    let seed = failed.plan.seed;
    let shrunk = shrink(&built(options, world, seed));
    let (report, kept) = match &shrunk {
        Some(shrunk) => {
            let again = built(options, world, seed).plan(shrunk.plan.clone());
            (again.trace(true).run(), Some(&shrunk.kept))
        }
        None => (failed.clone(), None),
    };
    let mut text = format!("`{}` fails with seed {seed}", options.name);
    for (at, failure) in report.failures.iter().take(FAILURES_SHOWN).enumerate() {
        let also = if at > 0 { "also " } else { "" };
        let said = failure.text.replace('\n', "\n    ");
        let _ = write!(text, "\n\n  {also}at {}, {}", failure.at, failure.oracle);
        let _ = write!(text, "\n    {said}");
        if let Some(place) = &failure.place {
            let _ = write!(text, "\n    in {place}");
        }
    }
    let drawn = failed.plan.faults.len();
    let _ = write!(text, "\n\n{}", matter(drawn, kept));
    for fault in &report.plan.faults {
        let _ = write!(text, "\n  {fault}");
    }
    let _ = write!(
        text,
        "\n\nwhat happened, in virtual milliseconds ({LEGEND})\n{}",
        report.last_lines()
    );
    let module = options.module.split_once("::").map(|(_, module)| module);
    let test = match module {
        Some(module) => format!("{module}::{}", options.name),
        None => options.name.to_owned(),
    };
    let faults = match kept {
        Some(kept) if kept.is_empty() => format!(" {FAULTS_VARIABLE}=none"),
        Some(kept) => {
            let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
            format!(" {FAULTS_VARIABLE}={}", kept.join(","))
        }
        None => String::new(),
    };
    let _ = write!(
        text,
        "\nsee it again, with the whole trace:\n  \
         {SEED_VARIABLE}={seed}{faults} cargo test -p {} {test} -- --exact --nocapture\n",
        options.package
    );
    text
}

/// What of one run is told.
const FAILURES_SHOWN: usize = 5;
/// What the marks of a trace's lines mean.
const LEGEND: &str = "!! a fault, ** a process, -- a link or a call, ?? what is wrong";

/// How many of a seed's faults it takes.
fn matter(drawn: usize, kept: Option<&Vec<usize>>) -> String {
    match (drawn, kept.map(Vec::len)) {
        (0, _) => "it takes no fault".to_owned(),
        (_, None) => format!("with all {drawn} faults that the seed draws"),
        (_, Some(0)) => format!("it takes none of the {drawn} faults that the seed draws"),
        (_, Some(1)) => format!("it takes one of the {drawn} faults that the seed draws"),
        (_, Some(kept)) => format!("it takes {kept} of the {drawn} faults that the seed draws"),
    }
}
