//! What the engine knows of a process.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// Its stores into shared memory so far.
    stores: AtomicU64,
    /// The first of its stores that a fault of the plan waits for.
    store_awaited: AtomicU64,
    awaited: Mutex<AwaitedStores>,
    last: Mutex<LastStores>,
}

/// The stores that a process had not released when a fault killed it that says which of them did
/// not take place.
#[derive(Default)]
struct LastStores {
    /// How many there were, over all links of the process.
    count: u32,
    /// Those that somebody looked at, in that order.
    seen: Vec<u32>,
}

/// A store that a fault of the plan waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwaitedStore {
    /// Which one, from 1.
    pub(crate) n: u64,
    pub(crate) fault: usize,
    /// The process dies of it, so that the store does not take place.
    pub(crate) dies: bool,
}

#[derive(Default)]
struct AwaitedStores {
    waiting: Vec<AwaitedStore>,
    due: Vec<usize>,
}

impl ProcessCell {
    pub(crate) fn new(index: usize) -> Arc<Self> {
        Arc::new(ProcessCell {
            index,
            skew: AtomicU64::new(0),
            draws: AtomicU64::new(0),
            stores: AtomicU64::new(0),
            store_awaited: AtomicU64::new(NEVER),
            awaited: Mutex::default(),
            last: Mutex::default(),
        })
    }

    fn last(&self) -> MutexGuard<'_, LastStores> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more stores were not released; the number of the first of them.
    pub(crate) fn count_last_stores(&self, stores: usize) -> u32 {
        let mut last = self.last();
        let first = last.count + 1;
        last.count += stores as u32;
        first
    }

    /// Somebody looked where this store was to be seen.
    pub(crate) fn last_store_seen(&self, store: u32) {
        self.last().seen.push(store);
    }

    pub(crate) fn last_stores_seen(&self) -> Vec<u32> {
        self.last().seen.clone()
    }

    fn awaited(&self) -> MutexGuard<'_, AwaitedStores> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the fault happen when this store is about to.
    pub(crate) fn await_store(&self, store: AwaitedStore) {
        self.awaited().waiting.push(store);
        self.store_awaited.fetch_min(store.n, Ordering::Relaxed);
    }

    /// As [`ProcessCell::await_store`], for a store that is counted from now on.
    pub(crate) fn await_further_store(&self, store: AwaitedStore) {
        self.await_store(AwaitedStore {
            n: self.stores() + store.n,
            ..store
        });
    }

    /// No fault waits for a store any more.
    pub(crate) fn forget_stores(&self) {
        *self.awaited() = AwaitedStores::default();
        self.store_awaited.store(NEVER, Ordering::Relaxed);
    }

    /// Faults whose stores have come.
    pub(crate) fn take_due(&self) -> Vec<usize> {
        std::mem::take(&mut self.awaited().due)
    }

    /// Stores into shared memory so far, over all lives.
    pub(crate) fn stores(&self) -> u64 {
        self.stores.load(Ordering::Relaxed)
    }

    /// Of the stores up to the `last`-th, the one that the process dies before.
    fn reach_stores(&self, last: u64) -> Option<u64> {
        if last < self.store_awaited.load(Ordering::Relaxed) {
            return None;
        }
        let mut awaited = self.awaited();
        let (mut here, left): (Vec<_>, Vec<_>) = std::mem::take(&mut awaited.waiting)
            .into_iter()
            .partition(|store| store.n <= last);
        here.sort_by_key(|store| store.n);
        awaited.due.extend(here.iter().map(|store| store.fault));
        let next = left.iter().map(|store| store.n).min();
        awaited.waiting = left;
        self.store_awaited
            .store(next.unwrap_or(NEVER), Ordering::Relaxed);
        here.iter().find(|store| store.dies).map(|store| store.n)
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
        let skew = self.skew.load(Ordering::Relaxed);
        self.skew
            .store(skew.saturating_add(ahead), Ordering::Relaxed);
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
    /// It was killed, rather than that it ended by itself.
    killed: AtomicBool,
    /// Which of its unreleased stores its death takes back, if the plan says so.
    loses: OnceLock<BTreeSet<u32>>,
    /// How many more bytes or stores get out before it becomes one.
    writes_left: AtomicU64,
}

impl LifeCell {
    pub(crate) fn new(process: Arc<ProcessCell>, life: u32) -> Arc<Self> {
        Arc::new(LifeCell {
            process,
            life,
            dead: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            loses: OnceLock::new(),
            writes_left: AtomicU64::new(NEVER),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// From now on what it writes goes nowhere.
    pub(crate) fn become_ghost(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether it was killed, as its parent learns from the system.
    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Its parent is told that it was killed.
    pub(crate) fn note_killed(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    /// Its death takes back these of its unreleased stores.
    pub(crate) fn lose(&self, stores: &[u32]) {
        // It dies at once, so that nobody can say it twice.
        let _ = self.loses.set(stores.iter().copied().collect());
    }

    pub(crate) fn loses(&self) -> Option<&BTreeSet<u32>> {
        self.loses.get()
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
        left as usize
    }

    /// How many of `wanted` stores into shared memory still take place. Fewer than wanted: it is
    /// dead now.
    pub(crate) fn store(&self, wanted: usize) -> usize {
        if self.is_dead() {
            return 0;
        }
        let before = self.process.stores();
        let dies_before = self.process.reach_stores(before + wanted as u64);
        let may = match dies_before {
            Some(n) => n.saturating_sub(before + 1) as usize,
            None => wanted,
        };
        let out = self.write(may);
        self.process
            .stores
            .store(before + out as u64, Ordering::Relaxed);
        if dies_before.is_some() {
            self.become_ghost();
        }
        out
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
    pub(crate) fn new(cell: Arc<ProcessCell>) -> Self {
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
