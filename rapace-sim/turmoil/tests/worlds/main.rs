//! Worlds of many hosts: see the crate's documentation for what holds in all of them.
//!
//! Each runs under several seeds, each seed twice: the two logs must be the same. To replay one:
//! `RAPACE_TURMOIL_SEEDS=7 cargo test -p rapace-sim-turmoil --test worlds NAME -- --nocapture`.

mod chaos;
mod crashes;
mod endings;
mod guards;
mod holds;
mod plan;
mod streams;

use rapace_sim_turmoil::{Report, World};

/// How many seeds a world runs under when nobody asks for others.
const SEEDS: u64 = 6;

/// The seeds to run: `RAPACE_TURMOIL_SEEDS=7` for one, `1..100` for a range without its end, or
/// `default` of them from 1.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("RAPACE_TURMOIL_SEEDS") else {
        return 1..default + 1;
    };
    let number = |text: &str| -> u64 {
        text.parse()
            .expect("RAPACE_TURMOIL_SEEDS is a number, or two with .. between them")
    };
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&asked)..number(&asked) + 1,
    }
}

/// [`check_seeds`] with the usual number of seeds.
#[track_caller]
fn check(name: &str, build: impl Fn(u64) -> World) -> Vec<Report> {
    check_seeds(name, SEEDS, build)
}

/// Runs a world under each of its seeds, each twice, and returns what each seed gave.
///
/// # Panics
///
/// When something that must hold does not, or when a seed gives two logs.
#[track_caller]
fn check_seeds(name: &str, default: u64, build: impl Fn(u64) -> World) -> Vec<Report> {
    let seeds = seeds(default);
    let shown = seeds.clone().count() == 1;
    let run = |seed| {
        build(seed).run().unwrap_or_else(|why| {
            panic!(
                "world {name}, seed {seed}: {why}\nreplay with: RAPACE_TURMOIL_SEEDS={seed} cargo \
                 test -p rapace-sim-turmoil --test worlds {name}"
            )
        })
    };
    seeds
        .map(|seed| {
            let report = run(seed);
            let again = run(seed);
            for (first, second) in report.log.lines().zip(again.log.lines()) {
                assert_eq!(first, second, "world {name}: seed {seed} gives two logs");
            }
            assert_eq!(report, again, "world {name}: seed {seed} gives two logs");
            if shown {
                println!("{}", report.log);
            }
            report
        })
        .collect()
}
