//! Worlds: built, then run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::executor::Executor;
use crate::engine::process::{AwaitedStore, ProcessCell, ProcessState};
use crate::fault::{Fault, Moment, Since, What, When};
use crate::link::{LinkConfig, LinkKind};
use crate::lives;
use crate::panics::Quiet;
use crate::plan::{Cast, CastLink, Plan};
use crate::program::Program;
use crate::report::{Failure, Oracle, Report};
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
    transport: LinkKind,
    asked: Asked,
}

/// Faults that were given one by one, and so are meant to hit.
#[derive(Clone, Default, Debug)]
struct Asked {
    faults: Vec<Fault>,
    /// What is said of one that hits nothing.
    missing: Missing,
}

/// What becomes of a fault that was asked for and hit nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Missing {
    /// The run fails.
    #[default]
    Fails,
    /// The report says so.
    Counts,
    /// Nothing.
    Fine,
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

    /// Whether the world can run and has all that its faults name.
    ///
    /// # Errors
    ///
    /// What is wrong: there is no host, two processes have one name, or a fault names a process or a
    /// link that there is not.
    pub fn check(&self) -> Result<(), String> {
        self.check_processes()?;
        self.check_names(&self.plan.faults)
    }

    fn check_processes(&self) -> Result<(), String> {
        if !self.processes.iter().any(|one| one.2 == Role::Host) {
            return Err("this world has no host, so nothing would happen: call `host`".to_owned());
        }
        for (at, (name, ..)) in self.processes.iter().enumerate() {
            if self.processes[..at].iter().any(|other| other.0 == *name) {
                return Err(format!("two processes of this world are called `{name}`"));
            }
        }
        Ok(())
    }

    fn check_names(&self, faults: &[Fault]) -> Result<(), String> {
        let processes: Vec<&str> = self.processes.iter().map(|one| &*one.0).collect();
        let links: Vec<&str> = self.links.iter().map(|one| &*one.0).collect();
        for fault in faults {
            let unknown = |kind: &str, name: &str, known: &[&str]| {
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                Err(format!(
                    "`{fault}`: there is no {kind} `{name}`; there is {known}"
                ))
            };
            let named = fault
                .when
                .processes()
                .into_iter()
                .chain(fault.what.process());
            for name in named {
                if !processes.contains(&name) {
                    return unknown("process", name, &processes);
                }
            }
            let Some(name) = fault.what.link() else {
                continue;
            };
            let Some((_, ends, _)) = self.links.iter().find(|one| one.0 == name) else {
                return unknown("link", name, &links);
            };
            if let What::CutHalf { from, .. } | What::Corrupt { from, .. } = &fault.what
                && !ends.contains(from)
            {
                let ends = ends.each_ref().map(|end| &**end);
                return unknown(&format!("end of link `{name}` called"), from, &ends);
            }
        }
        Ok(())
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
        self.judge_missing(report)
    }

    /// A run without any other failure fails when a fault hit nothing that was meant to.
    fn judge_missing(&self, mut report: Report) -> Report {
        if self.asked.missing == Missing::Fails && report.is_ok() {
            let missed = self.asked.faults.iter().zip(&report.asked);
            let missed = missed.filter(|(_, hit)| **hit == Some(false));
            let failures = missed.map(|(fault, _)| Failure {
                at: report.virtual_time,
                oracle: Oracle::Missed,
                text: format!("`{fault}` found nothing to hit"),
                place: None,
            });
            report.failures = failures.collect();
        }
        report
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

    /// Of each fault that was asked for whether it hit: nothing of those that are left out.
    fn asked_hit(&self, hit: &[usize]) -> Vec<Option<bool>> {
        if self.asked.missing == Missing::Fine {
            return Vec::new();
        }
        let planned = |fault: &Fault| self.plan.faults.iter().position(|one| one == fault);
        let asked = self.asked.faults.iter();
        asked
            .map(|fault| planned(fault).map(|at| hit.contains(&at)))
            .collect()
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
            asked: self.asked_hit(&run.hit),
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
