//! Crashes at every single event of a scenario, and at every store into shared memory.

use super::model::{HOST, Scenario};
use super::run::Verdict;
use super::services::Services;
use crate::fault::{Fault, What, When};
use crate::link::LinkKind;
use crate::trace::Happening;

/// A process with more events or stores than this is not explored further: the scenario is too long.
const MOMENTS_MAX: u64 = 5_000;
/// After so many failures nothing new is to be learnt.
const FAILURES_MAX: usize = 8;

/// What came of [`Scenario::crash_everywhere`].
#[derive(Clone, Debug, Default)]
pub struct Exploration {
    /// How many runs it took: one for each crash point.
    pub runs: u64,
    /// What went wrong, with the plan that shows it.
    pub failures: Vec<Verdict>,
    /// Processes that had more events or stores than were explored.
    pub cut_short: Vec<String>,
}

impl Scenario {
    /// Runs the scenario once for every event of every process, and kills the process right before
    /// that event; a poll of one of its tasks is an event. Over shared memory it also runs it once for
    /// every store, and kills the process right before that.
    ///
    /// A host that dies is not started again: its plugins must exit. The scenario's own expectations
    /// do not hold then; what every run is checked for does, each call must end, and what was read
    /// must be a prefix of what was sent.
    ///
    /// `progress` hears of every run.
    pub fn crash_everywhere(
        &self,
        transport: LinkKind,
        services: &Services,
        mut progress: impl FnMut(&Exploration),
    ) -> Exploration {
        let mut all = Exploration::default();
        let plugins = self.plugins.iter().map(|plugin| plugin.name.as_str());
        for name in plugins.chain([HOST]) {
            let process = || name.to_owned();
            let event = |n| When::Event {
                process: process(),
                n,
            };
            let store = |n| When::Store {
                process: process(),
                n,
            };
            let crash = |when| Fault {
                when,
                what: What::Kill { process: process() },
            };
            let moments: &[&dyn Fn(u64) -> When] = match transport {
                LinkKind::Shm => &[&event, &store],
                _ => &[&event],
            };
            for moment in moments {
                let crashes = (1..=MOMENTS_MAX).map(|n| crash(moment(n)));
                if !self.crash_at(crashes, transport, services, &mut all, &mut progress) {
                    all.cut_short.push(process());
                }
                if all.failures.len() >= FAILURES_MAX {
                    return all;
                }
            }
        }
        all
    }

    /// One run for each of these crashes until one does not happen any more; false when all of them
    /// happened.
    fn crash_at(
        &self,
        crashes: impl Iterator<Item = Fault>,
        transport: LinkKind,
        services: &Services,
        all: &mut Exploration,
        progress: &mut impl FnMut(&Exploration),
    ) -> bool {
        for crash in crashes {
            let mut plan = self.plan(self.seed);
            plan.faults.push(crash.clone());
            let mut verdict = self.run_plan(transport, &plan, services);
            let happened = verdict.report.trace.as_ref().is_some_and(|trace| {
                trace.events.iter().any(|event| {
                    matches!(&event.what, Happening::Fault { fault, .. } if *fault == crash)
                })
            });
            all.runs += 1;
            verdict.problems = essential(self, &verdict, crash.what.process().unwrap_or(HOST));
            if !verdict.is_ok() {
                all.failures.push(verdict);
            }
            progress(all);
            if !happened || all.failures.len() >= FAILURES_MAX {
                return true;
            }
        }
        false
    }
}

/// What is wrong whatever else happens, when this process has crashed.
fn essential(scenario: &Scenario, verdict: &Verdict, crashed: &str) -> Vec<String> {
    let report = &verdict.report;
    let mut problems: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    for (call, outcomes) in scenario.calls.iter().zip(&verdict.outcomes) {
        let (ended, made) = (outcomes.len() as u64, call.total());
        // Who dies before it has begun to call has nothing to end; and nobody outlives the host.
        let all_begin = call.from != crashed && crashed != HOST;
        if ended > made || (ended < made && all_begin) {
            problems.push(format!("{ended} of {made} calls `{}` ended", call.name));
        }
        let mut wrong = outcomes.iter().filter_map(|outcome| outcome.wrong.as_ref());
        if let Some(wrong) = wrong.next() {
            problems.push(format!("call `{}` got something wrong: {wrong}", call.name));
        }
    }
    problems
}
