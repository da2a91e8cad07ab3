//! Payloads that the program reads where the peer has written them.
//!
//! This file turns offsets of the peer's lane into slices. The mapping stays as long as one of
//! them lives, however the link or the peer ended. The peer can still write there: it has promised
//! not to before the slot is returned, and whoever does not trust that promise sets
//! [`ShmConfig::copy_payloads`](crate::ShmConfig::copy_payloads).

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::control::Platform;
use crate::memory::Memory;
use crate::shared::Shared;

/// The owner of the `Bytes` of a received payload; returns the slot when the last of them goes.
pub(crate) struct Borrowed<P: Platform> {
    shared: Arc<Shared<P>>,
    slot: u32,
    len: usize,
    bytes: Source<P>,
}

enum Source<P: Platform> {
    /// In the peer's lane, which is kept mapped.
    InPlace(
        NonNull<u8>,
        #[expect(dead_code, reason = "keeps the mapping")] Arc<P::Memory>,
    ),
    /// Copied out of memory that cannot be read in place.
    Copied(Box<[u8]>),
}

// SAFETY: the pointer is into memory that stays mapped as long as this lives, that may be read from
// any thread (`Region::new`), and that this process cannot write.
unsafe impl<P: Platform> Send for Borrowed<P> {}

impl<P: Platform> Borrowed<P> {
    /// `len` bytes at `at`, which the caller has checked.
    pub(crate) fn bytes(
        shared: &Arc<Shared<P>>,
        memory: Arc<P::Memory>,
        at: usize,
        len: usize,
        slot: u32,
    ) -> Bytes {
        let bytes = match memory.region() {
            Some(region) => Source::InPlace(region.at(at, len), memory),
            None => {
                let mut copy = vec![0; len];
                memory.read(at, &mut copy);
                Source::Copied(copy.into())
            }
        };
        shared.borrowed.fetch_add(len, Ordering::Relaxed);
        shared.borrowed_slots.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Borrowed {
            shared: shared.clone(),
            slot,
            len,
            bytes,
        })
    }
}

impl<P: Platform> AsRef<[u8]> for Borrowed<P> {
    fn as_ref(&self) -> &[u8] {
        match &self.bytes {
            // SAFETY: `Region::at` checked the bounds against the mapping, which `self` keeps. The
            // peer leaves the bytes alone until the slot is returned, which is when `self` goes
            // (see the module for peers that may not keep that promise).
            Source::InPlace(at, _) => unsafe { std::slice::from_raw_parts(at.as_ptr(), self.len) },
            Source::Copied(bytes) => bytes,
        }
    }
}

impl<P: Platform> Drop for Borrowed<P> {
    fn drop(&mut self) {
        self.shared.borrowed.fetch_sub(self.len, Ordering::Relaxed);
        self.shared.borrowed_slots.fetch_sub(1, Ordering::Relaxed);
        self.shared.give_back(self.slot);
    }
}
