//! Death at every store, with everything that it may leave.

use super::Tear;
use crate::fault::{What, When};
use crate::report::Report;
use crate::world::WorldBuilder;

/// Failures beyond this many say nothing new.
const FAILURES_MAX: usize = 16;
/// Words that thinned moments look at one by one.
const LAST_WORDS: usize = 8;

/// What came of [`explore_stores`].
#[derive(Clone, Debug, Default)]
pub struct StoreExploration {
    /// Moments at which the process was killed: before each of its stores, rings and messages.
    pub moments: u64,
    /// Worlds that were run: one for each moment and each subset of unreleased words.
    pub states: u64,
    /// The most words that were stored and not released at any moment.
    pub unreleased_max: usize,
    /// Moments with so many unreleased words that only some of the subsets were run.
    pub thinned: u64,
    /// What was found wrong, in order; at most 16.
    pub failures: Vec<StoreFailure>,
}

/// A state that an oracle found wrong.
#[derive(Clone, Debug)]
pub struct StoreFailure {
    /// The process died before this store, counted from 1.
    pub store: u64,
    /// What stayed of its unreleased words.
    pub tear: Tear,
    /// What came of it.
    pub report: Report,
}

/// Runs a world once for every store of `process`, which dies before that store, and for every
/// subset of the words that it had stored and not released by then.
///
/// `world` makes the world of a [`Tear`], which belongs into the [`ShmShape`](super::ShmShape) of
/// its links; it should be short, since the number of worlds is that of the stores times two to the
/// power of the unreleased words. Moments with more than `words_max` of those are thinned: all
/// words, none, each of the last eight alone, and each of them missing.
///
/// # Panics
///
/// When `words_max` is more than 20, or as [`WorldBuilder::run`].
pub fn explore_stores(
    process: &str,
    words_max: usize,
    world: impl Fn(Tear) -> WorldBuilder,
) -> StoreExploration {
    assert!(words_max <= 20, "more than a million subsets of one moment");
    let mut explored = StoreExploration::default();
    for store in 1.. {
        let run = |tear: Tear| {
            let process = process.to_owned();
            let when = When::Store {
                process: process.clone(),
                n: store,
            };
            world(tear).fault(when, What::Kill { process }).run()
        };
        let first = run(Tear::Nothing);
        let killed = first.faults.get("kill").is_some_and(|count| count.hit > 0);
        if !killed {
            return explored;
        }
        let words = first.unreleased;
        explored.moments += 1;
        explored.unreleased_max = explored.unreleased_max.max(words);
        explored.thinned += u64::from(words > words_max);
        explored.count(store, Tear::Nothing, first);
        for tear in subsets(words, words_max) {
            explored.count(store, tear, run(tear));
        }
        if explored.failures.len() >= FAILURES_MAX {
            return explored;
        }
    }
    explored
}

/// All subsets of so many words but the whole, or some of them.
fn subsets(words: usize, words_max: usize) -> Vec<Tear> {
    if words <= words_max {
        return (0..(1_u64 << words) - 1).map(Tear::Leave).collect();
    }
    let shown = words.min(64);
    let all = u64::MAX >> (64 - shown);
    let last = shown.saturating_sub(LAST_WORDS)..shown;
    let alone = last.clone().map(|word| Tear::Leave(1 << word));
    let missing = last.map(|word| Tear::Leave(all & !(1 << word)));
    [Tear::Everything]
        .into_iter()
        .chain(alone)
        .chain(missing)
        .collect()
}

impl StoreExploration {
    fn count(&mut self, store: u64, tear: Tear, report: Report) {
        self.states += 1;
        if !report.is_ok() && self.failures.len() < FAILURES_MAX {
            self.failures.push(StoreFailure {
                store,
                tear,
                report,
            });
        }
    }
}
