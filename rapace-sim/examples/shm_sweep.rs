//! Sweeps the standard world with nothing but links over shared memory, and shrinks what fails.
//!
//! `cargo run --release -p rapace-sim --example shm_sweep -- 0 2000`

use rapace_sim::{LinkKind, Sweep, shrink, standard, sweep};

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let (from, to) = (args.next().unwrap_or(0), args.next().unwrap_or(1_000));
    let world = |seed| standard::world_over(seed, LinkKind::Shm);
    let config = Sweep {
        threads: args.next().unwrap_or(1) as usize,
        failures_max: 12,
        ..Sweep::over(from..to)
    };
    let report = sweep(&config, world, |_| {});
    println!(
        "{} seeds in {:.1?}: {:.2} ms a seed, {} calls",
        report.seeds,
        report.real_time,
        report.real_time.as_secs_f64() * 1e3 / report.seeds as f64,
        report.calls,
    );
    println!("faults {:?}\nmarks {:?}", report.faults, report.marks);
    for failed in &report.failures {
        println!("{failed}");
        if let Some(shrunk) = shrink(&world(failed.plan.seed)) {
            let again = world(failed.plan.seed).plan(shrunk.report.plan).trace(true);
            println!("shrunk in {} runs: {}", shrunk.runs, again.run());
        }
    }
}
