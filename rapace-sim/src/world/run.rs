//! A world from its beginning to its report.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WorldBuilder;
use crate::engine::Engine;
use crate::engine::executor::Executor;
use crate::engine::process::{AwaitedStore, ProcessCell, ProcessState};
use crate::fault::{Fault, Moment, Since, When};
use crate::lives;
use crate::report::Report;
use crate::run::{Deadlines, Run};
use crate::stage::{Entered, LinkStage, Stage};
use crate::time::Nanos;
use crate::trace::decode;
use crate::trace::record::{Awaited, Recorder, Then};

impl WorldBuilder {
    pub(super) async fn run_here(&self) -> Report {
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
