//! How many seeds the standard world needs until an oracle objects: what the mutation check asks
//! of every planted bug, and what it is good for in general.
//!
//! `cargo run -p rapace-sim --example seeds_to_find -- RANGES SEEDS [SECONDS]` sweeps so many ranges of
//! so many seeds each and prints a line for each: `found N ORACLE TEXT` with the number of seeds that
//! it took, or `missed N` with the number of seeds that were swept, fewer than asked for when SECONDS
//! were over. A range that is missed ends it: the others would be missed as well.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::time::{Duration, Instant};

use rapace_sim::{Sweep, standard, sweep};

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let (Some(Ok(ranges)), Some(Ok(seeds))) = (args.next(), args.next()) else {
        eprintln!("expected two numbers: how many ranges, and how many seeds each has");
        std::process::exit(2);
    };
    let limit = args.next().and_then(Result::ok).map(Duration::from_secs);
    let begun = Instant::now();
    for range in 0..ranges {
        let begin = range * seeds;
        let config = Sweep {
            time_max: limit.map(|limit| limit.saturating_sub(begun.elapsed())),
            ..Sweep::over(begin..begin + seeds)
        };
        let report = sweep(&config, standard::world, |_| {});
        let Some(failed) = report.failures.first() else {
            println!("missed {}", report.seeds);
            return;
        };
        let first = &failed.failures[0];
        let text: String = first.text.split_whitespace().collect::<Vec<_>>().join(" ");
        println!(
            "found {} {} {text}",
            failed.plan.seed - begin + 1,
            first.oracle
        );
    }
}
