//! What the processes of one running world share beside the engine: links, sessions, marks,
//! findings, and the wishes of running code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapace_session::Session;
use rapace_session::codegen::ServiceDescriptor;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::engine::process::LifeCell;
use crate::fault::What;
use crate::link::{LinkConfig, LiveLink};
use crate::program::Program;
use crate::report::{CallCount, Failure, Oracle};
use crate::time::Nanos;
use crate::trace::record::{Entry, Recorder};
use crate::trace::{CallEnd, ProcessChange};

/// A running world.
pub(crate) struct Stage {
    pub(crate) engine: Arc<Engine>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) programs: Vec<Program>,
    pub(crate) links: Vec<LinkStage>,
    wishes: Mutex<Vec<Wish>>,
    wished: AtomicBool,
    found: Mutex<Found>,
    calls: AtomicU64,
    /// What is served anywhere: traces are read with it.
    served: Mutex<Vec<&'static ServiceDescriptor>>,
    /// The most words of shared memory that a process had not released when it died.
    pub(crate) unreleased: AtomicUsize,
}

/// A link of a running world; the first end is the host's.
pub(crate) struct LinkStage {
    pub(crate) name: String,
    pub(crate) ends: [usize; 2],
    state: Mutex<LinkState>,
    /// What each end knows of the process at the other.
    pub(crate) peers: [watch::Sender<Peering>; 2],
    /// Tells the plugin's supervisor that `start_at` has changed.
    pub(crate) restarted: tokio::sync::Notify,
}

/// What one end of a link knows of the process at the other.
#[derive(Clone, Debug, Default)]
pub(crate) enum Peering {
    /// It is starting, or is down until it is started again.
    #[default]
    Awaited,
    /// It is there, and the session with it was ready.
    Up(Session),
    /// It is down for this reason, and only the plan can start it again.
    Down(Arc<str>),
}

impl Peering {
    /// The session, while it goes on.
    pub(crate) fn live(&self) -> Option<&Session> {
        match self {
            Peering::Up(session) if session.end().is_none() => Some(session),
            _ => None,
        }
    }
}

pub(crate) struct LinkState {
    pub(crate) config: LinkConfig,
    pub(crate) life: u32,
    pub(crate) live: Option<LiveLink>,
    /// Sessions over the live link, each with its end.
    pub(crate) open: Vec<(usize, Session)>,
    /// The plan wants the plugin to start then.
    pub(crate) start_at: Option<u64>,
    /// Since when the link is frozen, and which life of it.
    pub(crate) frozen: Option<(u64, u32)>,
    /// Counts freezes, exhaustions and so on, so that the end of one does not end the next.
    pub(crate) freezes: u64,
    pub(crate) exhausts: u64,
    pub(crate) doorbells: u64,
}

