//! The plans that are tried, and the smallest of them that fails.

use super::simpler::{earlier, ways};
use super::{Progress, SIMPLER_RUNS_MAX, SIMPLER_STEPS_MAX, Shrunk};
use crate::fault::Fault;
use crate::plan::Plan;
use crate::report::Report;
use crate::world::WorldBuilder;

/// A fault that is still there.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Its place in the first plan.
    pub(super) place: usize,
    /// What has become of it.
    pub(super) fault: Fault,
}

pub(super) struct Search<'a> {
    world: &'a WorldBuilder,
    fails: &'a dyn Fn(&Report) -> bool,
    progress: &'a mut dyn FnMut(&Progress),
    /// The smallest plan so far that fails, and how it does.
    kept: Vec<Kept>,
    report: Report,
    /// Plans that do not fail.
    fine: Vec<Vec<Fault>>,
    runs: u64,
    /// What may still be spent on simpler faults.
    left: Budget,
}

/// A run.
struct Tried {
    fails: bool,
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    runs: u64,
    steps: u64,
}

impl<'a> Search<'a> {
    /// `None` when the whole plan does not fail.
    pub(super) fn begin(
        world: &'a WorldBuilder,
        fails: &'a dyn Fn(&Report) -> bool,
        progress: &'a mut dyn FnMut(&Progress),
    ) -> Option<Self> {
        let report = world.clone().trace(false).run();
        if !fails(&report) {
            return None;
        }
        let faults = world.planned().faults.iter().cloned();
        let kept = faults
            .enumerate()
            .map(|(place, fault)| Kept { place, fault });
        Some(Search {
            world,
            fails,
            progress,
            kept: kept.collect(),
            report,
            fine: Vec::new(),
            runs: 1,
            left: Budget {
                runs: SIMPLER_RUNS_MAX,
                steps: SIMPLER_STEPS_MAX,
            },
        })
    }

    /// The faults of the smallest plan so far that fails.
    pub(super) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// How that plan fails.
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn end(self) -> Shrunk {
        let first = &self.world.planned().faults;
        let changed = self.kept.iter();
        let changed = changed.filter(|kept| kept.fault != first[kept.place]);
        Shrunk {
            simplified: changed.count(),
            plan: self.report.plan.clone(),
            kept: self.kept.iter().map(|kept| kept.place).collect(),
            report: self.report,
            runs: self.runs,
        }
    }

    /// Goes on with these faults if they fail, too, and says whether they do. They are fewer or
    /// simpler than those that are kept.
    pub(super) fn keep(&mut self, kept: Vec<Kept>) -> bool {
        self.run(kept).is_some_and(|run| run.fails)
    }

    /// As [`Search::keep`]; `None` when it was known already.
    fn run(&mut self, kept: Vec<Kept>) -> Option<Tried> {
        let plan = Plan {
            seed: self.world.planned().seed,
            faults: kept.iter().map(|kept| kept.fault.clone()).collect(),
        };
        if plan.faults == self.report.plan.faults || self.fine.contains(&plan.faults) {
            return None;
        }
        let report = self.world.clone().trace(false).plan(plan).run();
        self.runs += 1;
        let (fails, steps) = ((self.fails)(&report), report.steps);
        if fails {
            self.kept = kept;
            self.report = report;
        } else {
            self.fine.push(report.plan.faults);
        }
        (self.progress)(&Progress {
            faults_before: self.world.planned().faults.len(),
            faults: self.kept.len(),
            runs: self.runs,
        });
        Some(Tried { fails, steps })
    }

    /// Makes faults simpler until none of them can be made so by itself, or for as long as that may
    /// take. Says whether any was.
    pub(super) fn simplify(&mut self) -> bool {
        let mut any = false;
        loop {
            let counts = self.kept.iter().map(|kept| ways(&kept.fault).len());
            let most = counts.max().unwrap_or(0);
            let mut simpler = false;
            // First ways first, of all faults: these say more, for fewer runs.
            for way in 0..most {
                for at in 0..self.kept.len() {
                    let way = ways(&self.kept[at].fault).into_iter().nth(way);
                    simpler |= self.follow(&way.unwrap_or_default(), |search, fault| {
                        let mut faults = search.report.plan.faults.clone();
                        faults[at].clone_from(fault);
                        search.replace(faults)
                    });
                }
            }
            let way = earlier(&self.report.plan.faults);
            simpler |= self.follow(&way, |search, faults| search.replace(faults.clone()));
            any |= simpler;
            if !simpler {
                return any;
            }
        }
    }

