//! Death at every store, with everything that it may leave.

use super::losses::{Losses, every_loss};
use crate::fault::{Fault, What, When};
use crate::report::Report;
use crate::world::WorldBuilder;

/// Failures beyond this many say nothing new.
const FAILURES_MAX: usize = 16;

/// What came of [`explore_stores`].
#[derive(Clone, Debug, Default)]
pub struct StoreExploration {
    /// Moments at which the process was killed: before each of its stores, rings and messages.
    pub moments: u64,
    /// Worlds that were run.
    pub runs: u64,
    /// The most words that were stored and not released at any moment.
    pub unreleased_max: usize,
    /// Moments at which so many of those were looked at afterwards that only some of their subsets
    /// were run.
    pub thinned: u64,
    /// What was found wrong, in order; at most 16.
    pub failures: Vec<Report>,
}

/// Runs a world once for every store of `process`, which dies before that store, and for every
/// subset of the words that it had stored and not released by then.
///
/// Subsets that nobody can tell apart are one run: the survivors look at few of those words, and a
/// run in which they look at the same ones, and find the same, is the same run. A moment at which
/// that still makes more than 4,096 runs is thinned: all small subsets, all that lack little, and
/// 256 drawn ones.
///
/// The world should be short. What is found wrong has the store and the words in its plan: see
/// [`What::KillLosing`].
///
/// # Panics
///
/// As [`WorldBuilder::run`].
pub fn explore_stores(process: &str, world: &WorldBuilder) -> StoreExploration {
    let mut explored = StoreExploration::default();
    let mut failures = Vec::new();
    for store in 1.. {
        let moment = explore_moment(process, store, world.seed_number(), |crash| {
            let report = world.clone().fault(crash.when, crash.what).may_miss().run();
            let look = Look::of(&report);
            if !report.is_ok() {
                failures.push(report);
            }
            look.filter(|_| failures.len() < FAILURES_MAX)
        });
        explored.runs += moment.runs;
        explored.unreleased_max = explored.unreleased_max.max(moment.unreleased);
        explored.thinned += u64::from(moment.thinned);
        if moment.runs == 0 || failures.len() >= FAILURES_MAX {
            break;
        }
        explored.moments += 1;
    }
    explored.failures = failures;
    explored
}

/// What a run tells of the stores that were not released.
pub(crate) struct Look {
    /// How many there were.
    unreleased: usize,
    /// Which ones somebody looked at, in that order.
    seen: Vec<u32>,
}

impl Look {
    /// `None` when the death did not happen.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let killed = report.faults.get("kill_losing");
        killed.filter(|count| count.hit > 0).map(|_| Look {
            unreleased: report.unreleased,
            seen: report.unreleased_seen.clone(),
        })
    }
}

/// What came of death at one moment.
#[derive(Default)]
pub(crate) struct Moment {
    /// None when the moment never came.
    pub(crate) runs: u64,
    pub(crate) unreleased: usize,
    pub(crate) thinned: bool,
}

/// Kills `process` before its `store`-th store, with every loss that this can bring, until `run`
/// gives nothing.
pub(crate) fn explore_moment(
    process: &str,
    store: u64,
    seed: u64,
    mut run: impl FnMut(Fault) -> Option<Look>,
) -> Moment {
    let mut moment = Moment::default();
    let losses = every_loss(seed ^ store, |stores| {
        let look = run(Fault {
            when: When::Store {
                process: process.to_owned(),
                n: store,
            },
            what: What::KillLosing {
                process: process.to_owned(),
                stores: stores.to_vec(),
            },
        })?;
        moment.runs += 1;
        moment.unreleased = moment.unreleased.max(look.unreleased);
        Some(look.seen)
    });
    moment.thinned = losses == Losses::Some;
    moment
}
