//! Sweeps: many seeds of one world.
#![expect(
    clippy::disallowed_methods,
    reason = "a sweep is many worlds on many threads, and takes real time"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::panics;
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
    /// Stops after so many failures, 1 at least; those of the lowest seeds are told. Default: 1.
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
    /// With how many seeds each fault took effect that was given with [`WorldBuilder::fault`].
    pub asked: BTreeMap<String, u64>,
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
        for (fault, hit) in &report.asked {
            *self.asked.entry(fault.clone()).or_default() += u64::from(*hit);
        }
        if !report.is_ok() {
            // Which threads are how far must not decide which failures are told.
            let at = self
                .failures
                .partition_point(|one| one.plan.seed < report.plan.seed);
            self.failures.insert(at, report);
            self.failures.truncate(failures_max);
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
/// What comes of each seed does not depend on the number of threads, nor does which failures are
/// told. After a failure those that are under way are finished, so more threads may run a few seeds
/// more.
///
/// # Panics
///
/// When a world cannot be described or run: with its seed.
pub fn sweep(
    sweep: &Sweep,
    world: impl Fn(u64) -> WorldBuilder + Sync,
    mut progress: impl FnMut(&SweepReport),
) -> SweepReport {
    let begun = Instant::now();
    // Counted from the first seed: the last ones there are have no number behind them.
    let next = AtomicU64::new(0);
    let count = sweep.seeds.end.saturating_sub(sweep.seeds.start);
    let stop = AtomicBool::new(false);
    let mut all = SweepReport::default();
    let mut broken = None;
    let (sender, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..sweep.threads.max(1) {
            let (sender, next, stop, world) = (sender.clone(), &next, &stop, &world);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !sweep.stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let seed = sweep.seeds.start + at;
                    let twice = sweep.twice_every > 0 && seed.is_multiple_of(sweep.twice_every);
                    let run = || {
                        let world = world(seed);
                        if twice {
                            world.run_twice()
                        } else {
                            world.run()
                        }
                    };
                    let run = catch_unwind(AssertUnwindSafe(run));
                    let broken = run.is_err();
                    if sender.send((seed, run)).is_err() || broken {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, run) in reports {
            let report = match run {
                Ok(report) => report,
                Err(panic) => {
                    stop.store(true, Ordering::Relaxed);
                    broken.get_or_insert((seed, panic));
                    continue;
                }
            };
            all.add(report, sweep.failures_max.max(1));
            all.real_time = begun.elapsed();
            progress(&all);
            let late = sweep.time_max.is_some_and(|max| all.real_time >= max);
            if late || all.failures.len() >= sweep.failures_max.max(1) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    if let Some((seed, panic)) = broken {
        panic!("seed {seed} has no world: {}", panics::message(&*panic));
    }
    all.real_time = begun.elapsed();
    all
}
