//! Crashes at every single event of a scenario, and at every store into shared memory.

use super::model::{HOST, Scenario};
use super::run::Verdict;
use super::services::Services;
use crate::fault::{Fault, What, When};
use crate::link::LinkKind;
use crate::report::Report;
use crate::shm::explore::{Look, explore_moment};
use crate::trace::Happening;

/// A process with more events or stores than this is not explored further: the scenario is too long.
const MOMENTS_MAX: u64 = 5_000;
/// After so many failures nothing new is to be learnt.
const FAILURES_MAX: usize = 8;

/// What came of [`Scenario::crash_everywhere`].
#[derive(Clone, Debug, Default)]
pub struct Exploration {
    /// How many runs it took: one for each crash point, and over shared memory one for each loss
    /// that the survivors can notice.
    pub runs: u64,
    /// At how many moments a process was killed.
    pub moments: u64,
    /// The most words of shared memory that a process had stored and not released when it died.
    pub unreleased_max: usize,
    /// Moments at which the survivors looked at so many of those that only some of their subsets
    /// were run: see [`explore_stores`](crate::shm::explore_stores).
    pub thinned: u64,
    /// What went wrong, with the plan that shows it.
    pub failures: Vec<Verdict>,
    /// Processes that had more events or stores than were explored.
    pub cut_short: Vec<String>,
}

impl Scenario {
    /// Runs the scenario once for every event of every process, the host's too, and kills the
    /// process right before that event; a poll of one of its tasks is an event. Over shared memory
    /// it is also killed right before every store, and may lose every subset of the words that it
    /// had stored and not released, as [`explore_stores`](crate::shm::explore_stores) does it.
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
        let mut explorer = Explorer {
            scenario: self,
            transport,
            services,
            all: Exploration::default(),
            progress: &mut progress,
        };
        let plugins = self.plugins.iter().map(|plugin| plugin.name.as_str());
        for name in plugins.chain([HOST]) {
            explorer.before_events(name);
            if transport == LinkKind::Shm {
                explorer.before_stores(name);
            }
            if explorer.all.failures.len() >= FAILURES_MAX {
                break;
            }
        }
        explorer.all
    }
}

struct Explorer<'s> {
    scenario: &'s Scenario,
    transport: LinkKind,
    services: &'s Services,
    all: Exploration,
    progress: &'s mut dyn FnMut(&Exploration),
}

impl Explorer<'_> {
    /// One run with this crash.
    fn run(&mut self, crash: Fault) -> Report {
        let mut plan = self.scenario.plan(self.scenario.seed);
        plan.faults.push(crash);
        let verdict = self
            .scenario
            .run_saved(self.transport, &plan, self.services);
        self.all.runs += 1;
        let report = verdict.report.clone();
        if !verdict.is_ok() {
            self.all.failures.push(verdict);
        }
        (self.progress)(&self.all);
        report
    }

    fn before_events(&mut self, process: &str) {
        for n in 1..=MOMENTS_MAX {
            let crash = Fault {
                when: When::Event {
                    process: process.to_owned(),
                    n,
                },
                what: What::Kill {
                    process: process.to_owned(),
                },
            };
            let report = self.run(crash.clone());
            let happened = report.trace.as_ref().is_some_and(|trace| {
                trace.events.iter().any(|event| {
                    matches!(&event.what, Happening::Fault { fault, .. } if *fault == crash)
                })
            });
            if !happened || self.all.failures.len() >= FAILURES_MAX {
                return;
            }
            self.all.moments += 1;
        }
        self.all.cut_short.push(process.to_owned());
    }

    fn before_stores(&mut self, process: &str) {
        for n in 1..=MOMENTS_MAX {
            let moment = explore_moment(process, n, self.scenario.seed, |crash| {
                let look = Look::of(&self.run(crash));
                look.filter(|_| self.all.failures.len() < FAILURES_MAX)
            });
            self.all.unreleased_max = self.all.unreleased_max.max(moment.unreleased);
            self.all.thinned += u64::from(moment.thinned);
            if moment.runs == 0 || self.all.failures.len() >= FAILURES_MAX {
                return;
            }
            self.all.moments += 1;
        }
        self.all.cut_short.push(process.to_owned());
    }
}
