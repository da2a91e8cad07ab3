//! The operating system's part that the standard library leaves to `unsafe`: what happens in the
//! child between `fork` and `exec`, and making a descriptor number into a descriptor.
//!
//! All unsafe code of this crate is here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Pid;

/// Has the child of `command` inherit `socket`, under the same number, and die with this thread.
///
/// Descriptors are CLOEXEC everywhere in this process, so that no other child can inherit them,
/// whatever is spawned at the same moment; only the child that a descriptor is meant for clears
/// the flag, on its own copy. The number stays what it is: moving it to a fixed one could
/// overwrite the pipe through which the standard library reports a failed `exec`.
///
/// On Linux the child is killed when the *thread* that spawned it ends (`PR_SET_PDEATHSIG`);
/// [`crate::spawner`] has a thread for this that lives as long as the process.
///
/// `host` is this process's id: a child that finds another parent does not start. The descriptor
/// moves into `command` and is closed with it.
#[cfg_attr(
    not(target_os = "linux"),
    expect(unused_variables, reason = "there is no such signal")
)]
pub(crate) fn prepare_child(command: &mut Command, socket: OwnedFd, host: Pid) {
    let in_child = move || -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, getppid, set_parent_process_death_signal};
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // A host that died before the line above sends no signal any more, but its child has
            // another parent by now.
            if getppid() != Some(host) {
                return Err(rustix::io::Errno::SRCH.into());
            }
        }
        fcntl_setfd(&socket, FdFlags::empty())?;
        Ok(())
    };
    // SAFETY: the closure runs in the child of a process with several threads, so it must be
    // async-signal-safe. It makes three system calls and builds an `io::Error` from an error
    // number; it takes no lock, allocates nothing and drops nothing (`socket` is borrowed).
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Takes the descriptor with number `fd`, if it is there and is the socket with this inode.
///
/// `None` when the number is not open or names something else: then nothing was taken.
pub(crate) fn adopt_socket(fd: RawFd, inode: u64) -> Option<OwnedFd> {
    if fd <= 2 {
        return None;
    }
    // SAFETY: the number may not be open; then `fstat` fails, and nothing else is done with it.
    // The borrow ends before anybody could close it: the caller is the only one who knows the
    // number, from the environment, and takes it once.
    let found = unsafe { BorrowedFd::borrow_raw(fd) };
    let stat = rustix::fs::fstat(found).ok()?;
    let is_socket =
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket;
    if !is_socket || stat.st_ino != inode {
        return None;
    }
    // Before anything that this process spawns could inherit it.
    fcntl_setfd(found, FdFlags::CLOEXEC).ok()?;
    // SAFETY: the descriptor is open, and it is the socket that the host made for this process:
    // the inode says so. Nobody else in this process owns it, because it came with `exec` and
    // `handover` lets it be taken only once.
    Some(unsafe { OwnedFd::from_raw_fd(found.as_raw_fd()) })
}
