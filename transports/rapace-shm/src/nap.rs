//! Sleeping and waking without read-modify-write.
//!
//! Each side of a wait has words of its own. The sleeper owns a *nap counter*: odd while it sleeps.
//! The one that it waits for owns the word that will change. Both write their own, fence, and read
//! the other's:
//!
//! | sleeper | waker |
//! |---|---|
//! | counter becomes odd | the awaited word changes |
//! | fence (A) | fence (B) |
//! | reads the awaited word | reads the counter |
//! | parks if it is unchanged | rings if it is odd, once for each nap |
//!
//! Of two sequentially consistent fences one comes first, so at least one of the two sees what the
//! other wrote: nobody sleeps through a change. The counter makes two naps different words, so
//! that a waker rings at most once for each without having to write anything that is shared.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Memory;

/// The sleeper's side: the nap counter in its own lane.
#[derive(Debug)]
pub struct Nap {
    at: usize,
    count: u64,
}

impl Nap {
    /// The counter at `at` of one's own lane, which starts at zero: awake.
    pub fn new(at: usize) -> Self {
        Nap { at, count: 0 }
    }

    /// Whether the sleeper has announced that it sleeps.
    pub fn asleep(&self) -> bool {
        self.count % 2 == 1
    }

    /// Announces sleep. The caller has registered with its bell before, and looks once more at what
    /// it waits for after this; only then may it park.
    pub fn fall_asleep<M: Memory>(&mut self, own: &M) {
        if self.asleep() {
            return;
        }
        self.count += 1;
        own.store(self.at, self.count, Ordering::Relaxed);
        // (A) Pairs with (B) in `Waker::wake`.
        own.fence();
    }

    /// Announces that the sleeper is awake.
    pub fn wake_up<M: Memory>(&mut self, own: &M) {
        if !self.asleep() {
            return;
        }
        self.count += 1;
        // Relaxed: a waker that reads the old value rings once for nothing.
        own.store(self.at, self.count, Ordering::Relaxed);
    }
}

/// The waker's side: remembers which nap it has rung for.
///
/// May be used by several threads of the process at once; a race between two of them rings twice.
#[derive(Debug)]
pub struct Alert {
    at: usize,
    rung: AtomicU64,
}

impl Alert {
    /// For the counter at `at` of the peer's lane.
    pub fn new(at: usize) -> Self {
        Alert {
            at,
            rung: AtomicU64::new(0),
        }
    }

    /// Whether the peer sleeps and has to be rung. The caller has stored what the peer waits for
    /// before this, and rings when this says so.
    #[inline]
    #[must_use]
    pub fn wanted<M: Memory>(&self, peer: &M) -> bool {
        // (B) Pairs with (A) in `Nap::fall_asleep`.
        peer.fence();
        let nap = peer.load(self.at, Ordering::Relaxed);
        // Relaxed: see the type's documentation.
        if nap.is_multiple_of(2) || self.rung.load(Ordering::Relaxed) == nap {
            return false;
        }
        self.rung.store(nap, Ordering::Relaxed);
        true
    }
}
