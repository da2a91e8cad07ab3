//! One run: what events mean, when faults happen, when the world is over.
//!
//! | part | owns |
//! |---|---|
//! | here | faults that wait, and the meaning of events |
//! | `effects` | what faults do |
//! | `remains` | what is left when all is over |

mod effects;
mod remains;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::agenda::Event;
use crate::engine::executor::{Next, Rules};
use crate::engine::process::{AwaitedStore, NEVER, ProcessCell};
use crate::fault::{Since, What, When};
use crate::lives;
use crate::panics::Caught;
use crate::plan::Plan;
use crate::program::Program;
use crate::report::{FaultCount, Oracle};
use crate::stage::{Stage, Wish};
use crate::time::Nanos;
use crate::trace::ProcessChange;
use crate::trace::record::Entry;

/// Steps at one moment after which a world counts as turning in circles.
const STEPS_AT_ONE_TIME_MAX: u64 = 1_000_000;

/// When a run is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// Main functions must have returned by then.
    pub(crate) main_ns: u64,
    /// And everything must be quiet so long afterwards.
    pub(crate) settle_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Main functions run, faults happen.
    Running,
    /// All faults are healed; what is under way ends.
    Settling {
        until: u64,
    },
    Over,
}

/// The meaning of everything that happens in one world.
pub(crate) struct Run {
    stage: Arc<Stage>,
    plan: Plan,
    deadlines: Deadlines,
    phase: Phase,
    /// Faults that wait for an event of a process: process, event, fault.
    events_awaited: Vec<(usize, u64, usize)>,
    pub(crate) counts: BTreeMap<String, FaultCount>,
    /// The faults that took effect, in that order.
    pub(crate) hit: Vec<usize>,
}

impl Run {
    pub(crate) fn new(stage: Arc<Stage>, plan: Plan, deadlines: Deadlines) -> Self {
        let mut counts: BTreeMap<String, FaultCount> = BTreeMap::new();
        for fault in &plan.faults {
            counts
                .entry(fault.what.kind().to_string())
                .or_default()
                .planned += 1;
        }
        let mut run = Run {
            stage,
            plan,
            deadlines,
            phase: Phase::Running,
            events_awaited: Vec::new(),
            counts,
            hit: Vec::new(),
        };
        run.arm();
        run
    }

    /// Puts the faults that wait for a time or an event where they will be found. Those that wait
    /// for a frame are the recorder's.
    fn arm(&mut self) {
        for (at, fault) in self.plan.faults.iter().enumerate() {
            match &fault.when {
                When::At(time) => self.stage.engine.agenda.enter(time.0, Event::Fault(at)),
                When::Event { process, n } => {
                    if let Some(process) = self.stage.process(process) {
                        self.events_awaited.push((process, *n, at));
                    }
                }
                When::Store { process, n } => {
                    if let Some((cell, store)) = self.stores_of(process, *n, at) {
                        cell.await_store(store);
                    }
                }
                When::StoreAfter {
                    since: Since::At(time),
                    ..
                } => {
                    let count = Event::CountStores(at);
                    self.stage.engine.agenda.enter(time.0, count);
                }
                When::StoreAfter {
                    since: Since::Frame { .. },
                    ..
                }
                | When::Frame { .. } => {}
            }
        }
        self.await_events();
    }

    /// The `n`-th store of a process, for a fault that awaits it.
    fn stores_of(
        &self,
        process: &str,
        n: u64,
        fault: usize,
    ) -> Option<(Arc<ProcessCell>, AwaitedStore)> {
        let store = AwaitedStore {
            n,
            fault,
            dies: self.plan.faults[fault].what.ends(process),
        };
        let process = self.stage.process(process)?;
        Some((self.stage.engine.processes()[process].cell.clone(), store))
    }

    /// A fault counts the stores of its process from now on.
    fn count_stores(&self, fault: usize) {
        if self.phase == Phase::Running
            && let When::StoreAfter { process, n, .. } = &self.plan.faults[fault].when
            && let Some((cell, store)) = self.stores_of(process, *n, fault)
        {
            cell.await_further_store(store);
        }
    }

    fn await_events(&self) {
        let mut processes = self.stage.engine.processes();
        for state in processes.iter_mut() {
            let awaited = self.events_awaited.iter();
            let here = awaited.filter(|(process, ..)| *process == state.cell.index);
            state.event_awaited = here.map(|(_, n, _)| *n).min().unwrap_or(NEVER);
        }
    }

