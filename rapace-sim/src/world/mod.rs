//! Worlds: built, then run.
//!
//! | part | owns |
//! |---|---|
//! | here | the builder |
//! | `asked` | whether a world can run, and shows what it is meant to |
//! | `run` | from its beginning to its report |

mod asked;
mod run;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::fault::{Fault, What, When};
use crate::link::{LinkConfig, LinkKind};
use crate::panics::{self, Caught, Quiet};
use crate::plan::{Cast, CastLink, Plan};
use crate::program::Program;
use crate::report::{Failure, Oracle, Report};
use crate::time::Nanos;
use asked::{Asked, Missing};

/// A world of hosts and plugins; start with [`World::builder`].
#[derive(Debug)]
pub struct World;

impl World {
    /// A world without processes, of seed 0, without faults.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }
}

/// Describes a world; running it does not use it up, so that the same world can be run with other
/// seeds and plans.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    plan: Plan,
    processes: Vec<(String, Program, Role)>,
    links: Vec<(String, [String; 2], LinkConfig)>,
    horizon: Nanos,
    deadline: Nanos,
    settle: Nanos,
    trace: bool,
    spares_hosts: bool,
    transport: LinkKind,
    asked: Asked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Host,
    Plugin,
}

impl Default for WorldBuilder {
    fn default() -> Self {
        WorldBuilder {
            plan: Plan::default(),
            processes: Vec::new(),
            links: Vec::new(),
            horizon: Nanos::from_secs(2),
            deadline: Nanos::from_secs(120),
            settle: Nanos::from_secs(60),
            trace: false,
            spares_hosts: true,
            transport: LinkKind::Stream,
            asked: Asked::default(),
        }
    }
}

impl WorldBuilder {
    /// Decides everything that is random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// The number of the world's seed.
    pub fn seed_number(&self) -> u64 {
        self.plan.seed
    }

    /// A process that starts with the world and is missed when it is down: the world is over when
    /// the main functions of all hosts have returned.
    pub fn host(mut self, name: impl Into<String>, program: Program) -> Self {
        self.processes.push((name.into(), program, Role::Host));
        self
    }

    /// A process that the host started before it starts, watches and restarts, over a link of the
    /// same name: a socket, if [`WorldBuilder::transport`] does not say otherwise.
    ///
    /// # Panics
    ///
    /// When there is no host yet.
    #[track_caller]
    pub fn plugin(self, name: impl Into<String>, program: Program) -> Self {
        let link = LinkConfig {
            kind: self.transport,
            ..LinkConfig::default()
        };
        self.plugin_over(name, link, program)
    }

    /// What [`WorldBuilder::plugin`] links plugins with, from here on. Default: stream.
    /// [`#[rapace_sim::test]`](macro@crate::test) has each seed draw it.
    pub fn transport(mut self, transport: LinkKind) -> Self {
        self.transport = transport;
        self
    }

    /// As [`WorldBuilder::plugin`], over this kind of link.
    ///
    /// # Panics
    ///
    /// When there is no host yet.
    #[track_caller]
    pub fn plugin_over(
        mut self,
        name: impl Into<String>,
        link: LinkConfig,
        program: Program,
    ) -> Self {
        let host = self.processes.iter().rev().find(|one| one.2 == Role::Host);
        let Some((host, ..)) = host else {
            panic!("a plugin needs a host: call `host` before `plugin`");
        };
        let (host, name) = (host.clone(), name.into());
        self.links.push((name.clone(), [host, name.clone()], link));
        self.processes.push((name, program, Role::Plugin));
        self
    }

    /// One more thing that goes wrong.
    ///
    /// A run in which it finds nothing to hit fails, as it does not show what it was meant to, unless
    /// [`WorldBuilder::may_miss`] is said. In a [`#[rapace_sim::test]`](macro@crate::test) it has to
    /// hit with one seed at least.
    pub fn fault(mut self, when: When, what: What) -> Self {
        let fault = Fault { when, what };
        self.asked.faults.push(fault.clone());
        self.plan.faults.push(fault);
        self
    }

    /// Faults given with [`WorldBuilder::fault`] may find nothing to hit.
    pub fn may_miss(mut self) -> Self {
        self.asked.missing = Missing::Fine;
        self
    }

    /// Has the report say of such faults that they hit nothing, and no run fail for it.
    pub(crate) fn counts_missing(mut self) -> Self {
        if self.asked.missing == Missing::Fails {
            self.asked.missing = Missing::Counts;
        }
        self
    }

    /// The seed and all faults at once.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    /// The faults that the seed draws for this world, beside those that were given by hand until
    /// now: see [`Plan::swarm`].
    pub fn swarm(self) -> Self {
        let mut plan = Plan::swarm(self.plan.seed, &self.cast());
        plan.faults.splice(0..0, self.asked.faults.iter().cloned());
        self.plan(plan)
    }

