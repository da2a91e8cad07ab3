//! How much of its memory a link has out: for those who look for leaks.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::control::Platform;
use crate::layout::{CONSUMED, HEAD};
use crate::memory::Memory;
use crate::shared::{Shared, lock};

/// What one end of a link has out of its own lane, and what it holds of the peer's.
///
/// All zeros once everything that was sent has been read and dropped, every loan was sent or
/// dropped, and memory beyond the lane itself was given back (see
/// [`ShmConfig::idle`](crate::ShmConfig::idle)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LaneUse {
    /// Entries of the ring that were published and that the peer has not read.
    pub unread: u64,
    /// Descriptors that name a slot of this end's lane and that the peer has not returned.
    pub in_flight: u32,
    /// Slots of this end's lane that the program writes or still looks at: loans.
    pub held: u32,
    /// Segments of this end's lane beside the lane itself.
    pub segments: u32,
    /// Payloads of the peer's lane that the program reads in place.
    pub borrowed: usize,
    /// Their bytes.
    pub borrowed_bytes: usize,
}

/// Reads the [`LaneUse`] of one end, as long as that end exists; it keeps nothing alive.
///
/// Taken with [`ShmTransport::gauge`](crate::ShmTransport::gauge) before the transport is split.
/// Reading costs a lock and a few loads, and changes nothing that either end could see.
pub struct LaneGauge<P: Platform> {
    shared: Weak<Shared<P>>,
}

impl<P: Platform> LaneGauge<P> {
    pub(crate) fn new(shared: &Arc<Shared<P>>) -> Self {
        LaneGauge {
            shared: Arc::downgrade(shared),
        }
    }

    /// What is out now; `None` once the end and all its loans and payloads are gone.
    ///
    /// The numbers are read one after another: they belong together only while nothing moves.
    pub fn read(&self) -> Option<LaneUse> {
        let shared = self.shared.upgrade()?;
        let head = shared.own.load(HEAD, Ordering::Relaxed);
        let consumed = shared.peer.load(CONSUMED, Ordering::Relaxed);
        let heap = lock(&shared.heap);
        Some(LaneUse {
            unread: head.saturating_sub(consumed),
            in_flight: heap.in_flight(&*shared.peer),
            held: heap.held(),
            segments: heap.further_segments(),
            borrowed: shared.borrowed_slots.load(Ordering::Relaxed),
            borrowed_bytes: shared.borrowed.load(Ordering::Relaxed),
        })
    }
}

impl<P: Platform> Clone for LaneGauge<P> {
    fn clone(&self) -> Self {
        LaneGauge {
            shared: self.shared.clone(),
        }
    }
}

impl<P: Platform> fmt::Debug for LaneGauge<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LaneGauge").field(&self.read()).finish()
    }
}
