//! What both halves know of the link's end, and what I/O errors mean for a link.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use rapace_transport::{Death, LinkError};

/// Lets the sink's close wake the receive that waits (row 7).
#[derive(Default, Debug)]
pub(crate) struct CloseSignal {
    is_closed: AtomicBool,
    receiver: Mutex<Option<Waker>>,
}

impl CloseSignal {
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `close`; the flag guards no other data, the pairing
        // only keeps what the closing task did before visible to the receiving one.
        self.is_closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        let waker = {
            let mut receiver = self.lock();
            self.is_closed.store(true, Ordering::Release);
            receiver.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers the task that receives. False when the link is closed already and nobody will
    /// be woken.
    pub(crate) fn register(&self, cx: &Context<'_>) -> bool {
        let mut receiver = self.lock();
        if self.is_closed() {
            return false;
        }
        match &mut *receiver {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *receiver = Some(cx.waker().clone()),
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an I/O error says about the link: the peer's death where the kernel reports its end gone,
/// otherwise a failure of the local system.
pub(crate) fn link_error(err: &io::Error) -> LinkError {
    match err.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => LinkError::PeerDied(Death::seen(err.to_string())),
        _ => LinkError::Io(err.to_string().into()),
    }
}
