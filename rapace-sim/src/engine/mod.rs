//! The executor: one world's tasks and events, in virtual time, on one thread.
//!
//! | module | owns |
//! |---|---|
//! | here | [`Engine`]: what all parts of a world share; polling one task |
//! | `executor` | [`executor::Executor`]: the root future that polls tasks and takes events |
//! | `ready` | the order of tasks that want to run |
//! | `tasks` | the table of tasks |
//! | `agenda` | events to come |
//! | `clock` | virtual time |
//! | `process` | lives of processes, as far as links and timers look at them |
//! | `runtime` | what sessions see of all this |
//!
//! The engine knows processes and tasks. It refuses to know links, plans, oracles and the wire: what
//! events mean is told by [`executor::Rules`].

pub(crate) mod agenda;
pub(crate) mod clock;
pub(crate) mod executor;
pub(crate) mod process;
pub(crate) mod ready;
pub(crate) mod runtime;
pub(crate) mod tasks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rapace_session::runtime::Task;

use agenda::Agenda;
use clock::Zero;
use process::{LifeCell, ProcessState};
use ready::{Ready, TaskId, TaskWaker};
use tasks::{TaskEntry, TaskKind, Tasks};

use crate::panics::{self, Caught};

/// The name of tasks that sessions spawn.
pub(crate) const SESSION_TASK: &str = "session";

/// What all parts of a world share.
pub(crate) struct Engine {
    pub(crate) seed: u64,
    pub(crate) agenda: Agenda,
    ready: Arc<Ready>,
    zero: Zero,
    tasks: Mutex<Tasks>,
    processes: Mutex<Vec<ProcessState>>,
    /// Tasks of kind Work that have not ended.
    working: AtomicUsize,
    /// Polls and events so far.
    pub(crate) steps: AtomicU64,
    /// The process whose task is being polled.
    current: AtomicUsize,
}

/// No process.
const NOBODY: usize = usize::MAX;

