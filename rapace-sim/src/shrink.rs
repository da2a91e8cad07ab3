//! From a plan that fails to the faults that matter.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::report::{Oracle, Report};
use crate::world::WorldBuilder;

/// A plan that still fails, and from which nothing can be taken away.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The faults that are left; also those of `report`.
    pub plan: Plan,
    /// Which of the first plan's faults they are, from 0.
    pub kept: Vec<usize>,
    /// The last failing run.
    pub report: Report,
    /// How many runs it took.
    pub runs: u64,
}

/// Takes faults away from the world's plan as long as it fails at the same oracle.
///
/// This is delta debugging (Zeller and Hildebrandt, 2002): what is left is minimal in that leaving
/// out any single fault makes the failure go away. It works because random draws do not depend on
/// which faults there are.
///
/// `None` when the world does not fail, or fails for being nondeterministic.
pub fn shrink(world: &WorldBuilder) -> Option<Shrunk> {
    let first = world.clone().trace(false).run();
    let oracle = first.failures.first()?.oracle;
    shrink_while(world, |report| fails_at(report, oracle))
}

fn fails_at(report: &Report, oracle: Oracle) -> bool {
    report
        .failures
        .first()
        .is_some_and(|first| first.oracle == oracle)
}

/// As [`shrink`], with another notion of failing.
pub fn shrink_while(world: &WorldBuilder, fails: impl Fn(&Report) -> bool) -> Option<Shrunk> {
    let seed = world.planned().seed;
    let all = world.planned().faults.clone();
    let mut runs = 0;
    let mut attempt = |kept: &[usize]| {
        runs += 1;
        let faults: Vec<Fault> = kept.iter().map(|at| all[*at].clone()).collect();
        let report = world.clone().trace(false).plan(Plan { seed, faults }).run();
        fails(&report).then_some(report)
    };
    let mut kept: Vec<usize> = (0..all.len()).collect();
    let mut report = attempt(&kept)?;
    if let Some(without) = attempt(&[]) {
        kept.clear();
        report = without;
    }
    let mut parts = 2;
    while kept.len() > 1 {
        let size = kept.len().div_ceil(parts);
        let chunks: Vec<Vec<usize>> = kept.chunks(size).map(<[usize]>::to_vec).collect();
        let smaller = chunks
            .iter()
            .enumerate()
            .flat_map(|(at, chunk)| {
                let rest: Vec<usize> = chunks
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != at)
                    .flat_map(|(_, chunk)| chunk.iter().copied())
                    .collect();
                // With two parts the rest of one is the other.
                if chunks.len() == 2 {
                    vec![chunk.clone()]
                } else {
                    vec![chunk.clone(), rest]
                }
            })
            .find_map(|candidate| attempt(&candidate).map(|report| (candidate, report)));
        match smaller {
            Some((candidate, failing)) => {
                parts = if candidate.len() <= size {
                    2
                } else {
                    parts.saturating_sub(1).max(2)
                };
                kept = candidate;
                report = failing;
            }
            None if parts >= kept.len() => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    if kept.len() == 1
        && let Some(without) = attempt(&[])
    {
        kept.clear();
        report = without;
    }
    Some(Shrunk {
        plan: report.plan.clone(),
        kept,
        report,
        runs,
    })
}
