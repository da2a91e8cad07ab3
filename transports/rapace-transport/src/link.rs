//! The [`Transport`] trait.

use std::sync::Arc;
use std::task::{Context, Poll};

use rapace_core::DeadlineForm;
use rapace_core::frame::{Frame, Loan};

use crate::LinkError;

/// What a transport tells about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkInfo {
    /// The kind of transport, for people: `mem`, `unix`, `tcp`, `shm`, …
    pub kind: &'static str,
    /// How this transport carries deadlines.
    pub deadline: DeadlineForm,
    /// The longest payload that one frame can carry, in bytes; `u32::MAX` when only the session's
    /// limits bound it.
    pub payload_bytes_max: u32,
    /// Payloads of at least this many bytes are written from where they are instead of being
    /// copied into a send buffer first; the codec keeps `Bytes` fields of that size apart.
    /// `usize::MAX` when gathering never pays.
    pub gather_bytes_min: usize,
}

/// One end of a link.
///
/// Object safe: no transport type appears in users' code.
pub trait Transport: Send + 'static {
    /// What this transport is.
    fn info(&self) -> LinkInfo;

    /// Who lends memory where the peer will read it; `None` when the payloads of this transport are
    /// copied or moved anyhow.
    fn lender(&self) -> Option<Arc<dyn Lender>> {
        None
    }

    /// The two directions, which are driven apart.
    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>);
}

impl Transport for Box<dyn Transport> {
    fn info(&self) -> LinkInfo {
        (**self).info()
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        (**self).lender()
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        (*self).split()
    }
}

/// The sending direction.
///
/// Every method may be called from any task: a waiting call registers the waker of the context it
/// was given, and the last one registered is woken.
pub trait FrameSink: Send {
    /// Ready when [`FrameSink::send`] may be called once more.
    ///
    /// Pending is backpressure: the send buffer is full.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Accepts one whole frame, after `poll_ready` said ready. Never writes a part: what follows
    /// is `poll_flush`'s work and cannot be cancelled half way.
    ///
    /// The sink completes the descriptor's payload fields for its kind of link where they differ
    /// from what [`Frame::new`] wrote. Errors that occur here are reported by the next poll.
    fn send(&mut self, frame: Frame);

    /// Writes out what was accepted. Ready when nothing is left to write.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Flushes, then says to the peer that nothing follows. The receive side of the same link
    /// ends too: a `poll_recv` that waits is woken.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
}

/// The receiving direction.
pub trait FrameSource: Send {
    /// The next frame, in the order of sending. Never returns [`Payload::Chain`] or
    /// [`Payload::Loan`].
    ///
    /// After an error every further call returns the same error. A link that ends between two
    /// frames ends with [`LinkError::Closed`].
    ///
    /// [`Payload::Chain`]: rapace_core::frame::Payload::Chain
    /// [`Payload::Loan`]: rapace_core::frame::Payload::Loan
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>>;

    /// Raises the longest payload that will be accepted, once the Hellos have been exchanged.
    /// Before that it is 64 KiB (PROTOCOL.md §1).
    fn raise_payload_limit(&mut self, bytes: u32);
}

/// Lends memory of a transport, where the peer will read it without another copy.
///
/// Apart from the sink, so that a value is encoded without holding up those who send. A loan is
/// sent as [`Payload::Loan`], or frozen to `Bytes` ([`Loan::freeze`]) and sent as a run of a
/// payload, as often as one likes: the transport knows its own memory again.
///
/// A lender keeps some of its memory back for frames that are sent from elsewhere: a frame in the
/// send queue must not wait for a loan that waits, filled, behind it in the same queue.
///
/// [`Payload::Loan`]: rapace_core::frame::Payload::Loan
pub trait Lender: Send + Sync {
    /// Memory for a payload, if there is some now. `None` is backpressure, or a payload longer than
    /// [`Lender::loan_bytes_max`]: who cannot wait sends from its own memory instead. What stands in
    /// the memory at first is unspecified.
    fn try_loan(&self, room: Room) -> Option<Loan>;

    /// Memory for a payload; pending while there is none. Any number of tasks may wait: when memory
    /// comes back, all of them are woken. Cancel-safe: nothing is taken before it is ready.
    ///
    /// # Errors
    ///
    /// How the link ended; [`LinkError::Io`] when `room` is more than
    /// [`Lender::loan_bytes_max`]; [`LinkError::NoMemory`] when the system has refused so much memory
    /// for longer than the link waits: the link itself goes on then.
    fn poll_loan(&self, cx: &mut Context<'_>, room: Room) -> Poll<Result<Loan, LinkError>>;

    /// The longest loan with its room, in bytes.
    fn loan_bytes_max(&self) -> usize;

    /// Payloads of fewer bytes than this are sent at least as fast from one's own memory. Who encodes
    /// a value asks for a loan from this length on. Default: 0.
    fn encode_bytes_min(&self) -> usize {
        0
    }

    /// Whether all of `bytes` lie in a frozen loan of this link, so that sending them does not copy
    /// them. By address: the content is not looked at, and what another link lent is foreign.
    fn owns(&self, bytes: &[u8]) -> bool {
        let _ = bytes;
        false
    }
}

/// How much memory a loan takes, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Before the lent bytes, for what stands before them in the payload.
    pub head: usize,
    /// The lent bytes themselves.
    pub len: usize,
    /// Behind them.
    pub tail: usize,
}

impl Room {
    /// Exactly this many bytes and no room around them.
    pub const fn exact(len: usize) -> Self {
        Room {
            head: 0,
            len,
            tail: 0,
        }
    }

    /// All together.
    pub const fn total(self) -> usize {
        self.head.saturating_add(self.len).saturating_add(self.tail)
    }
}
