//! The third seam, second half: how a process that sleeps is woken.

use std::io;
use std::task::{Context, Poll};

/// A bell that one process rings and the other listens to.
///
/// The protocol of [`crate::nap`] needs little of it: a ring that starts after the listener's last
/// `Pending` wakes that listener. Rings may be merged into one, and a listener may be woken for
/// nothing.
pub trait Doorbell: Send + Sync + 'static {
    /// Rings. Never blocks; rings that nobody has heard yet may be merged.
    fn ring(&self);

    /// Ready when it was rung since the last time this was ready; otherwise the task of `cx` is
    /// woken by the next ring. Only the last task that asked is woken.
    ///
    /// # Errors
    ///
    /// The local system failed; the link cannot go on.
    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
