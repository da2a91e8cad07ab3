//! Registering a descriptor with the runtime, which tokio leaves to `unsafe`.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime watch a descriptor. Needs a tokio runtime with I/O.
pub(super) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor has to stay open and the same as long as it is registered. An
    // `OwnedFd` is open until it is dropped and always names the same descriptor; the `AsyncFd`
    // owns it and deregisters it before it drops it.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(watched?)
}
