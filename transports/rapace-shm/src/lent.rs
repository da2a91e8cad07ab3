//! Loans: memory of one's own lane in the hands of the program.
//!
//! This file turns offsets into slices. What makes that sound: a slot belongs to one loan until it
//! is sent or dropped, the allocator never gives out overlapping slots, and nobody but this process
//! can write this lane.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use rapace_core::frame::{Loan, LoanBuf};
use rapace_transport::{Lender, LinkError, Room};

use crate::control::Platform;
use crate::heap::{Frozen, Purpose};
use crate::memory::Memory;
use crate::ring::RUN_BYTES_MAX;
use crate::shared::{Shared, lock};

/// Who lends the memory of one end's lane.
pub(crate) struct LaneLender<P: Platform> {
    pub(crate) shared: Arc<Shared<P>>,
}

impl<P: Platform> LaneLender<P> {
    fn take(&self, room: Room) -> Result<Option<Loan>, LinkError> {
        if let Some(error) = self.shared.ending() {
            return Err(error);
        }
        let total = room.total();
        if total > self.loan_bytes_max() {
            let most = self.loan_bytes_max();
            let what =
                format!("a loan of {total} bytes is more than the {most} that this link lends");
            return Err(LinkError::Io(what.into()));
        }
        let slot = self.shared.allocate(total, Purpose::Loan)?;
        Ok(slot.and_then(|slot| Lent::lend(&self.shared, slot, room)))
    }
}

impl<P: Platform> Lender for LaneLender<P> {
    fn try_loan(&self, room: Room) -> Option<Loan> {
        self.take(room).ok().flatten()
    }

    fn poll_loan(&self, cx: &mut Context<'_>, room: Room) -> Poll<Result<Loan, LinkError>> {
        if let Some(loan) = self.take(room)? {
            return Poll::Ready(Ok(loan));
        }
        self.shared.waiting.lender(cx.waker());
        self.shared.poll_room(|| self.take(room))
    }

    fn loan_bytes_max(&self) -> usize {
        self.shared.config.payload_bytes_max()
    }

    fn encode_bytes_min(&self) -> usize {
        RUN_BYTES_MAX + 1
    }

    fn owns(&self, bytes: &[u8]) -> bool {
        lock(&self.shared.heap).find_frozen(bytes).is_some()
    }
}

/// A slot that the program writes.
pub(crate) struct Lent<P: Platform> {
    shared: Arc<Shared<P>>,
    pub(crate) slot: u32,
    pub(crate) room: Room,
    bytes: Buffer<P>,
    /// The slot is somebody else's now.
    given: bool,
}

/// Where the bytes are until they are sent.
enum Buffer<P: Platform> {
    /// In the lane itself, which the place keeps mapped.
    InPlace(
        NonNull<u8>,
        #[expect(dead_code, reason = "keeps the mapping")] Arc<P::Memory>,
    ),
    /// In private memory, because this kind of memory cannot be touched in place.
    Staged(Vec<u8>),
}

// SAFETY: the pointer is into memory that the place keeps alive, that may be used from any thread
// (`Region::new`), and that only this loan reads or writes.
unsafe impl<P: Platform> Send for Lent<P> {}

impl<P: Platform> Lent<P> {
    fn lend(shared: &Arc<Shared<P>>, slot: u32, room: Room) -> Option<Loan> {
        let place = lock(&shared.heap).place(slot)?;
        let bytes = match place.memory.region() {
            Some(region) => {
                Buffer::InPlace(region.at(place.at + room.head, room.len), place.memory)
            }
            None => Buffer::Staged(vec![0; room.len]),
        };
        Some(Loan(Box::new(Lent {
            shared: shared.clone(),
            slot,
            room,
            bytes,
            given: false,
        })))
    }

    /// Whether `shared` lent this.
    pub(crate) fn is_of(&self, shared: &Arc<Shared<P>>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The bytes, copied out.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.as_slice())
    }

    /// Ends the loan for sending: the slot's number. The bytes are in the lane.
    pub(crate) fn into_slot(mut self) -> u32 {
        if let Buffer::Staged(bytes) = &self.bytes
            && let Some(place) = lock(&self.shared.heap).place(self.slot)
        {
            place.memory.write(place.at + self.room.head, bytes);
        }
        self.given = true;
        self.slot
    }
}

impl<P: Platform> LoanBuf for Lent<P> {
    fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.bytes {
            // SAFETY: `Region::at` checked the bounds; the slot is this loan's alone (module), and
            // `&mut self` makes it this call's alone. The memory is initialised: a memory file
            // begins as zeros.
            Buffer::InPlace(at, _) => unsafe {
                std::slice::from_raw_parts_mut(at.as_ptr(), self.room.len)
            },
            Buffer::Staged(bytes) => bytes,
        }
    }

    fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            // SAFETY: as in `as_mut_slice`, shared.
            Buffer::InPlace(at, _) => unsafe {
                std::slice::from_raw_parts(at.as_ptr(), self.room.len)
            },
            Buffer::Staged(bytes) => bytes,
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn freeze(mut self: Box<Self>) -> Bytes {
        let start = self.as_slice().as_ptr().addr();
        lock(&self.shared.heap).freeze(Frozen {
            slot: self.slot,
            start,
            end: start + self.room.len,
            head: self.room.head,
            tail: self.room.tail,
        });
        self.given = true;
        Bytes::from_owner(FrozenLoan { start, lent: *self })
    }
}

impl<P: Platform> Drop for Lent<P> {
    fn drop(&mut self) {
        if !self.given {
            self.shared.let_go(self.slot);
        }
    }
}

/// The owner of the `Bytes` of a frozen loan. While it lives, the slot is not used again: the peer
/// may have returned it, but this side can still read it.
struct FrozenLoan<P: Platform> {
    lent: Lent<P>,
    start: usize,
}

impl<P: Platform> AsRef<[u8]> for FrozenLoan<P> {
    fn as_ref(&self) -> &[u8] {
        self.lent.as_slice()
    }
}

impl<P: Platform> Drop for FrozenLoan<P> {
    fn drop(&mut self) {
        let shared = &self.lent.shared;
        lock(&shared.heap).thaw(self.start, self.lent.slot);
        shared.waiting.wake_room();
    }
}
