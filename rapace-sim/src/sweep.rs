//! Sweeps: many seeds of one world.
#![expect(
    clippy::disallowed_methods,
    reason = "a sweep is many worlds on many threads, and takes real time"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::report::{FaultCount, Report};
use crate::time::Nanos;
use crate::world::WorldBuilder;

/// What a sweep does.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// How many threads run worlds, one world each. Default: as many as the machine offers.
    pub threads: usize,
    /// Runs every seed of so many twice and compares the hashes; 0 never does. Default: 16.
    pub twice_every: u64,
    /// Stops after so many failures. Default: 1.
    pub failures_max: usize,
    /// Stops after so much real time. Default: never.
    pub time_max: Option<Duration>,
    /// Set by anybody at any time, it ends the sweep: worlds that are under way are finished, and
    /// no further ones begin. Default: a flag that nobody has.
    pub stop: Arc<AtomicBool>,
}

impl Sweep {
    /// A sweep over these seeds.
    pub fn over(seeds: Range<u64>) -> Self {
        Sweep {
            seeds,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            twice_every: 16,
            failures_max: 1,
            time_max: None,
            stop: Arc::default(),
        }
    }
}

/// What came of a sweep, or of its beginning.
#[derive(Clone, Debug, Default)]
pub struct SweepReport {
    /// Seeds that were run.
    pub seeds: u64,
    /// The reports of those that failed, lowest seed first.
    pub failures: Vec<Report>,
    /// Polls and events of all runs.
    pub steps: u64,
    /// Frames of all runs.
    pub frames: u64,
    /// Virtual time of all runs together.
    pub virtual_time: Nanos,
    /// Real time that the sweep took.
    pub real_time: Duration,
    /// How often each mark was reached.
    pub marks: BTreeMap<String, u64>,
    /// Faults by kind.
    pub faults: BTreeMap<String, FaultCount>,
    /// Calls that were watched.
    pub calls: u64,
}

impl SweepReport {
    fn add(&mut self, report: Report, failures_max: usize) {
        self.seeds += 1;
        self.steps += report.steps;
        self.frames += report.frames;
        self.virtual_time = self.virtual_time + report.virtual_time;
        self.calls += report.calls.begun;
        for (mark, count) in &report.marks {
            *self.marks.entry(mark.clone()).or_default() += count;
        }
        for (kind, count) in &report.faults {
            let sum = self.faults.entry(kind.clone()).or_default();
            sum.planned += count.planned;
            sum.hit += count.hit;
        }
        if !report.is_ok() && self.failures.len() < failures_max {
            self.failures.push(report);
            self.failures.sort_by_key(|report| report.plan.seed);
        }
    }

    /// Marks that are known and were never reached.
    pub fn marks_missed(&self) -> Vec<&str> {
        let missed = self.marks.iter().filter(|(_, count)| **count == 0);
        missed.map(|(mark, _)| mark.as_str()).collect()
    }

    /// Steps in a second of real time.
    pub fn steps_per_second(&self) -> f64 {
        self.steps as f64 / self.real_time.as_secs_f64().max(1e-9)
    }

    /// How much faster virtual time went than real time.
    pub fn time_ratio(&self) -> f64 {
        self.virtual_time.0 as f64 / 1e9 / self.real_time.as_secs_f64().max(1e-9)
    }
}

/// Runs the world of each seed. `progress` hears of every finished seed.
///
/// Which seeds run, and what comes of each, does not depend on the number of threads; after a
/// failure those that are under way are finished.
pub fn sweep(
    sweep: &Sweep,
    world: impl Fn(u64) -> WorldBuilder + Sync,
    mut progress: impl FnMut(&SweepReport),
) -> SweepReport {
    let begun = Instant::now();
    let next = AtomicU64::new(sweep.seeds.start);
    let stop = AtomicBool::new(false);
    let mut all = SweepReport::default();
    let (sender, reports) = mpsc::channel::<Report>();
    std::thread::scope(|scope| {
        for _ in 0..sweep.threads.max(1) {
            let (sender, next, stop, world) = (sender.clone(), &next, &stop, &world);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !sweep.stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= sweep.seeds.end {
                        return;
                    }
                    let world = world(seed);
                    let twice = sweep.twice_every > 0 && seed.is_multiple_of(sweep.twice_every);
                    let report = if twice {
                        world.run_twice()
                    } else {
                        world.run()
                    };
                    if sender.send(report).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for report in reports {
            all.add(report, sweep.failures_max);
            all.real_time = begun.elapsed();
            progress(&all);
            let late = sweep.time_max.is_some_and(|max| all.real_time >= max);
            if late || all.failures.len() >= sweep.failures_max.max(1) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    all.real_time = begun.elapsed();
    all
}
