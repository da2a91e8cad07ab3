//! What will happen, ordered by virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use super::process::ProcessCell;
use crate::pipe::Pipe;
use crate::shm::bell::Bell;
use crate::shm::control::Line;

/// A timer that is off.
const OFF: u64 = u64::MAX;

/// Something that happens at a time.
pub(crate) enum Event {
    /// A timer goes off, if it still has the setting of this number.
    Timer(Arc<TimerCell>, u64),
    /// Bytes arrive at the end of a pipe. Which ones, the pipe knows: it is first in, first out
    /// whatever order events come in.
    Deliver(Arc<Pipe>),
    /// A doorbell is heard.
    Ring(Arc<Bell>),
    /// Somebody hears that there is something on its control channel.
    Message(Arc<Line>),
    /// A task looks again.
    Wake(Waker),
    /// A process that hung or was busy goes on.
    Resume(usize),
    /// A process that was slowed has its speed back, unless it was slowed anew.
    EndSlow(usize, u64),
    /// A fault of the plan is due.
    Fault(usize),
    /// From now on the stores are counted of which a fault of the plan awaits one.
    CountStores(usize),
    /// A freeze of a link ends, unless it was frozen anew.
    Thaw(usize, u64),
    /// A link can allocate again, unless it was exhausted anew.
    Relieve(usize, u64),
    /// The doorbells of a link are as they were, unless something else was done to them.
    EndDoorbell(usize, u64),
    /// A plugin is started by a fault.
    Start(usize),
}

struct Entry {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// The events to come. Those of one moment happen in the order in which they were entered.
#[derive(Default)]
pub(crate) struct Agenda {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    heap: BinaryHeap<Reverse<Entry>>,
    seq: u64,
    /// Tasks that have a Wake on the agenda.
    looking: Vec<Waker>,
}

impl Agenda {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, at: u64, event: Event) {
        let mut inner = self.lock();
        inner.seq += 1;
        let seq = inner.seq;
        inner.heap.push(Reverse(Entry { at, seq, event }));
    }

    /// Has a task look again at this time, if it does not look again earlier: once, however many
    /// parts of it ask.
    pub(crate) fn look_again(&self, at: u64, waker: &Waker) {
        {
            let mut inner = self.lock();
            if inner.looking.iter().any(|known| known.will_wake(waker)) {
                return;
            }
            inner.looking.push(waker.clone());
        }
        self.enter(at, Event::Wake(waker.clone()));
    }

    /// When the next event happens. Timers that were set anew or dropped meanwhile are forgotten
    /// here, so that nobody waits for them.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let mut inner = self.lock();
        loop {
            let Reverse(entry) = inner.heap.peek()?;
            match &entry.event {
                Event::Timer(cell, set) if !cell.is_set(*set) => {
                    inner.heap.pop();
                }
                _ => return Some(entry.at),
            }
        }
    }

    /// The next event that is due.
    pub(crate) fn take(&self, now: u64) -> Option<Event> {
        let mut inner = self.lock();
        if inner.heap.peek()?.0.at > now {
            return None;
        }
        let Reverse(Entry { event, .. }) = inner.heap.pop()?;
        if let Event::Wake(waker) = &event {
            inner.looking.retain(|known| !known.will_wake(waker));
        }
        Some(event)
    }

    /// Orders the timers of a process anew after its clock has jumped.
    pub(crate) fn retime(&self, process: &Arc<ProcessCell>) {
        let mut inner = self.lock();
        let mut entries = std::mem::take(&mut inner.heap).into_vec();
        for Reverse(entry) in &mut entries {
            if let Event::Timer(cell, _) = &entry.event
                && Arc::ptr_eq(&cell.process, process)
            {
                entry.at = process.to_world(cell.at.load(Ordering::Relaxed));
            }
        }
        inner.heap = entries.into();
    }

    /// Whether anything but timers of processes is to come.
    pub(crate) fn has_traffic(&self) -> bool {
        let inner = self.lock();
        let traffic = |entry: &Reverse<Entry>| {
            matches!(
                entry.0.event,
                Event::Deliver(_) | Event::Ring(_) | Event::Message(_)
            )
        };
        inner.heap.iter().any(traffic)
    }

    pub(crate) fn clear(&self) {
        let gone = {
            let mut inner = self.lock();
            inner.looking.clear();
            std::mem::take(&mut inner.heap)
        };
        drop(gone);
    }
}

/// A timer of a session or of the simulator's own tasks.
pub(crate) struct TimerCell {
    process: Arc<ProcessCell>,
    /// When, by the clock of its process; [`OFF`] if never.
    at: AtomicU64,
    /// Counts its settings: an event of an earlier one is void.
    set: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl TimerCell {
    pub(crate) fn new(process: Arc<ProcessCell>) -> Arc<Self> {
        Arc::new(TimerCell {
            process,
            at: AtomicU64::new(OFF),
            set: AtomicU64::new(0),
            waker: Mutex::new(None),
        })
    }

    fn is_set(&self, set: u64) -> bool {
        self.set.load(Ordering::Relaxed) == set && self.at.load(Ordering::Relaxed) != OFF
    }

    /// Sets the timer to a time by the clock of its process; says which setting this is and when
    /// it is due in the world's time.
    pub(crate) fn set(&self, at: Option<u64>) -> Option<(u64, u64)> {
        let set = self.set.fetch_add(1, Ordering::Relaxed) + 1;
        self.at.store(at.unwrap_or(OFF), Ordering::Relaxed);
        at.filter(|at| *at != OFF)
            .map(|at| (set, self.process.to_world(at)))
    }

    /// Whether it has gone off; switches it off then. Else the waker is kept.
    pub(crate) fn poll(&self, waker: &Waker, local_now: u64) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        if at == OFF {
            return false;
        }
        if at <= local_now {
            self.at.store(OFF, Ordering::Relaxed);
            return true;
        }
        let mut kept = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            Some(known) => known.clone_from(waker),
            None => *kept = Some(waker.clone()),
        }
        false
    }

    /// The event of a setting has come.
    pub(crate) fn fire(&self, set: u64) {
        if !self.is_set(set) {
            return;
        }
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