    /// Goes on with the simplest on a way that fails, if any does. The first one comes first: often
    /// nothing of what it changes matters. The others are halved, as if all behind one that fails did
    /// so, too; where they do not, what is found still fails.
    fn follow<T>(&mut self, way: &[T], mut fails_with: impl FnMut(&mut Self, &T) -> bool) -> bool {
        let Some(first) = way.first() else {
            return false;
        };
        if fails_with(self, first) {
            return true;
        }
        let (mut fine, mut fails) = (0, way.len());
        while fails - fine > 1 {
            let middle = fine.midpoint(fails);
            if fails_with(self, &way[middle]) {
                fails = middle;
            } else {
                fine = middle;
            }
        }
        fails < way.len()
    }

    /// Goes on with these instead, one for each fault that is kept.
    fn replace(&mut self, faults: Vec<Fault>) -> bool {
        if self.left.runs == 0 || self.left.steps == 0 {
            return false;
        }
        let places = self.kept.iter().map(|kept| kept.place);
        let kept = places.zip(faults);
        let kept = kept.map(|(place, fault)| Kept { place, fault });
        let Some(tried) = self.run(kept.collect()) else {
            return false;
        };
        self.left.runs -= 1;
        self.left.steps = self.left.steps.saturating_sub(tried.steps);
        tried.fails
    }

    /// The faults in the order in which they happen, for who reads them.
    pub(super) fn sort(&mut self) {
        let hit = self.report.hit.clone();
        let place = |at: usize| hit.iter().position(|hit| *hit == at);
        let mut kept: Vec<(usize, Kept)> = self.kept.iter().cloned().enumerate().collect();
        kept.sort_by_key(|(at, _)| place(*at).unwrap_or(usize::MAX));
        // Where two happen at once, their order may matter.
        self.keep(kept.into_iter().map(|(_, kept)| kept).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::world::World;

    /// A world in which little happens, with faults that have many digits.
    fn world() -> WorldBuilder {
        let host = Program::new().main(|host| async move {
            host.sleep(std::time::Duration::from_millis(1)).await;
        });
        let fault = |n: u64| -> Fault {
            let text = format!(
                "at 1.{:06}ms: freeze link plugin for 7.{:06}ms",
                n * 39 + 1,
                n * 41 + 1
            );
            text.parse().expect("a sentence")
        };
        World::builder()
            .host("host", host)
            .plugin("plugin", Program::new())
            .plan(Plan {
                seed: 3,
                faults: (0..24).map(fault).collect(),
            })
    }

    /// Runs that look for simpler faults when nothing but the whole plan fails, and when so much is
    /// left for them.
    fn simpler_runs(left: Budget) -> u64 {
        let world = world();
        let fails = |report: &Report| report.plan == *world.planned();
        let mut progress = |_: &Progress| {};
        let mut search = Search::begin(&world, &fails, &mut progress).expect("it fails");
        search.left = left;
        let before = search.runs;
        assert!(!search.simplify(), "nothing simpler fails");
        search.runs - before
    }

    #[test]
    fn simplifying_keeps_to_its_budget() {
        let unlimited = Budget {
            runs: u64::MAX,
            steps: u64::MAX,
        };
        assert!(simpler_runs(unlimited) > SIMPLER_RUNS_MAX);
        let runs = Budget {
            runs: 50,
            ..unlimited
        };
        assert_eq!(simpler_runs(runs), 50);
        let steps = Budget {
            steps: 1,
            ..unlimited
        };
        assert_eq!(simpler_runs(steps), 1);
    }

    #[test]
    fn what_is_left_stands_in_the_order_in_which_it_happens() {
        let faults = [
            "at 0.7ms: freeze link plugin for 1ms",
            "at 0.2ms: hang plugin for 1ms",
            "at 0.4ms: freeze link plugin for 2ms",
        ];
        let faults = faults.map(|text| text.parse().expect("a sentence"));
        let world = world().plan(Plan {
            seed: 3,
            faults: faults.to_vec(),
        });
        let fails = |report: &Report| report.hit.len() == 3;
        let mut progress = |_: &Progress| {};
        let mut search = Search::begin(&world, &fails, &mut progress).expect("it fails");
        search.sort();
        assert_eq!(search.report().hit, [0, 1, 2]);
        let shrunk = search.end();
        assert_eq!((shrunk.kept, shrunk.simplified), (vec![1, 2, 0], 0));
    }
}