    /// Starts the processes that nobody else starts.
    pub(crate) fn begin(&self) {
        for process in 0..self.stage.names.len() {
            if self.stage.is_root(process) {
                lives::start(&self.stage, process);
            }
        }
    }

    fn fault(&mut self, at: usize) {
        if self.phase != Phase::Running {
            return;
        }
        let what = self.plan.faults[at].what.clone();
        // Written down before its effects.
        let hit = self.can_hit(&what);
        self.stage.note(Entry::Fault { fault: at, hit });
        if hit {
            self.apply(&what);
            self.hit.push(at);
            if let Some(count) = self.counts.get_mut(what.kind().name()) {
                count.hit += 1;
            }
        }
    }

    /// Whether there is somebody or something that the fault concerns.
    fn can_hit(&self, what: &What) -> bool {
        if let Some(name) = what.process() {
            let Some(process) = self.stage.process(name) else {
                return false;
            };
            return matches!(what, What::Restart { .. })
                || self.stage.engine.processes()[process].alive;
        }
        let Some(link) = what.link().and_then(|name| self.stage.link(name)) else {
            return false;
        };
        let state = self.stage.links[link].state();
        let Some(live) = &state.live else {
            return false;
        };
        match what {
            What::CutHalf { from, .. } | What::Corrupt { from, .. } => {
                live.can_have(what) && self.end(link, from).is_some()
            }
            _ => live.can_have(what),
        }
    }

    fn end(&self, link: usize, process: &str) -> Option<usize> {
        let process = self.stage.process(process)?;
        self.stage.links[link].end_of(process)
    }

    /// All main functions have returned: everything is healed, so that it can end.
    fn settle(&mut self) {
        let now = self.stage.engine.now();
        self.phase = Phase::Settling {
            until: now.saturating_add(self.deadlines.settle_ns),
        };
        self.events_awaited.clear();
        self.await_events();
        self.stage.recorder.forget_awaited();
        for state in self.stage.engine.processes().iter() {
            state.cell.forget_stores();
        }
        for link in &self.stage.links {
            if let Some(live) = &link.state().live {
                live.freeze(false);
                live.exhaust(false);
                live.ring_with(None);
            }
        }
        for process in 0..self.stage.names.len() {
            {
                let mut processes = self.stage.engine.processes();
                processes[process].busy_until = 0;
                processes[process].each = 0;
                processes[process].hangs = false;
            }
            self.stage.engine.resume(process);
        }
    }
}

impl Rules for Run {
    fn event(&mut self, event: Event) {
        let stage = &self.stage;
        match event {
            Event::Fault(at) => self.fault(at),
            Event::CountStores(at) => self.count_stores(at),
            Event::Resume(process) => {
                let life = {
                    let mut processes = stage.engine.processes();
                    let state = &mut processes[process];
                    std::mem::take(&mut state.hangs).then(|| state.life.clone())
                };
                if let Some(life) = life {
                    stage.changed(&life, ProcessChange::Resumed);
                }
            }
            Event::EndSlow(process, slowed) => {
                let mut processes = stage.engine.processes();
                if processes[process].slowed == slowed {
                    processes[process].each = 0;
                }
            }
            Event::Thaw(link, freezes) => {
                let mut state = stage.links[link].state();
                if let (true, Some(live)) = (state.freezes == freezes, &state.live) {
                    live.freeze(false);
                    let unnoticed = self.unnoticed_silence(link, &mut state);
                    drop(state);
                    for text in unnoticed {
                        stage.fail(Oracle::Progress, text);
                    }
                }
            }
            Event::Relieve(link, exhausts) => {
                let state = stage.links[link].state();
                if let (true, Some(live)) = (state.exhausts == exhausts, &state.live) {
                    live.exhaust(false);
                }
            }
            Event::Start(process) => {
                let alive = stage.engine.processes()[process].alive;
                if !alive {
                    lives::start(stage, process);
                }
            }
            Event::EndDoorbell(link, doorbells) => {
                let state = stage.links[link].state();
                if let (true, Some(live)) = (state.doorbells == doorbells, &state.live) {
                    live.ring_with(None);
                }
            }
            // The engine's own.
            Event::Timer(..)
            | Event::Deliver(_)
            | Event::Ring(_)
            | Event::Message(_)
            | Event::Wake(_) => {}
        }
    }

