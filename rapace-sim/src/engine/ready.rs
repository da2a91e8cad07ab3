//! Tasks that want to run, in an order that the seed decides.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use crate::draw::{Purpose, draw};

/// A task that is woken runs within so many polls of the world: far enough apart that any two that
/// are ready together come in either order, near enough that none starves.
const SHUFFLE_POLLS: u64 = 16;

/// Names a task; the number of its birth tells it from earlier ones in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TaskId {
    pub(crate) index: u32,
    pub(crate) birth: u32,
}

#[derive(Default)]
pub(crate) struct Ready {
    /// By the poll around which they run, then by their draw. Not by the order in which they were
    /// woken: `tokio::sync::watch` wakes its receivers in an order of its own each time.
    heap: Mutex<BinaryHeap<Reverse<(u64, u64, TaskId)>>>,
    polls: AtomicU64,
    root: Mutex<Option<Waker>>,
    /// The executor is looking, so nobody needs to wake it.
    looking: AtomicBool,
}

impl Ready {
    fn push(&self, number: u64, task: TaskId) {
        let around = self.polls.load(Ordering::Relaxed) + number % SHUFFLE_POLLS;
        self.heap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Reverse((around, number, task)));
        if !self.looking.load(Ordering::Relaxed) {
            let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(root) = &*root {
                root.wake_by_ref();
            }
        }
    }

    pub(crate) fn pop(&self) -> Option<TaskId> {
        let popped = self
            .heap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let Reverse((_, _, task)) = popped?;
        self.polls.fetch_add(1, Ordering::Relaxed);
        Some(task)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// The executor begins to look.
    pub(crate) fn begin(&self, root: &Waker) {
        self.looking.store(true, Ordering::Relaxed);
        let mut kept = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            Some(known) => known.clone_from(root),
            None => *kept = Some(root.clone()),
        }
    }

    /// It looks no more until it is woken.
    pub(crate) fn end(&self) {
        self.looking.store(false, Ordering::Relaxed);
    }
}

/// The waker of one task.
pub(crate) struct TaskWaker {
    ready: Arc<Ready>,
    task: TaskId,
    seed: u64,
    /// Which task this is, the same in every run of a seed.
    label: u64,
    queued: AtomicBool,
    wakes: AtomicU64,
}

impl TaskWaker {
    pub(crate) fn new(ready: Arc<Ready>, task: TaskId, seed: u64, label: u64) -> Arc<Self> {
        Arc::new(TaskWaker {
            ready,
            task,
            seed,
            label,
            queued: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
        })
    }

    /// The executor took it from the queue and is about to poll it: wakes count again.
    pub(crate) fn taken(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let n = self.wakes.fetch_add(1, Ordering::Relaxed);
        self.ready
            .push(draw(self.seed, Purpose::Schedule, self.label, n), self.task);
    }
}
