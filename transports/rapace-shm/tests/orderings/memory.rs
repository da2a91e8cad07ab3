//! A lane of loom's cells.
//!
//! The words that two processes poll are loom atomics. Descriptors, returns and payloads are plain
//! cells: the protocol orders every access to them, and loom reports one that it does not. That is
//! stricter than the relaxed atomics of production, which allow for a hostile peer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64 as Hint, Ordering};
use std::sync::{Arc, Mutex};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, fence};
use rapace_shm::Memory;
use rapace_shm::layout::{
    CLOSED, CONSUMED, Geometry, HEAD, NAP_DATA, NAP_ROOM, RETURNS_HEAD, RINGS,
};

/// What loom calls an access that nothing orders.
pub(crate) const RACE: &str = "Causality violation";
/// What loom calls threads that all wait.
pub(crate) const DEADLOCK: &str = "deadlock";

const POLLED: [usize; 6] = [HEAD, CONSUMED, RETURNS_HEAD, NAP_DATA, NAP_ROOM, CLOSED];
/// Bytes of payload that one cell stands for: the smallest allocation.
const GRANULE: usize = 64;

/// What is wrong with a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    /// Fences do nothing.
    NoFence,
    /// Stores with release order are relaxed.
    RelaxedStores,
    /// Loads with acquire order are relaxed.
    RelaxedLoads,
}

/// One lane; clones are mappings of the same.
#[derive(Clone)]
pub(crate) struct Lane {
    words: Arc<Words>,
    flaw: Flaw,
}

struct Words {
    geometry: Geometry,
    header: Mutex<[u8; HEAD]>,
    polled: BTreeMap<usize, AtomicU64>,
    /// Hints, of which nothing depends.
    hints: Hint,
    /// Descriptors and returns, by word.
    rings: Vec<UnsafeCell<u64>>,
    payload: Vec<UnsafeCell<[u8; GRANULE]>>,
}

// SAFETY: loom switches threads only at its own operations and reports cells that race.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Lane {
    /// A lane with rings of two entries. To be made within a model.
    pub(crate) fn new(geometry: Geometry, flaw: Flaw) -> Self {
        let rings = (geometry.payload_at as usize - RINGS) / 8;
        // Only what the rings really use: a page of them would cost loom for nothing.
        let used = (geometry.ring as usize * 8 + geometry.returns as usize).min(rings);
        Lane {
            words: Arc::new(Words {
                geometry,
                header: Mutex::new([0; HEAD]),
                polled: POLLED.iter().map(|at| (*at, AtomicU64::new(0))).collect(),
                hints: Hint::new(0),
                rings: (0..used).map(|_| UnsafeCell::new(0)).collect(),
                payload: (0..geometry.payload_len as usize / GRANULE)
                    .map(|_| UnsafeCell::new([0; GRANULE]))
                    .collect(),
            }),
            flaw,
        }
    }

    fn ring_word(&self, at: usize) -> Option<&UnsafeCell<u64>> {
        self.words.rings.get(at.checked_sub(RINGS)? / 8)
    }

    /// Calls `each` with the cell, the range within it and the range of the whole run.
    fn runs(&self, at: usize, len: usize, mut each: impl FnMut(usize, usize, usize, usize)) {
        let mut done = 0;
        while done < len {
            let offset = at + done - self.words.geometry.payload_at as usize;
            let (cell, from) = (offset / GRANULE, offset % GRANULE);
            let run = (GRANULE - from).min(len - done);
            each(cell, from, done, run);
            done += run;
        }
    }
}

impl Memory for Lane {
    fn len_bytes(&self) -> usize {
        self.words.geometry.len_bytes()
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        let order = if self.flaw == Flaw::RelaxedLoads {
            Ordering::Relaxed
        } else {
            order
        };
        if let Some(word) = self.words.polled.get(&at) {
            return word.load(order);
        }
        match self.ring_word(at) {
            // SAFETY: loom has checked that no write runs beside this.
            Some(cell) => cell.with(|word| unsafe { *word }),
            None => self.words.hints.load(Ordering::Relaxed),
        }
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        let order = if self.flaw == Flaw::RelaxedStores {
            Ordering::Relaxed
        } else {
            order
        };
        if let Some(word) = self.words.polled.get(&at) {
            return word.store(value, order);
        }
        match self.ring_word(at) {
            // SAFETY: loom has checked that no access runs beside this.
            Some(cell) => cell.with_mut(|word| unsafe { *word = value }),
            None => self.words.hints.store(value, Ordering::Relaxed),
        }
    }

    fn fence(&self) {
        if self.flaw != Flaw::NoFence {
            fence(Ordering::SeqCst);
        }
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        if at < HEAD {
            let header = self.words.header.lock().unwrap();
            return out.copy_from_slice(&header[at..at + out.len()]);
        }
        self.runs(at, out.len(), |cell, from, to, run| {
            // SAFETY: loom has checked that no write runs beside this.
            let bytes = self.words.payload[cell].with(|bytes| unsafe { *bytes });
            out[to..to + run].copy_from_slice(&bytes[from..from + run]);
        });
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        if at < HEAD {
            let mut header = self.words.header.lock().unwrap();
            return header[at..at + bytes.len()].copy_from_slice(bytes);
        }
        self.runs(at, bytes.len(), |cell, from, to, run| {
            self.words.payload[cell].with_mut(|cell| {
                // SAFETY: loom has checked that no access runs beside this.
                unsafe { (&mut *cell)[from..from + run].copy_from_slice(&bytes[to..to + run]) };
            });
        });
    }
}

/// Rings of two entries, and a page for payloads.
pub(crate) fn geometry() -> Geometry {
    Geometry::new(2, 2, 4096)
}

/// The lanes of two ends, both with the flaw.
pub(crate) fn lanes(flaw: Flaw) -> [Lane; 2] {
    std::array::from_fn(|_| Lane::new(geometry(), flaw))
}
