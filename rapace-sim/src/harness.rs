//! Worlds as ordinary tests: what [`#[rapace_sim::test]`](macro@crate::test) calls.
#![expect(
    clippy::disallowed_methods,
    reason = "who replays a test says so in the environment"
)]

use std::fmt::Write as _;

use crate::draw::{Draws, Purpose};
use crate::fault::{Fault, What};
use crate::link::LinkKind;
use crate::plan::Plan;
use crate::report::Report;
use crate::shrink::{Shrunk, shrink};
use crate::sweep::{Sweep, sweep};
use crate::world::{World, WorldBuilder};

/// How many seeds a test runs that does not say.
pub const SEEDS: u64 = 100;

/// Runs one seed only: its number.
const SEED_VARIABLE: &str = "RAPACE_SIM_SEED";
/// Replaces the faults of the seed's plan: sentences with semicolons between, as plans print them;
/// or `none`. A number keeps that fault of the seed's plan, counted from 0.
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
/// When a run fails: with its seed, what was found first, the faults that matter, as simple as they
/// can be, the end of the trace, and the command that replays it. Also when a mark was passed and never reached.
#[track_caller]
pub fn test(options: &Options, world: fn(WorldBuilder) -> WorldBuilder) {
    if let Ok(seed) = std::env::var(SEED_VARIABLE) {
        let seed = seed.parse().unwrap_or_else(|_| {
            panic!("{SEED_VARIABLE} is `{seed}`, which is no number of a seed");
        });
        replay(options, world, seed);
        return;
    }
    assert!(
        std::env::var_os(FAULTS_VARIABLE).is_none(),
        "{FAULTS_VARIABLE} needs a {SEED_VARIABLE}"
    );
    assert!(options.seeds > 0, "`seeds = 0` would test nothing");
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
    if let Some((never, _)) = report.asked.iter().find(|(_, seeds)| **seeds == 0) {
        panic!(
            "with none of {} seeds did `{never}` find anything to hit; `may_miss` would allow it",
            report.seeds
        );
    }
}

fn built(options: &Options, world: fn(WorldBuilder) -> WorldBuilder, seed: u64) -> WorldBuilder {
    let transport = *Draws::new(seed, Purpose::World, 0).pick(LinkKind::MIXED);
    let built = world(World::builder().seed(seed).transport(transport)).counts_missing();
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
        if let Err(why) = built.check() {
            panic!("{FAULTS_VARIABLE}: {why}");
        }
    }
    // Twice, so that a failure of determinism is seen again, too.
    let report = built.trace(true).run_twice();
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

/// A world with other faults than those of its plan.
fn keeping(world: WorldBuilder, kept: &str) -> WorldBuilder {
    let Plan { seed, faults } = world.planned().clone();
    let fault = |text: &str| {
        if let Ok(at) = text.parse::<usize>() {
            let count = faults.len();
            return faults.get(at).cloned().unwrap_or_else(|| {
                panic!("{FAULTS_VARIABLE}: `{at}` is no number of one of the {count} faults")
            });
        }
        let fault = text.parse::<Fault>();
        fault.unwrap_or_else(|error| panic!("{FAULTS_VARIABLE}: `{text}`: {error}"))
    };
    let kept = kept.trim();
    let faults = if kept == "none" {
        Vec::new()
    } else if kept.starts_with('[') {
        serde_json::from_str(kept).unwrap_or_else(|error| panic!("{FAULTS_VARIABLE}: {error}"))
    } else {
        let texts = kept.split(';').map(str::trim);
        texts.filter(|text| !text.is_empty()).map(fault).collect()
    };
    world.plan(Plan { seed, faults })
}

/// Faults as `keeping` reads them, for a shell.
fn said(faults: &[Fault]) -> String {
    if faults.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let is_read = |text: &String, fault: &Fault| {
        !text.contains(';') && text.parse().is_ok_and(|read: Fault| read == *fault)
    };
    let text = if texts
        .iter()
        .zip(faults)
        .all(|(text, fault)| is_read(text, fault))
    {
        texts.join("; ")
    } else {
        // Names with blanks, say.
        serde_json::to_string(faults).unwrap_or_default()
    };
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a failing test says: what is wrong, with which faults, what happened, how to see it again.
fn message(options: &Options, world: fn(WorldBuilder) -> WorldBuilder, failed: &Report) -> String {
    let seed = failed.plan.seed;
    let shrunk = shrink(&built(options, world, seed));
    let report = match &shrunk {
        Some(shrunk) => {
            let again = built(options, world, seed).plan(shrunk.plan.clone());
            again.trace(true).run()
        }
        // A failure that comes and goes: at least what happens without it.
        None => Report {
            trace: built(options, world, seed).trace(true).run().trace,
            ..failed.clone()
        },
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
    let _ = write!(text, "\n\n{}", built(options, world, seed).links_in_words());
    let _ = write!(text, "\n{}", matter(drawn, shrunk.as_ref()));
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
    let faults = shrunk.map_or_else(String::new, |shrunk| {
        format!(" {FAULTS_VARIABLE}={}", said(&shrunk.plan.faults))
    });
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
fn matter(drawn: usize, shrunk: Option<&Shrunk>) -> String {
    let Some(shrunk) = shrunk.filter(|_| drawn > 0) else {
        return match drawn {
            0 => "it takes no fault".to_owned(),
            _ => format!("with all {drawn} faults of this seed"),
        };
    };
    let kept = match shrunk.kept.len() {
        0 => "none".to_owned(),
        1 => "one".to_owned(),
        kept => kept.to_string(),
    };
    let simpler = match shrunk.simplified {
        0 => "",
        _ => ", here made simple",
    };
    format!("it takes {kept} of the {drawn} faults of this seed{simpler}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::When;
    use crate::time::Nanos;

    fn kill(process: &str) -> Fault {
        Fault {
            when: When::At(Nanos::from_millis(17)),
            what: What::Kill {
                process: process.to_owned(),
            },
        }
    }

    /// What a shell makes of a word in single quotes.
    fn unquoted(word: &str) -> String {
        let word = word.replace(r"'\''", "\u{0}");
        word.replace('\'', "").replace('\u{0}', "'")
    }

    fn kept(world: &WorldBuilder, text: &str) -> Vec<Fault> {
        let kept = keeping(world.clone(), &unquoted(text));
        kept.planned().faults.clone()
    }

    #[test]
    fn faults_of_a_message_are_those_of_the_replay() {
        let world = World::builder().plan(Plan {
            seed: 1,
            faults: vec![kill("a"), kill("b"), kill("c")],
        });
        for faults in [
            vec![],
            vec![kill("a")],
            vec![kill("x"), kill("b"), kill("x")],
            // Such names have no sentences.
            vec![kill("the plugin"), kill("it's")],
            vec![kill("a;b")],
        ] {
            assert_eq!(kept(&world, &said(&faults)), faults, "{}", said(&faults));
        }
        assert_eq!(
            said(&[kill("a"), kill("b")]),
            "'at 17ms: kill a; at 17ms: kill b'"
        );
        assert_eq!(kept(&world, "2; 0"), [kill("c"), kill("a")]);
        assert_eq!(kept(&world, "at 17ms: kill x; 1;"), [kill("x"), kill("b")]);
    }

    #[test]
    #[should_panic(expected = "RAPACE_SIM_FAULTS: `3` is no number of one of the 2 faults")]
    fn a_number_of_no_fault_is_refused() {
        let faults = vec![kill("a"), kill("b")];
        keeping(World::builder().plan(Plan { seed: 1, faults }), "0; 3");
    }
}