/// What came of a poll.
pub(crate) enum Polled {
    /// It goes on.
    Pending,
    /// It has ended.
    Done,
    /// It panicked; the panic is the last of those that there were.
    Panicked { process: usize, name: &'static str },
    /// There was nothing to poll.
    Nothing,
}

/// What stands before a poll.
pub(crate) enum Turn {
    /// The task has ended.
    Gone,
    /// Its process is busy; it was put aside.
    Held,
    /// A fault waits for this event and comes first; then it is asked again.
    Awaited { process: usize },
    /// It may go.
    Go { process: usize },
}

impl Engine {
    /// To be called inside the paused runtime.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Engine {
            seed,
            agenda: Agenda::default(),
            ready: Arc::default(),
            zero: Zero::here(),
            tasks: Mutex::default(),
            processes: Mutex::default(),
            working: AtomicUsize::new(0),
            steps: AtomicU64::new(0),
            current: AtomicUsize::new(NOBODY),
        })
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.zero.now()
    }

    pub(crate) fn zero(&self) -> Zero {
        self.zero
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes; not to be held while anything is woken, spawned or dropped.
    pub(crate) fn processes(&self) -> MutexGuard<'_, Vec<ProcessState>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The process whose code is running, if one is.
    pub(crate) fn current(&self) -> Option<usize> {
        let current = self.current.load(Ordering::Relaxed);
        (current != NOBODY).then_some(current)
    }

    /// How many tasks of kind [`TaskKind::Work`] have not ended.
    pub(crate) fn working(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// Which tasks of kind Work have not ended: process and name.
    pub(crate) fn unfinished(&self) -> Vec<(usize, &'static str)> {
        let tasks = self.tasks();
        let working = tasks.iter().filter(|task| task.kind == TaskKind::Work);
        working.map(|task| (task.process, task.name)).collect()
    }

    /// How many tasks that sessions have spawned have not ended, by process.
    pub(crate) fn session_tasks(&self) -> Vec<usize> {
        let mut counts = vec![0; self.processes().len()];
        let tasks = self.tasks();
        for task in tasks.iter().filter(|task| task.name == SESSION_TASK) {
            counts[task.process] += 1;
        }
        counts
    }

    /// Runs a task of a process beside the others. A dead process starts nothing.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        life: &Arc<LifeCell>,
        kind: TaskKind,
        name: &'static str,
        task: Task,
    ) {
        if life.is_dead() {
            return;
        }
        let process = life.process.index;
        let ordinal = {
            let mut processes = self.processes();
            let state = &mut processes[process];
            state.spawned += 1;
            state.spawned
        };
        let label = (process as u64) << 48 | u64::from(life.life) << 32 | ordinal;
        if kind == TaskKind::Work {
            self.working.fetch_add(1, Ordering::Relaxed);
        }
        let cell = {
            let mut tasks = self.tasks();
            let id = tasks.reserve();
            let cell = TaskWaker::new(self.ready.clone(), id, self.seed, label);
            let entry = TaskEntry {
                process,
                life: life.life,
                kind,
                name,
                waker: Waker::from(cell.clone()),
                cell: cell.clone(),
                future: Some(task),
            };
            tasks.put(id, entry);
            cell
        };
        Waker::from(cell).wake();
    }

    /// Whether the task may be polled now; counts the event if so.
    fn turn(&self, id: TaskId) -> Turn {
        let process = match self.tasks().entry(id) {
            Some(entry) => entry.process,
            None => return Turn::Gone,
        };
        let now = self.now();
        let mut processes = self.processes();
        let state = &mut processes[process];
        if state.busy_until > now {
            state.held.push(id);
            if state.resume_at < state.busy_until {
                state.resume_at = state.busy_until;
                self.agenda
                    .enter(state.busy_until, agenda::Event::Resume(process));
            }
            return Turn::Held;
        }
        if state.events + 1 >= state.event_awaited {
            return Turn::Awaited { process };
        }
        state.events += 1;
        if state.each > 0 {
            state.busy_until = now + state.each;
        }
        Turn::Go { process }
    }

    /// Polls a task; also says which panics there were in it, caught by itself or not.
    fn poll_task(&self, id: TaskId) -> (Polled, Vec<Caught>) {
        let (mut future, waker, cell) = match self.tasks().entry(id) {
            Some(entry) => match entry.future.take() {
                Some(future) => (future, entry.waker.clone(), entry.cell.clone()),
                None => return (Polled::Nothing, Vec::new()),
            },
            None => return (Polled::Nothing, Vec::new()),
        };
        cell.taken();
        let mut cx = Context::from_waker(&waker);
        // Destructors of what ended before are nobody's business.
        panics::take();
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        let mut caught = panics::take();
        let polled = match polled {
            Ok(Poll::Pending) => {
                // It may have been killed by what it did itself; then its place is empty.
                let mut tasks = self.tasks();
                match tasks.entry(id) {
                    Some(entry) => entry.future = Some(future),
                    None => {
                        drop(tasks);
                        drop(future);
                    }
                }
                Polled::Pending
            }
            Ok(Poll::Ready(())) => {
                let entry = self.tasks().remove(id);
                self.ended(entry.as_ref());
                drop(future);
                Polled::Done
            }
            Err(panic) => {
                let entry = self.tasks().remove(id);
                self.ended(entry.as_ref());
                let _ = catch_unwind(AssertUnwindSafe(move || drop(future)));
                let message = panics::message(&*panic);
                // The hook does not see a panic that goes on after somebody has caught it.
                if caught.last().is_none_or(|last| last.message != message) {
                    let place = None;
                    caught.push(Caught { message, place });
                }
                match entry {
                    Some(entry) => Polled::Panicked {
                        process: entry.process,
                        name: entry.name,
                    },
                    None => Polled::Nothing,
                }
            }
        };
        (polled, caught)
    }

    fn ended(&self, entry: Option<&TaskEntry>) {
        if entry.is_some_and(|entry| entry.kind == TaskKind::Work) {
            self.working.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Drops all tasks of a life of a process. Its writes must go nowhere already.
    pub(crate) fn drop_tasks(&self, process: usize, life: u32) {
        let gone = self
            .tasks()
            .remove_all(|task| task.process == process && task.life == life);
        for entry in gone {
            self.ended(Some(&entry));
            // What destructors say in a dead process is nobody's business.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(entry)));
        }
    }

    /// Drops everything that is left.
    pub(crate) fn clear(&self) {
        let gone = self.tasks().remove_all(|_| true);
        for entry in gone {
            self.ended(Some(&entry));
            let _ = catch_unwind(AssertUnwindSafe(move || drop(entry)));
        }
        self.agenda.clear();
    }

    /// The process goes on: what waited for it is ready.
    pub(crate) fn resume(&self, process: usize) {
        let held = std::mem::take(&mut self.processes()[process].held);
        let wakers: Vec<Waker> = {
            let mut tasks = self.tasks();
            let held = held.into_iter();
            held.filter_map(|id| {
                tasks.entry(id).map(|entry| {
                    entry.cell.taken();
                    entry.waker.clone()
                })
            })
            .collect()
        };
        for waker in wakers {
            waker.wake();
        }
    }
}
