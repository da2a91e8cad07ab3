//! Sweeps the standard world on one core and says how fast that was.
//!
//! `cargo run --release -p rapace-sim --example standard_sweep -- 0 2000`

use rapace_sim::{Sweep, shrink, standard, sweep};

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let (from, to) = (args.next().unwrap_or(0), args.next().unwrap_or(1_000));
    let config = Sweep {
        threads: args.next().unwrap_or(1) as usize,
        failures_max: 8,
        ..Sweep::over(from..to)
    };
    let report = sweep(&config, standard::world, |_| {});
    println!(
        "{} seeds in {:.1?}: {:.0} steps/s, {:.0} steps and {:.2} ms a seed, virtual:real {:.0}:1, {} calls",
        report.seeds,
        report.real_time,
        report.steps_per_second(),
        report.steps as f64 / report.seeds as f64,
        report.real_time.as_secs_f64() * 1e3 / report.seeds as f64,
        report.time_ratio(),
        report.calls,
    );
    println!("faults {:?}\nmarks {:?}", report.faults, report.marks);
    for failed in &report.failures {
        println!("{failed}");
        if let Some(shrunk) = shrink(&standard::world(failed.plan.seed)) {
            println!("shrunk in {} runs: {}", shrunk.runs, shrunk.report);
        }
    }
}
