//! From a plan that fails to the faults that matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Fault, What};
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
/// What is left is minimal in that leaving out any single fault makes the failure go away. First go
/// those that had no effect before the failure, then all that concern one process or link, then all
/// of one kind, then pieces of what is left (delta debugging: Zeller and Hildebrandt, 2002). That
/// works because random draws do not depend on which faults there are.
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
    let mut search = Search::begin(world, fails)?;
    if !search.keep(Vec::new()) {
        search.leave_what_had_no_effect();
        search.leave_groups(concerns);
        search.leave_groups(|what| what.kind().to_owned());
        search.leave_pieces();
    }
    Some(Shrunk {
        plan: search.report.plan.clone(),
        kept: search.kept,
        report: search.report,
        runs: search.runs,
    })
}

/// With so few faults groups of them are not worth runs of their own.
const GROUPED_MIN: usize = 8;

/// The process or link that something happens to. They are named apart: a plugin and its link
/// share a name.
fn concerns(what: &What) -> String {
    match (what.process(), what.link()) {
        (Some(process), _) => format!("process {process}"),
        (None, link) => format!("link {}", link.unwrap_or_default()),
    }
}

struct Search<'a, F> {
    world: &'a WorldBuilder,
    all: Vec<Fault>,
    fails: F,
    /// The smallest set of faults so far that fails, and how it does.
    kept: Vec<usize>,
    report: Report,
    /// Sets that do not fail.
    fine: BTreeSet<Vec<usize>>,
    runs: u64,
}

impl<'a, F: Fn(&Report) -> bool> Search<'a, F> {
    /// `None` when the whole plan does not fail.
    fn begin(world: &'a WorldBuilder, fails: F) -> Option<Self> {
        let report = world.clone().trace(false).run();
        let all = world.planned().faults.clone();
        fails(&report).then(|| Search {
            world,
            kept: (0..all.len()).collect(),
            all,
            fails,
            report,
            fine: BTreeSet::new(),
            runs: 1,
        })
    }

    /// Goes on with these faults only if they fail, too. `faults` are sorted, and some of those kept.
    fn keep(&mut self, faults: Vec<usize>) -> bool {
        if faults.len() == self.kept.len() || self.fine.contains(&faults) {
            return false;
        }
        self.runs += 1;
        let seed = self.world.planned().seed;
        let plan = Plan {
            seed,
            faults: faults.iter().map(|at| self.all[*at].clone()).collect(),
        };
        let report = self.world.clone().trace(false).plan(plan).run();
        let fails = (self.fails)(&report);
        if fails {
            self.kept = faults;
            self.report = report;
        } else {
            self.fine.insert(faults);
        }
        fails
    }

    /// One run says which faults happened before the failure; the rest can hardly matter.
    fn leave_what_had_no_effect(&mut self) {
        let mut hit: Vec<usize> = self.report.hit.iter().map(|at| self.kept[*at]).collect();
        hit.sort_unstable();
        self.keep(hit);
    }

    /// Leaves out all faults with something in common at once, largest groups first.
    fn leave_groups(&mut self, group: impl Fn(&What) -> String) {
        if self.kept.len() < GROUPED_MIN {
            return;
        }
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for at in &self.kept {
            *sizes.entry(group(&self.all[*at].what)).or_default() += 1;
        }
        let mut groups: Vec<(String, usize)> = sizes.into_iter().collect();
        groups.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        for (name, size) in groups {
            // Single ones come later, together with others.
            if size > 1 && size < self.kept.len() {
                let others = self.kept.iter().copied();
                let others = others.filter(|at| group(&self.all[*at].what) != name);
                let others = others.collect();
                self.keep(others);
            }
        }
    }

    /// Delta debugging: keeps or leaves ever smaller pieces, until no single fault can be left out.
    fn leave_pieces(&mut self) {
        let mut parts = 2;
        while self.kept.len() > 1 {
            let size = self.kept.len().div_ceil(parts);
            let pieces: Vec<Vec<usize>> = self.kept.chunks(size).map(<[usize]>::to_vec).collect();
            let mut smaller = false;
            for (at, piece) in pieces.iter().enumerate() {
                if self.keep(piece.clone()) {
                    parts = 2;
                    smaller = true;
                    break;
                }
                let rest = pieces.iter().enumerate();
                let rest = rest.filter(|(other, _)| *other != at);
                let rest = rest.flat_map(|(_, piece)| piece.iter().copied()).collect();
                if self.keep(rest) {
                    parts = (parts - 1).max(2);
                    smaller = true;
                    break;
                }
            }
            if !smaller && parts >= self.kept.len() {
                break;
            }
            if !smaller {
                parts = (parts * 2).min(self.kept.len());
            }
        }
    }
}
