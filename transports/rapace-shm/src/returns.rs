//! The ring of returns: slots of the *other* lane that a reader has finished with.
//!
//! It stands in the reader's own lane, and the writer whose slots they are reads it. It cannot
//! fill: the writer has no more payloads in flight than it has entries, and an entry that the
//! writer has not read yet still counts as in flight.

use std::sync::atomic::Ordering;

use crate::Memory;
use crate::layout::{Geometry, RETURNS_HEAD};
use crate::ring::Corrupt;

/// The giving end, in the process that read the payloads.
#[derive(Debug)]
pub struct Giver {
    /// Of one's own lane.
    geometry: Geometry,
    head: u64,
}

impl Giver {
    /// For one's own fresh lane.
    pub fn new(geometry: Geometry) -> Self {
        Giver { geometry, head: 0 }
    }

    /// Gives one slot back. The caller has finished reading it.
    pub fn give<M: Memory>(&mut self, own: &M, slot: u32) {
        let at = self.geometry.return_at(self.head);
        own.store(at, u64::from(slot), Ordering::Relaxed);
        self.head += 1;
        // Release pairs with the acquire in `Taker::take`: the entry comes first, and before it
        // every read of the payload.
        own.store(RETURNS_HEAD, self.head, Ordering::Release);
    }
}

/// The taking end, in the process that owns the slots.
#[derive(Debug)]
pub struct Taker {
    /// Of the peer's lane.
    geometry: Geometry,
    taken: u64,
    head: u64,
}

impl Taker {
    /// For the peer's lane, whose geometry was checked.
    pub fn new(geometry: Geometry) -> Self {
        Taker {
            geometry,
            taken: 0,
            head: 0,
        }
    }

    /// How many returns there are to take, by the peer's word.
    pub(crate) fn waiting<M: Memory>(&self, peer: &M) -> u64 {
        // Relaxed: a count for people, nothing is read through it.
        let head = peer.load(RETURNS_HEAD, Ordering::Relaxed);
        head.saturating_sub(self.taken)
    }

    /// The next slot that was given back. Whether it was in flight at all is for the caller to
    /// check.
    ///
    /// # Errors
    ///
    /// The peer's head went back, or ahead of its ring.
    pub fn take<M: Memory>(&mut self, peer: &M) -> Result<Option<u32>, Corrupt> {
        if self.taken == self.head {
            // Acquire pairs with the release in `Giver::give`.
            let head = peer.load(RETURNS_HEAD, Ordering::Acquire);
            if head < self.head || head - self.taken > u64::from(self.geometry.returns) {
                return Err("its head of the returns is out of range");
            }
            self.head = head;
            if head == self.taken {
                return Ok(None);
            }
        }
        let word = peer.load(self.geometry.return_at(self.taken), Ordering::Relaxed);
        self.taken += 1;
        match u32::try_from(word) {
            Ok(slot) => Ok(Some(slot)),
            Err(_) => Err("it returned what is no slot"),
        }
    }
}