    /// Drawn faults happen within this span. Default: 2 s.
    pub fn horizon(mut self, horizon: impl Into<Nanos>) -> Self {
        self.horizon = horizon.into();
        self
    }

    /// All main functions of hosts must have returned by then, in virtual time. Default: 120 s.
    pub fn deadline(mut self, deadline: impl Into<Nanos>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// After that everything must be quiet within this span. Default: 60 s.
    pub fn settle(mut self, settle: impl Into<Nanos>) -> Self {
        self.settle = settle.into();
        self
    }

    /// Whether the report has the trace. Default: no; it costs time and memory, and the hash covers
    /// the same.
    pub fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Whether drawn faults leave hosts alive. Default: yes.
    pub fn spares_hosts(mut self, spares: bool) -> Self {
        self.spares_hosts = spares;
        self
    }

    /// Whom drawn plans can hit.
    pub fn cast(&self) -> Cast {
        let hit = |role: Role| role == Role::Plugin || !self.spares_hosts;
        let processes = self.processes.iter().filter(|one| hit(one.2));
        let links = self.links.iter().map(|(name, ends, config)| CastLink {
            name: name.clone(),
            ends: ends.clone(),
            kind: Some(config.kind),
        });
        Cast {
            processes: processes.map(|one| one.0.clone()).collect(),
            links: links.collect(),
            horizon: self.horizon,
        }
    }

    /// Which transports its links use, for people.
    pub(crate) fn links_in_words(&self) -> String {
        let links = self.links.iter();
        let links = links.map(|(name, _, config)| format!("{name} over {}", config.kind.name()));
        let links: Vec<String> = links.collect();
        if links.is_empty() {
            "no links".to_owned()
        } else {
            format!("links: {}", links.join(", "))
        }
    }

    /// The seed and the faults.
    pub fn planned(&self) -> &Plan {
        &self.plan
    }

    /// Runs the world to its end and says what came of it.
    ///
    /// # Panics
    ///
    /// When it is called inside of a tokio runtime, and when the world cannot run: see
    /// [`WorldBuilder::check`]. A plan that was given as a whole may name what there is not; such
    /// faults hit nothing.
    #[track_caller]
    pub fn run(&self) -> Report {
        let checked = self.check_processes();
        if let Err(why) = checked.and_then(|()| self.check_names(&self.asked.faults)) {
            panic!("{why}");
        }
        assert!(
            tokio::runtime::Handle::try_current().is_err(),
            "a world has a runtime of its own and cannot run inside of another one: run it in a plain \
             #[test] fn"
        );
        let quiet = Quiet::begin();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        // Without tokio's budget: it would have tasks of ours yield to others of tokio's.
        let world = tokio::task::unconstrained(self.run_here());
        let report = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world)));
        let panic = panics::take().pop();
        drop(runtime);
        drop(quiet);
        match (report, panic) {
            (Ok(report), _) => self.judge_missing(report),
            (Err(_), Some(Caught { message, place })) => {
                let place = place.unwrap_or_default();
                panic!("the world broke off: {message} ({place})");
            }
            (Err(panic), None) => resume_unwind(panic),
        }
    }

    /// Runs the world twice and compares.
    ///
    /// A difference is reported as a failure of [`Oracle::Determinism`].
    ///
    /// # Panics
    ///
    /// As [`WorldBuilder::run`].
    #[track_caller]
    pub fn run_twice(&self) -> Report {
        let mut report = self.run();
        let again = self.run();
        if again.hash != report.hash {
            let mut text = format!(
                "the same seed gave trace {} and then {}: something in the world depends on the \
                 real clock, on addresses, or on a random state",
                report.hash, again.hash
            );
            let _ = write!(text, "\n{}", self.first_difference());
            report.failures.push(Failure {
                at: report.virtual_time,
                oracle: Oracle::Determinism,
                text,
                place: None,
            });
        }
        report
    }

    /// Where two runs part, with their traces.
    fn first_difference(&self) -> String {
        let run = || {
            let report = self.clone().trace(true).run();
            report.trace.as_ref().map(ToString::to_string)
        };
        let (one, other) = (run().unwrap_or_default(), run().unwrap_or_default());
        let (mut one, mut other) = (one.lines(), other.lines());
        let mut common = "";
        loop {
            match (one.next(), other.next()) {
                (None, None) => return "two more runs were the same".to_owned(),
                (one, other) if one == other => common = one.unwrap_or_default(),
                (one, other) => {
                    let [one, other] = [one, other].map(|line| line.unwrap_or("the end"));
                    return format!(
                        "two more runs part after\n    {common}\nwith\n    {one}\nand\n    {other}"
                    );
                }
            }
        }
    }
}