    fn awaited(&mut self, process: usize) {
        let next = self.stage.engine.processes()[process].events + 1;
        let (due, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.events_awaited)
            .into_iter()
            .partition(|(of, n, _)| *of == process && *n <= next);
        self.events_awaited = left;
        self.await_events();
        for (_, _, fault) in due {
            self.fault(fault);
        }
    }

    fn polled(&mut self, process: usize) {
        let dead = {
            let processes = self.stage.engine.processes();
            let state = &processes[process];
            state.alive && state.life.is_dead()
        };
        for (oracle, problem) in self.stage.recorder.take_problems() {
            self.stage.fail(oracle, problem);
        }
        let mut due = self.stage.recorder.take_due();
        due.extend(
            self.stage.engine.processes()[process]
                .cell
                .clone()
                .take_due(),
        );
        for fault in due {
            self.fault(fault);
        }
        if dead {
            lives::end(&self.stage, process, ProcessChange::Killed);
        }
        for wish in self.stage.take_wishes() {
            match wish {
                Wish::Fault(what) => {
                    if self.can_hit(&what) {
                        self.apply(&what);
                    }
                }
                Wish::Exit { life, why } => {
                    let process = life.process.index;
                    let current = {
                        let processes = self.stage.engine.processes();
                        Arc::ptr_eq(&processes[process].life, &life)
                    };
                    if current {
                        lives::end(&self.stage, process, ProcessChange::Exited(why));
                    }
                }
            }
        }
    }

    fn panicked(&mut self, process: usize, task: &'static str, panic: Caught) {
        let Caught { message, place } = panic;
        let life = self.stage.engine.processes()[process].life.clone();
        let name = &self.stage.names[process];
        let text = format!("{task} of {name} panicked: {message}");
        self.stage.changed(&life, ProcessChange::Panicked(message));
        self.stage.fail_at(Oracle::Assertion, text, place);
    }

    fn caught(&mut self, process: Option<usize>, panic: Caught) {
        let programs = &self.stage.programs;
        let (expected, text) = match process {
            Some(process) => {
                // What its code does in the rest of a poll in which it was killed never happened.
                let dead = self.stage.engine.processes()[process].life.is_dead();
                let name = &self.stage.names[process];
                let text = format!("a handler of {name} panicked: {}", panic.message);
                (dead || programs[process].expects(&panic.message), text)
            }
            None => {
                let text = format!("a task of tokio's panicked: {}", panic.message);
                let expected = |one: &Program| one.expects_of_tasks(&panic.message);
                (programs.iter().any(expected), text)
            }
        };
        if !expected {
            self.stage.fail_at(Oracle::Assertion, text, panic.place);
        }
    }

    fn idle(&mut self, next: Option<u64>) -> Next {
        if self.stage.has_failed() {
            self.phase = Phase::Over;
        }
        let now = self.stage.engine.now();
        if self.phase == Phase::Running && self.stage.engine.working() == 0 {
            self.settle();
            // What that has woken comes first.
            return Next::At(now);
        }
        let until = match self.phase {
            Phase::Over => return Next::Over,
            Phase::Running => self.deadlines.main_ns,
            Phase::Settling { until } => {
                if self.is_quiet() {
                    self.phase = Phase::Over;
                    return Next::Over;
                }
                until
            }
        };
        if now >= until {
            if self.phase == Phase::Running {
                let text = format!(
                    "not over after {} of virtual time; still under way: {}",
                    Nanos(until),
                    self.unfinished()
                );
                self.stage.fail(Oracle::Progress, text);
            } else {
                let mut leaks = self.leaks();
                if leaks.is_empty() {
                    leaks.push("bytes are still under way".into());
                }
                let span = Nanos(self.deadlines.settle_ns);
                let text = format!("{span} after all was over: {}", leaks.join("; "));
                self.stage.fail(Oracle::Leak, text);
            }
            self.phase = Phase::Over;
            return Next::Over;
        }
        Next::At(next.unwrap_or(until).min(until))
    }

    fn steps_at_one_time(&mut self, steps: u64) -> bool {
        if steps < STEPS_AT_ONE_TIME_MAX {
            return true;
        }
        let text = format!("{steps} steps without the time going on");
        self.stage.fail(Oracle::Livelock, text);
        false
    }
}
