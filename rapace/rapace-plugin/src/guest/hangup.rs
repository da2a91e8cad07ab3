//! The thread that ends the process when its host is gone.
//!
//! The session sees the hang-up, too, but only when the runtime gets to poll it, and a runtime
//! whose handlers never yield, or whose blocking threads never return, would keep the process
//! alive for ever. A thread of its own sleeps in `poll` and depends on nobody.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

/// The thread's leash. Unless the process is due to end, dropping it closes the link and stands
/// the thread down.
pub(super) struct Hangup {
    socket: Arc<OwnedFd>,
    stood_down: Arc<AtomicBool>,
    due: bool,
}

impl Hangup {
    /// Ends the process `linger` after the other end of `socket` hung up.
    pub(super) fn watch(socket: &OwnedFd, linger: Duration) -> io::Result<Self> {
        let socket = Arc::new(socket.try_clone()?);
        let stood_down = Arc::new(AtomicBool::new(false));
        let watched = socket.clone();
        let flag = stood_down.clone();
        std::thread::Builder::new()
            .name("rapace-hangup".into())
            .spawn(move || {
                wait_for_hangup(&watched);
                drop(watched);
                // Acquire pairs with the Release in `drop`: the shutdown that woke this thread came
                // after it.
                if flag.load(Ordering::Acquire) {
                    return;
                }
                std::thread::sleep(linger);
                // Whatever was the standard error may be gone with the host.
                let _ = writeln!(
                    io::stderr(),
                    "rapace: the host hung up {linger:?} ago and this plugin still runs; ending it"
                );
                std::process::exit(1);
            })?;
        Ok(Hangup {
            socket,
            stood_down,
            due: false,
        })
    }

    /// The host is gone: leaves the thread to its work.
    pub(super) fn end_process_when_due(mut self) {
        self.due = true;
    }
}

impl Drop for Hangup {
    fn drop(&mut self) {
        if !self.due {
            self.stood_down.store(true, Ordering::Release);
        }
        // The thread's copy would keep the link open, and the thread itself waits for its end.
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }
}

fn wait_for_hangup(socket: &OwnedFd) {
    // Linux tells of a half close, too: the host's way of closing in good order.
    #[cfg(target_os = "linux")]
    let interest = PollFlags::RDHUP;
    #[cfg(not(target_os = "linux"))]
    let interest = PollFlags::empty();
    let mut watched = [PollFd::new(socket, interest)];
    while let Err(Errno::INTR) = poll(&mut watched, None) {}
}
