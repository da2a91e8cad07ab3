//! Worlds: built, then run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::executor::Executor;
use crate::engine::process::{AwaitedStore, ProcessCell, ProcessState};
use crate::fault::{Fault, Moment, Since, What, When};
use crate::link::LinkConfig;
use crate::lives;
use crate::panics::Quiet;
use crate::plan::{Cast, CastLink, Plan};
use crate::program::Program;
use crate::report::{Oracle, Report};
use crate::run::{Deadlines, Run};
use crate::stage::{Entered, LinkStage, Stage};
use crate::time::Nanos;
use crate::trace::decode;
use crate::trace::record::{Awaited, Recorder, Then};

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

    /// A process that the host started before it starts, watches and restarts, over a socket of the
    /// same name.
    ///
    /// # Panics
    ///
    /// When there is no host yet.
    #[track_caller]
    pub fn plugin(self, name: impl Into<String>, program: Program) -> Self {
        self.plugin_over(name, LinkConfig::stream(), program)
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
    pub fn fault(mut self, when: When, what: What) -> Self {
        self.plan.faults.push(Fault { when, what });
        self
    }

    /// The seed and all faults at once.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    /// The faults that the seed draws for this world: see [`Plan::swarm`].
    pub fn swarm(self) -> Self {
        let plan = Plan::swarm(self.plan.seed, &self.cast());
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

    /// The seed and the faults.
    pub fn planned(&self) -> &Plan {
        &self.plan
    }

    /// Runs the world to its end and says what came of it.
    ///
    /// # Panics
    ///
    /// When it is called inside of a tokio runtime.
    pub fn run(&self) -> Report {
        let quiet = Quiet::begin();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        // Without tokio's budget: it would have tasks of ours yield to others of tokio's.
        let report = runtime.block_on(tokio::task::unconstrained(self.run_here()));
        drop(runtime);
        drop(quiet);
        report
    }

    /// Runs the world twice and compares.
    ///
    /// A difference is reported as a failure of [`Oracle::Determinism`].
    ///
    /// # Panics
    ///
    /// As [`WorldBuilder::run`].
    pub fn run_twice(&self) -> Report {
        let mut report = self.run();
        let again = self.run();
        if again.hash != report.hash {
            let text = format!(
                "the same seed gave trace {} and then {}: something in the world depends on the \
                 real clock, on addresses, or on a random state",
                report.hash, again.hash
            );
            report.failures.push(crate::report::Failure {
                at: report.virtual_time,
                oracle: Oracle::Determinism,
                text,
                place: None,
            });
        }
        report
    }

    async fn run_here(&self) -> Report {
        let engine = Engine::new(self.plan.seed);
        let names: Vec<Arc<str>> = self
            .processes
            .iter()
            .map(|one| one.0.as_str().into())
            .collect();
        let index = |name: &str| names.iter().position(|known| &**known == name);
        let links = self.links.iter().map(|(name, ends, config)| {
            let ends = ends.each_ref().map(|end| index(end).unwrap_or(usize::MAX));
            LinkStage::new(name.clone(), ends, config.clone())
        });
        let cells: Vec<Arc<ProcessCell>> = (0..names.len()).map(ProcessCell::new).collect();
        let awaited = self.awaited(&index, &cells);
        let recorder = Arc::new(Recorder::new(self.trace, names.len(), awaited));
        let states = cells.into_iter().map(ProcessState::new);
        engine.processes().extend(states);
        let programs = self.processes.iter().map(|one| one.1.clone()).collect();
        let stage = Stage::new(
            engine.clone(),
            recorder.clone(),
            names.clone(),
            programs,
            links.collect(),
        );
        let entered = Entered::new(stage.clone());
        let deadlines = Deadlines {
            main_ns: self.deadline.0,
            settle_ns: self.settle.0,
        };
        let run = Run::new(stage.clone(), self.plan.clone(), deadlines);
        run.begin();
        let mut executor = Executor::new(engine.clone(), run);
        (&mut executor).await;
        let report = self.report(&stage, executor.rules);
        // Nothing of what ends now may be seen by anything else.
        for process in 0..names.len() {
            lives::vanish(&stage, process);
        }
        engine.clear();
        drop(entered);
        report
    }

    /// The frames that faults wait for.
    fn awaited(
        &self,
        index: &dyn Fn(&str) -> Option<usize>,
        cells: &[Arc<ProcessCell>],
    ) -> Vec<Awaited> {
        let faults = self.plan.faults.iter().enumerate();
        let awaited = faults.filter_map(|(fault, Fault { when, what })| match when {
            When::Frame {
                from,
                kind,
                n,
                moment,
            } => {
                // Only who dies himself can be kept from sending.
                let moment = if what.ends(from) {
                    *moment
                } else {
                    Moment::After
                };
                Some(Awaited {
                    process: index(from)?,
                    kind: *kind,
                    n: *n,
                    then: Then::Fault { fault, moment },
                })
            }
            When::StoreAfter {
                process,
                n: store,
                since: Since::Frame { from, kind, n },
            } => {
                let store = AwaitedStore {
                    n: *store,
                    fault,
                    dies: what.ends(process),
                };
                Some(Awaited {
                    process: index(from)?,
                    kind: *kind,
                    n: *n,
                    then: Then::Stores(cells.get(index(process)?)?.clone(), store),
                })
            }
            _ => None,
        });
        awaited.collect()
    }

    fn report(&self, stage: &Arc<Stage>, run: Run) -> Report {
        let recorder = &stage.recorder;
        for (oracle, problem) in recorder.take_problems() {
            stage.fail(oracle, problem);
        }
        let (failures, marks, calls) = stage.take_found();
        let hash = recorder.hash();
        let trace = self
            .trace
            .then(|| decode::trace(stage, &self.plan, recorder.take_entries(), hash));
        Report {
            plan: self.plan.clone(),
            hash,
            failures,
            marks,
            faults: run.counts,
            hit: run.hit,
            calls,
            steps: stage
                .engine
                .steps
                .load(std::sync::atomic::Ordering::Relaxed),
            frames: recorder.frames(),
            stores: stores(stage),
            unreleased: stage.unreleased.load(std::sync::atomic::Ordering::Relaxed),
            unreleased_seen: unreleased_seen(stage),
            virtual_time: Nanos(stage.engine.now()),
            trace,
        }
    }
}

/// Which of the stores that [`What::KillLosing`] speaks of were looked at afterwards.
fn unreleased_seen(stage: &Stage) -> Vec<u32> {
    let processes = stage.engine.processes();
    let seen = processes.iter().map(|state| state.cell.last_stores_seen());
    seen.flatten().collect()
}

/// Stores of each process into shared memory.
fn stores(stage: &Stage) -> BTreeMap<String, u64> {
    let processes = stage.engine.processes();
    let stores = processes.iter().map(|state| {
        let name = stage.names[state.cell.index].to_string();
        (name, state.cell.stores())
    });
    stores.filter(|(_, stores)| *stores > 0).collect()
}
