//! Bells: how a parked receiver is woken.
//!
//! On Linux a bell is an eventfd. Ringing adds one; listening waits for the *edge* that every
//! addition makes, so the counter is never read back and hearing a ring costs no system call
//! beyond the runtime's own wait. The counter would take 2⁶⁴ rings to fill.
//!
//! Both processes share the open file, so a hostile peer can fill the counter of a bell, or make it
//! blocking: it then misses its own wake-ups, or holds up the thread of whoever rings it. Peers
//! that must not be able to do that need a sandbox, which is not what this crate is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::refused;
use super::watched::watch;
use crate::Doorbell;

/// One bell: this side either listens to it or rings it.
#[derive(Debug)]
pub struct Bell {
    end: End,
}

#[derive(Debug)]
enum End {
    /// One's own bell.
    Listen(AsyncFd<OwnedFd>),
    /// The peer's bell, which is only rung and so needs no registration with the runtime.
    Ring(OwnedFd),
}

impl Bell {
    /// A bell of one's own, and the end to be sent to the peer. Needs a tokio runtime with I/O.
    pub(super) fn create() -> io::Result<(Self, OwnedFd)> {
        let (listen, ring) = system::create()?;
        let listen =
            watch(listen, Interest::READABLE).map_err(|err| refused("listen to a bell", err))?;
        let bell = Bell {
            end: End::Listen(listen),
        };
        Ok((bell, ring))
    }

    /// The bell whose ringing end the peer has sent.
    pub(super) fn of_peer(ring: OwnedFd) -> io::Result<Self> {
        // The peer has set this already, or should have: ringing must never block.
        rustix::fs::fcntl_setfl(&ring, rustix::fs::OFlags::NONBLOCK)
            .map_err(|err| refused("prepare the bell of the peer", err))?;
        Ok(Bell {
            end: End::Ring(ring),
        })
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.end {
            End::Listen(fd) => fd.get_ref().as_fd(),
            End::Ring(fd) => fd.as_fd(),
        }
    }
}

impl Doorbell for Bell {
    fn ring(&self) {
        // The only error of an open bell is that it is full, and then it has rung. That the peer is
        // gone is seen on the control socket.
        let _ = system::ring(self.as_fd());
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let End::Listen(fd) = &self.end else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let mut rung = ready!(fd.poll_read_ready(cx))?;
        system::hear(fd.get_ref().as_fd());
        // Forgets this edge only: one that arrives meanwhile has another tick and stays.
        rung.clear_ready();
        Poll::Ready(Ok(()))
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    use super::refused;

    pub(super) fn create() -> io::Result<(OwnedFd, OwnedFd)> {
        let listen = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|err| refused("create a bell", err))?;
        let ring = listen
            .try_clone()
            .map_err(|err| refused("create a bell", err))?;
        Ok((listen, ring))
    }

    pub(super) fn ring(bell: BorrowedFd<'_>) -> rustix::io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::io::write(bell, &1_u64.to_ne_bytes())).map(drop)
    }

    /// Edges need no draining.
    pub(super) fn hear(_bell: BorrowedFd<'_>) {}
}

#[cfg(not(target_os = "linux"))]
use super::fallback::bell as system;
