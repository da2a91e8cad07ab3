//! [`LoanMut`]: memory of the link, for users who fill their payloads where the peer reads them.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use rapace_core::frame::Loan;
use rapace_core::session::{CloseReason, LinkEnd};
use rapace_transport::{LinkError, Room};

use crate::error::{CallError, NotSent, SessionEnd};
use crate::shared::Shared;

/// Room before the bytes of a loan for an envelope and a method's fields that stand before them, in
/// bytes.
const HEAD_BYTES: usize = 128;
/// Room behind them for the fields that follow, in bytes.
const TAIL_BYTES: usize = 64;

/// Memory to fill with a payload: of the link itself where the link lends (shared memory), so that
/// the peer reads the bytes where they were written; else of the heap.
///
/// It comes from [`Caller::loan`](crate::Caller::loan) or, in a handler, from
/// [`Context::loan`](crate::Context::loan). Fill it as the `[u8]` that it is, [`freeze`] it, and pass
/// the `Bytes` wherever a service takes `Bytes`: as an argument or return value, in a field of one,
/// as an item of a `Streaming<Bytes>`, or to [`Tunnel::send`](crate::Tunnel::send). Over the link
/// that lent it, none of these copies it. Over any other link it is `Bytes` like any other. Three
/// things are copied all the same: what is shorter than a kilobyte, because that is cheaper; all but
/// one of several loans in one payload; and a slice of a loan that has other fields where the rest
/// of the loan is.
///
/// The memory is the link's own and bounded: it comes back when the loan, or the last of its `Bytes`
/// on both sides, is dropped. Dropping an unsent loan gives it back at once.
///
/// [`freeze`]: LoanMut::freeze
pub struct LoanMut {
    memory: Memory,
}

enum Memory {
    Lent(Loan),
    Heap(Vec<u8>),
}

impl LoanMut {
    /// Ends the writing. Costs no copy.
    pub fn freeze(self) -> Bytes {
        match self.memory {
            Memory::Lent(loan) => loan.freeze(),
            Memory::Heap(bytes) => Bytes::from(bytes),
        }
    }

    /// Whether the memory is the link's; else it is the heap's, because this link does not lend.
    pub fn is_lent(&self) -> bool {
        matches!(self.memory, Memory::Lent(_))
    }

    /// Waits for memory of the link of `shared`.
    pub(crate) async fn of(shared: &Shared, room: Room) -> Result<LoanMut, CallError> {
        let Some(lender) = &shared.lender else {
            let memory = Memory::Heap(vec![0; room.len]);
            return Ok(LoanMut { memory });
        };
        let limit = lender.loan_bytes_max();
        if room.total() > limit {
            return Err(CallError::TooLarge {
                bytes: room.total() as u64,
                limit: limit as u64,
            });
        }
        if let Some(loan) = lender.try_loan(room) {
            let memory = Memory::Lent(loan);
            return Ok(LoanMut { memory });
        }
        // Loans that are out, and frozen ones that are still read, may outlive the session.
        let mut closed = pin!(shared.closed());
        let lent = poll_fn(|cx| match lender.poll_loan(cx, room) {
            Poll::Ready(Ok(loan)) => Poll::Ready(Ok(loan)),
            Poll::Ready(Err(LinkError::NoMemory(what))) => {
                Poll::Ready(Err(NotSent::NoMemory(what)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(NotSent::Ended(link_ended(shared, &error)))),
            Poll::Pending => closed.as_mut().poll(cx).map(NotSent::Ended).map(Err),
        });
        match lent.await {
            Ok(loan) => Ok(LoanMut {
                memory: Memory::Lent(loan),
            }),
            Err(why) => Err(CallError::NotSent(why)),
        }
    }
}

/// The link is gone, and the driver may not have told the session yet.
fn link_ended(shared: &Shared, error: &LinkError) -> SessionEnd {
    let known = shared.end();
    known.unwrap_or_else(|| SessionEnd::new(&CloseReason::Link(LinkEnd::Closed), Some(error)))
}

/// The default room around `len` bytes.
pub(crate) fn roomy(len: usize) -> Room {
    Room {
        head: HEAD_BYTES,
        len,
        tail: TAIL_BYTES,
    }
}

impl Deref for LoanMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Lent(loan) => loan.0.as_slice(),
            Memory::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for LoanMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Lent(loan) => loan.0.as_mut_slice(),
            Memory::Heap(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for LoanMut {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for LoanMut {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl From<LoanMut> for Bytes {
    fn from(loan: LoanMut) -> Bytes {
        loan.freeze()
    }
}

impl fmt::Debug for LoanMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanMut")
            .field("len", &self.len())
            .field("is_lent", &self.is_lent())
            .finish()
    }
}
