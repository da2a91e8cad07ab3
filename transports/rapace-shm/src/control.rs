//! The control socket of a link: it carries further memory and ends when the peer does.

use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{Doorbell, Memory};

/// The control channel of one end of a link.
///
/// It is ordered and reliable, and it ends when the peer's process does. What was sent before a
/// descriptor was published is there to be received when the peer sees that descriptor. What is
/// sent is little: a message when a lane grows or shrinks.
pub trait Control: Send + Sync + 'static {
    /// What it carries.
    type Memory: Memory;

    /// New memory of at least `bytes`, whole pages of zeros that only this process can ever write.
    ///
    /// # Errors
    ///
    /// The system has no more, or no more descriptors.
    fn create(&self, bytes: usize) -> io::Result<Self::Memory>;

    /// Sends a message, or none of it. Pending when the peer does not read; the task of `cx` is
    /// woken when there is room.
    ///
    /// # Errors
    ///
    /// The peer is gone, or the local system failed.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &Outgoing<'_, Self::Memory>,
    ) -> Poll<io::Result<()>>;

    /// The next message of the peer. After [`Incoming::HungUp`] it is not asked again.
    ///
    /// # Errors
    ///
    /// The local system failed.
    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Memory>>>;

    /// Says that a message must have come already, because what was sent after it has been seen
    /// elsewhere: the next [`Control::poll_recv`] asks the system for it and not the runtime, which
    /// may not have heard of it yet.
    fn expect_message(&self) {}
}

/// A message to the peer.
#[derive(Debug)]
pub enum Outgoing<'a, M> {
    /// The sender's lane has a further segment.
    Segment {
        /// Its number: rising, never used again on this link.
        serial: u32,
        /// The memory.
        memory: &'a M,
    },
    /// The sender's lane has this segment no more; none of its slots is in flight.
    Drop {
        /// The segment's number.
        serial: u32,
    },
}

/// A message of the peer, already checked as far as the operating system can: sealed memory of the
/// announced size.
#[derive(Debug)]
pub enum Incoming<M> {
    /// See [`Outgoing::Segment`].
    Segment {
        /// Its number.
        serial: u32,
        /// The memory, readable only.
        memory: M,
    },
    /// See [`Outgoing::Drop`].
    Drop {
        /// The segment's number.
        serial: u32,
    },
    /// The peer is gone, or has closed its end.
    HungUp,
    /// The peer broke the protocol.
    Malformed(Cow<'static, str>),
}

/// What a link needs of the system that it runs on: the kinds of memory, bell and control channel
/// that belong together, and the clock by which it decides how long to spin.
pub trait Platform: Send + Sync + 'static {
    /// Its memory.
    type Memory: Memory;
    /// Its bells.
    type Doorbell: Doorbell;
    /// Its control channel.
    type Control: Control<Memory = Self::Memory>;

    /// Nanoseconds of a clock that both ends share and that never goes back.
    fn now_ns() -> u64;

    /// The processor that this thread runs on, or `None` if that is not known.
    fn processor() -> Option<u64>;

    /// Has the runtime poll this task again after everything else that is ready: the task that it
    /// blocks on, timers and sockets included. A task that is woken at once can starve those.
    fn yield_now(cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }

    /// An alarm for giving memory back some time after it was last used.
    fn alarm() -> Box<dyn Alarm>;
}

/// An alarm that can be set again and again.
pub trait Alarm: Send {
    /// Sets it to go off in `after`, or switches it off.
    fn set(&mut self, after: Option<Duration>);

    /// Ready once after it has gone off. Pending for ever while it is off.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
