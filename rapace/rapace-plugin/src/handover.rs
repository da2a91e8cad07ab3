//! How a host tells its plugin where the link is: one environment variable,
//! `RAPACE_PLUGIN=WIRE:DESCRIPTOR:INODE`.
//!
//! The inode makes the variable harmless to grandchildren: they inherit it without the socket, and
//! whatever has that number in them is something else. (It is the scheme of systemd's
//! `JOURNAL_STREAM`.) Nothing has to be removed from the environment, which no program with
//! several threads could do soundly.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::os;
use crate::wire::Wire;

/// The environment variable.
pub(crate) const VARIABLE: &str = "RAPACE_PLUGIN";

/// The socket is taken at most once in the life of a process.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Why there is no link to take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TakeError {
    /// The variable is not set, or was meant for another process.
    NotStartedByHost,
    /// The link was taken before.
    AlreadyRunning,
    /// The variable says something that this version does not understand.
    Unknown(Arc<str>),
}

/// What the variable says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Handover {
    pub(crate) wire: Wire,
    fd: RawFd,
    inode: u64,
}

impl Handover {
    /// Describes the child's end of a link.
    pub(crate) fn of(wire: &Wire, socket: &OwnedFd) -> io::Result<Self> {
        let inode = rustix::fs::fstat(socket.as_fd())?.st_ino;
        Ok(Handover {
            wire: wire.clone(),
            fd: socket.as_raw_fd(),
            inode,
        })
    }

    /// Whether the variable is set in this process.
    pub(crate) fn is_set() -> bool {
        std::env::var_os(VARIABLE).is_some()
    }

    /// Takes this process's end of the link.
    pub(crate) fn take() -> Result<(Wire, OwnedFd), TakeError> {
        let Some(value) = std::env::var_os(VARIABLE) else {
            return Err(TakeError::NotStartedByHost);
        };
        let value = value.to_string_lossy();
        let handover: Handover = value
            .parse()
            .map_err(|()| TakeError::Unknown(value.as_ref().into()))?;
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(TakeError::AlreadyRunning);
        }
        let Some(socket) = os::adopt_socket(handover.fd, handover.inode) else {
            TAKEN.store(false, Ordering::Relaxed);
            return Err(TakeError::NotStartedByHost);
        };
        Ok((handover.wire, socket))
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.wire.name(), self.fd, self.inode)
    }
}

impl FromStr for Handover {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        let mut parts = value.split(':');
        let (Some(wire), Some(fd), Some(inode), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        Ok(Handover {
            wire: Wire::named(wire).ok_or(())?,
            fd: fd.parse().map_err(|_| ())?,
            inode: inode.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_handover_survives_the_environment() {
        for wire in [Wire::Stream, Wire::default()] {
            let handover = Handover {
                fd: 17,
                inode: 81_234,
                wire,
            };
            let text = format!("{}:17:81234", handover.wire.name());
            assert_eq!(handover.to_string(), text);
            assert_eq!(text.parse(), Ok(handover));
        }
        for bad in [
            "",
            "stream",
            "stream:17",
            "stream:x:1",
            "pigeon:17:1",
            "stream:17:1:1",
        ] {
            assert_eq!(bad.parse::<Handover>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn only_the_socket_that_was_handed_over_is_adopted() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let theirs = OwnedFd::from(theirs);
        let told = Handover::of(&Wire::Stream, &theirs).expect("a handover");
        let other = Handover::of(&Wire::Stream, &OwnedFd::from(ours)).expect("a handover");
        assert!(
            os::adopt_socket(told.fd, other.inode).is_none(),
            "another socket's inode"
        );
        assert!(
            os::adopt_socket(1 << 20, told.inode).is_none(),
            "a number that is not open"
        );
        assert!(os::adopt_socket(0, told.inode).is_none(), "standard input");
        // Given away as a child would find it: open, and owned by nobody.
        let fd = std::os::fd::IntoRawFd::into_raw_fd(theirs);
        let adopted = os::adopt_socket(fd, told.inode).expect("the socket");
        assert_eq!(adopted.as_raw_fd(), fd);
        let flags = rustix::io::fcntl_getfd(&adopted).expect("flags");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}