impl LinkStage {
    pub(crate) fn new(name: String, ends: [usize; 2], config: LinkConfig) -> Self {
        LinkStage {
            name,
            ends,
            state: Mutex::new(LinkState {
                config,
                life: 0,
                live: None,
                open: Vec::new(),
                start_at: None,
                frozen: None,
                freezes: 0,
                exhausts: 0,
                doorbells: 0,
            }),
            peers: Default::default(),
            restarted: tokio::sync::Notify::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which end this process has.
    pub(crate) fn end_of(&self, process: usize) -> Option<usize> {
        self.ends.iter().position(|end| *end == process)
    }
}

/// What running code asks of the world; granted after the poll that it was asked in.
pub(crate) enum Wish {
    /// Something is to go wrong.
    Fault(What),
    /// A life of a process ends by itself.
    Exit { life: Arc<LifeCell>, why: String },
}

#[derive(Default)]
struct Found {
    failures: Vec<Failure>,
    marks: BTreeMap<String, u64>,
    calls: CallCount,
    /// Watched calls that have not ended: who makes them, and what they are called.
    open: BTreeMap<u64, (usize, String)>,
}

/// Failures beyond this many say nothing new.
const FAILURES_MAX: usize = 32;

impl Stage {
    pub(crate) fn new(
        engine: Arc<Engine>,
        recorder: Arc<Recorder>,
        names: Vec<Arc<str>>,
        programs: Vec<Program>,
        links: Vec<LinkStage>,
    ) -> Arc<Self> {
        Arc::new(Stage {
            engine,
            recorder,
            names,
            programs,
            links,
            wishes: Mutex::default(),
            wished: AtomicBool::new(false),
            found: Mutex::default(),
            calls: AtomicU64::new(0),
            served: Mutex::new(vec![rapace_session::introspection()]),
            unreleased: AtomicUsize::new(0),
        })
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody serves this.
    pub(crate) fn serves(&self, service: &'static ServiceDescriptor) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if !served.iter().any(|known| std::ptr::eq(*known, service)) {
            served.push(service);
        }
    }

    /// What has been served, and what every session serves.
    pub(crate) fn served(&self) -> Vec<&'static ServiceDescriptor> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.clone()
    }

    pub(crate) fn note(&self, entry: Entry) {
        self.recorder.note(self.engine.now(), entry);
    }

    pub(crate) fn changed(&self, life: &LifeCell, change: ProcessChange) {
        self.note(Entry::Process {
            process: life.process.index,
            life: life.life,
            change,
        });
    }

    pub(crate) fn wish(&self, wish: Wish) {
        self.wishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wish);
        self.wished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_wishes(&self) -> Vec<Wish> {
        if !self.wished.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        std::mem::take(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn fail(&self, oracle: Oracle, text: String) {
        self.fail_at(oracle, text, None);
    }

    /// As [`Stage::fail`], with the place of a panic.
    pub(crate) fn fail_at(&self, oracle: Oracle, text: String, place: Option<String>) {
        let at = Nanos(self.engine.now());
        self.note(Entry::Failure {
            text: format!("{oracle}: {text}"),
        });
        let mut found = self.found();
        if found.failures.len() < FAILURES_MAX {
            found.failures.push(Failure {
                at,
                oracle,
                text,
                place,
            });
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.found().failures.is_empty()
    }

    pub(crate) fn mark(&self, name: &str, reached: bool) {
        let mut found = self.found();
        match found.marks.get_mut(name) {
            Some(count) => *count += u64::from(reached),
            None => {
                found.marks.insert(name.to_owned(), u64::from(reached));
            }
        }
        drop(found);
        if reached {
            self.note(Entry::Mark {
                name: name.to_owned(),
            });
        }
    }

    /// A watched call begins; its number.
    pub(crate) fn call_begins(&self, process: usize, label: &str) -> u64 {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut found = self.found();
        found.calls.begun += 1;
        found.open.insert(call, (process, label.to_owned()));
        drop(found);
        self.note(Entry::Call {
            process,
            call,
            label: label.to_owned(),
            outcome: None,
        });
        call
    }

    pub(crate) fn call_ends(&self, process: usize, call: u64, label: String, outcome: CallEnd) {
        let mut found = self.found();
        found.open.remove(&call);
        match &outcome {
            CallEnd::Ok(_) => found.calls.ok += 1,
            CallEnd::Err(_) => found.calls.failed += 1,
            CallEnd::Dropped => found.calls.dropped += 1,
        }
        drop(found);
        self.note(Entry::Call {
            process,
            call,
            label,
            outcome: Some(outcome),
        });
    }

    /// Watched calls that have not ended, as text.
    pub(crate) fn open_calls(&self) -> Vec<String> {
        let found = self.found();
        let open = found.open.iter();
        open.map(|(call, (process, label))| {
            format!("call {call} {label} of {}", self.names[*process])
        })
        .collect()
    }

    pub(crate) fn take_found(&self) -> (Vec<Failure>, BTreeMap<String, u64>, CallCount) {
        let found = std::mem::take(&mut *self.found());
        (found.failures, found.marks, found.calls)
    }

    /// The process of this name.
    pub(crate) fn process(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| &**known == name)
    }

    /// The link of this name.
    pub(crate) fn link(&self, name: &str) -> Option<usize> {
        self.links.iter().position(|link| link.name == name)
    }

    /// Whether nobody starts this process but the world.
    pub(crate) fn is_root(&self, process: usize) -> bool {
        self.links.iter().all(|link| link.ends[1] != process)
    }

    /// The link between two processes.
    pub(crate) fn link_between(&self, one: usize, other: usize) -> Option<usize> {
        self.links
            .iter()
            .position(|link| link.ends == [one, other] || link.ends == [other, one])
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Stage>>> = const { RefCell::new(None) };
}

/// Makes a stage the one that free functions speak of, as long as it lives.
pub(crate) struct Entered {
    before: Option<Arc<Stage>>,
}

impl Entered {
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Entered {
            before: CURRENT.replace(Some(stage)),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// The world that this thread runs, if it runs one.
pub(crate) fn current() -> Option<Arc<Stage>> {
    CURRENT.with_borrow(Clone::clone)
}
