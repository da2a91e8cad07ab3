//! Worlds of many hosts: see the crate's documentation for what holds in all of them.
//!
//! Each runs under several seeds, each seed twice: the two logs must be the same. To replay one:
//! `RAPACE_TURMOIL_SEED=7 cargo test -p rapace-sim-turmoil --test worlds NAME -- --nocapture`.

mod crashes;

use std::time::Duration;

use rapace_sim_turmoil::{Report, World};

/// The seeds that every world runs under, unless one is asked for.
const SEEDS: std::ops::Range<u64> = 1..7;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs a world under every seed, each twice, and returns what each seed gave.
///
/// # Panics
///
/// When something that must hold does not, or when a seed gives two logs.
#[track_caller]
fn check(name: &str, build: impl Fn(u64) -> World) -> Vec<Report> {
    let asked: Option<u64> = std::env::var("RAPACE_TURMOIL_SEED")
        .ok()
        .map(|seed| seed.parse().expect("RAPACE_TURMOIL_SEED is a number"));
    let seeds: Vec<u64> = asked.map_or_else(|| SEEDS.collect(), |seed| vec![seed]);
    let run = |seed| {
        build(seed).run().unwrap_or_else(|why| {
            panic!(
                "world {name}, seed {seed}: {why}\nreplay with: RAPACE_TURMOIL_SEED={seed} cargo \
                 test -p rapace-sim-turmoil --test worlds {name}"
            )
        })
    };
    seeds
        .into_iter()
        .map(|seed| {
            let report = run(seed);
            assert_eq!(
                report,
                run(seed),
                "world {name}: seed {seed} gives two logs"
            );
            if asked.is_some() {
                println!("{}", report.log);
            }
            report
        })
        .collect()
}
