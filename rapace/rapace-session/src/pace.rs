//! How long handlers keep the task that runs them.

use std::sync::atomic::{AtomicU32, Ordering};

/// How long the first poll of a method's handlers has taken lately.
///
/// A handler that answers at once is cheapest where its request arrives. One that computes for
/// long would keep every other frame of the session waiting there, so it gets a task of its own.
/// This is the memory that decides; it is a hint, hence relaxed and racy. Each session has its own:
/// what another session of the process has measured must not change what happens in this one, or
/// the same run would not repeat in a simulator.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    mean_ns: AtomicU32,
    calls: AtomicU32,
}

/// A method that has lately been quick is measured once in so many calls: the clock costs as much
/// as the rest of a small call.
const MEASURED_EVERY: u32 = 16;
/// The most that one measurement counts, in nanoseconds: an eighth of it is just above the mean
/// at which handlers get tasks of their own.
const SAMPLE_NS_MAX: u64 = 200_000;
/// A method slower than this, in nanoseconds, is measured at every call.
const QUICK_NS_MAX: u32 = 5_000;

impl Pace {
    /// Recent mean of the first poll, in nanoseconds.
    pub(crate) fn mean_ns(&self) -> u32 {
        self.mean_ns.load(Ordering::Relaxed)
    }

    /// Whether the call that starts now is to be measured. Counts it.
    pub(crate) fn is_due(&self) -> bool {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls.wrapping_add(1), Ordering::Relaxed);
        calls.is_multiple_of(MEASURED_EVERY) || self.mean_ns() > QUICK_NS_MAX
    }

    /// Takes one more measurement in; it counts for an eighth. A long one is capped so that one
    /// handler that computes moves its method into tasks at once, and one unlucky preemption
    /// costs no more than a few spawns.
    pub(crate) fn record(&self, ns: u64) {
        let sample = ns.min(SAMPLE_NS_MAX) as u32;
        let mean = self.mean_ns();
        let next = mean - mean / 8 + sample / 8;
        if next != mean {
            self.mean_ns.store(next, Ordering::Relaxed);
        }
    }
}
