//! From a scenario to a world, and from what happened there to a verdict.

use std::fmt;
use std::sync::Arc;

use super::model::{HOST, Party, Scenario};
use super::perform::{Board, Outcome, perform};
use super::saved::SavedPlan;
use super::services::Services;
use super::verdict;
use crate::link::{LinkConfig, LinkKind};
use crate::plan::Plan;
use crate::program::Program;
use crate::report::Report;
use crate::world::{World, WorldBuilder};

/// What came of a scenario over one transport.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scenario's name.
    pub scenario: String,
    /// The transport.
    pub transport: LinkKind,
    /// What is not as it must be, each a sentence. Empty when all is well.
    pub problems: Vec<String>,
    /// How the calls ended: for each [`CallScript`](super::CallScript) those that it made, in the
    /// order of their ends.
    pub outcomes: Vec<Vec<Outcome>>,
    /// What the simulator says of the run, with its trace.
    pub report: Report,
    /// How to see it again, for people: a command line, where one shows the same.
    pub again: String,
}

impl Verdict {
    /// Whether everything is as it must be.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Verdict {
    /// What is wrong, and how to see it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, transport) = (&self.scenario, self.transport.name());
        let seed = self.report.plan.seed;
        if self.is_ok() {
            return write!(f, "{name} over {transport} with seed {seed} is fine");
        }
        write!(f, "{name} over {transport} with seed {seed} fails:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        write!(f, "\nsee it again: {}", self.again)
    }
}

impl Scenario {
    /// Runs it over one transport with its own seed and the standard services.
    pub fn run(&self, transport: LinkKind) -> Verdict {
        self.run_with(transport, self.seed, &Services::standard())
    }

    /// As [`Scenario::run`], with another seed and services of one's own: the ones that it was
    /// parsed with.
    pub fn run_with(&self, transport: LinkKind, seed: u64, services: &Services) -> Verdict {
        self.run_plan(transport, &self.plan(seed), services)
    }

    /// Its faults with this seed.
    pub fn plan(&self, seed: u64) -> Plan {
        Plan {
            seed,
            faults: self
                .faults
                .iter()
                .map(|script| script.fault.clone())
                .collect(),
        }
    }

    /// As [`Scenario::run_with`], with other faults than its own. Its expectations of faults are
    /// not checked then, all others are.
    pub fn run_plan(&self, transport: LinkKind, plan: &Plan, services: &Services) -> Verdict {
        let (world, board) = self.world(transport, services);
        let report = world.plan(plan.clone()).trace(true).run();
        let outcomes: Vec<Vec<Outcome>> = (0..self.calls.len())
            .map(|call| std::mem::take(&mut *board.outcomes(call)))
            .collect();
        Verdict {
            scenario: self.name.clone(),
            transport,
            problems: verdict::problems(self, transport, &outcomes, &report),
            outcomes,
            report,
            again: self.again(transport, plan, services),
        }
    }

    /// As [`Scenario::run_plan`], for faults that a machine has found. The scenario's own
    /// expectations do not hold then and are not checked. What every run is checked for is; each
    /// call must end, and what was read must be a prefix of what was sent.
    pub fn run_saved(&self, transport: LinkKind, plan: &Plan, services: &Services) -> Verdict {
        let mut verdict = self.run_plan(transport, plan, services);
        verdict.problems = verdict::essential(self, &verdict);
        verdict
    }

    /// Whether these are its own faults.
    pub(super) fn has_faults(&self, plan: &Plan) -> bool {
        let own = self.faults.iter().map(|script| &script.fault);
        own.eq(plan.faults.iter())
    }

    /// How to see a run again. The command line has the standard services only, and with
    /// `cargo sim run` the scenario's own faults only.
    fn again(&self, transport: LinkKind, plan: &Plan, services: &Services) -> String {
        let (name, over, seed) = (&self.name, transport.name(), plan.seed);
        match (services.is_standard(), self.has_faults(plan)) {
            (true, true) => format!("cargo sim run {name} --transport {over} --seed {seed}"),
            (true, false) => {
                let saved = SavedPlan {
                    about: String::new(),
                    world: name.clone(),
                    transport: Some(transport),
                    plan: plan.clone(),
                };
                format!("cargo sim replay FILE, where the file has this:\n{saved}")
            }
            (false, true) => format!(
                "`Scenario::run_with` over {over} with seed {seed} and the same services (the \
                 command line has the standard ones only)"
            ),
            (false, false) => format!(
                "`Scenario::run_plan` over {over} with the same services (the command line has \
                 the standard ones only) and this plan:\n{plan}"
            ),
        }
    }

    /// The world with its own faults, to be run, shrunk or swept as any other. What the scenario
    /// expects is not checked then.
    pub fn builder(&self, transport: LinkKind, services: &Services) -> WorldBuilder {
        self.world(transport, services).0.plan(self.plan(self.seed))
    }

    /// The world without faults, and where its calls write down how they end.
    pub(super) fn world(
        &self,
        transport: LinkKind,
        services: &Services,
    ) -> (WorldBuilder, Arc<Board>) {
        let scenario = Arc::new(self.clone());
        let board = Board::new(&self.calls);
        let program = |name: &str, party: &Party| {
            let (scenario, services, board) = (scenario.clone(), services.clone(), board.clone());
            // A panic is an answer, and a scenario says how each call must be answered.
            let program = Program::new().limits(party.limits.clone()).may_panic("");
            let served = party.serves.iter();
            let program = served.fold(program, |program, name| services.serve(program, name));
            if !self.calls.iter().any(|call| call.from == name) && name != HOST {
                return program;
            }
            program.main(move |process| {
                if process.name() == HOST && process.life() == 1 {
                    // The same world may be run again.
                    board.begin();
                }
                perform(process, scenario.clone(), services.clone(), board.clone())
            })
        };
        let mut world = World::builder().host(HOST, program(HOST, &self.host));
        for plugin in &self.plugins {
            let link = LinkConfig {
                kind: transport,
                ..plugin.link.clone()
            };
            let program = program(&plugin.name, &plugin.party).restart(plugin.restart);
            world = world.plugin_over(&plugin.name, link, program);
        }
        (world, board)
    }
}
