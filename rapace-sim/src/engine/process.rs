//! What the engine knows of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ready::TaskId;

/// Never: for counters that something waits for.
pub(crate) const NEVER: u64 = u64::MAX;

/// A process over all its lives, as far as many parts look at it.
pub(crate) struct ProcessCell {
    pub(crate) index: usize,
    /// How far its clock is ahead of the world's, in nanoseconds.
    skew: AtomicU64,
    /// How often it drew a random number.
    draws: AtomicU64,
}

impl ProcessCell {
    pub(crate) fn new(index: usize) -> Arc<Self> {
        Arc::new(ProcessCell {
            index,
            skew: AtomicU64::new(0),
            draws: AtomicU64::new(0),
        })
    }

    /// What its clock shows at a time of the world.
    pub(crate) fn to_local(&self, world: u64) -> u64 {
        world.saturating_add(self.skew.load(Ordering::Relaxed))
    }

    /// When its clock shows this.
    pub(crate) fn to_world(&self, local: u64) -> u64 {
        local.saturating_sub(self.skew.load(Ordering::Relaxed))
    }

    pub(crate) fn skew(&self, ahead: u64) {
        self.skew.fetch_add(ahead, Ordering::Relaxed);
    }

    pub(crate) fn next_draw(&self) -> u64 {
        self.draws.fetch_add(1, Ordering::Relaxed)
    }
}

/// One life of a process.
pub(crate) struct LifeCell {
    pub(crate) process: Arc<ProcessCell>,
    /// Which life, from 1.
    pub(crate) life: u32,
    /// It is a ghost: what it writes goes nowhere.
    dead: AtomicBool,
    /// How many more bytes or stores get out before it becomes one.
    writes_left: AtomicU64,
    /// It has run out of those, and the executor has to be told.
    exhausted: AtomicBool,
}

impl LifeCell {
    pub(crate) fn new(process: Arc<ProcessCell>, life: u32) -> Arc<Self> {
        Arc::new(LifeCell {
            process,
            life,
            dead: AtomicBool::new(false),
            writes_left: AtomicU64::new(NEVER),
            exhausted: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// From now on what it writes goes nowhere.
    pub(crate) fn become_ghost(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Only so many more writes get out.
    pub(crate) fn limit_writes(&self, left: u64) {
        self.writes_left.store(left, Ordering::Relaxed);
    }

    /// How many of `wanted` bytes or stores still get out. Fewer than wanted: it is dead now.
    pub(crate) fn write(&self, wanted: usize) -> usize {
        if self.is_dead() {
            return 0;
        }
        let left = self.writes_left.load(Ordering::Relaxed);
        if left == NEVER {
            return wanted;
        }
        if left >= wanted as u64 {
            self.writes_left
                .store(left - wanted as u64, Ordering::Relaxed);
            return wanted;
        }
        self.become_ghost();
        self.exhausted.store(true, Ordering::Relaxed);
        left as usize
    }

    /// Whether it died of a limit of its writes since the last look.
    pub(crate) fn take_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed) && self.exhausted.swap(false, Ordering::Relaxed)
    }
}

/// What only the executor looks at.
pub(crate) struct ProcessState {
    pub(crate) cell: Arc<ProcessCell>,
    /// The current life, or the last one.
    pub(crate) life: Arc<LifeCell>,
    pub(crate) alive: bool,
    /// Tasks that were spawned in this life.
    pub(crate) spawned: u64,
    /// Polls over all lives.
    pub(crate) events: u64,
    /// The event before which a fault of the plan is due.
    pub(crate) event_awaited: u64,
    /// It does nothing before this time.
    pub(crate) busy_until: u64,
    /// It hangs, rather than being busy; for the trace.
    pub(crate) hangs: bool,
    /// How long each of its events takes.
    pub(crate) each: u64,
    /// Counts the changes of `each`.
    pub(crate) slowed: u64,
    /// Tasks that are ready and wait for it to go on.
    pub(crate) held: Vec<TaskId>,
    /// A Resume is on the agenda for this time.
    pub(crate) resume_at: u64,
}

impl ProcessState {
    pub(crate) fn new(index: usize) -> Self {
        let cell = ProcessCell::new(index);
        ProcessState {
            life: LifeCell::new(cell.clone(), 0),
            cell,
            alive: false,
            spawned: 0,
            events: 0,
            event_awaited: NEVER,
            busy_until: 0,
            hangs: false,
            each: 0,
            slowed: 0,
            held: Vec::new(),
            resume_at: 0,
        }
    }
}
