//! Memory files and bells where there is no memfd and no eventfd: macOS and the BSDs.
//!
//! **Untested**: written against the manuals, and checked by the compiler only where a toolchain
//! for such a system is at hand.
//!
//! A memory file is a POSIX shared-memory object that loses its name before anybody else can use
//! it. There are no seals: the peer gets a second descriptor that was opened readable only, so it
//! cannot write, and it has to trust its peer not to shrink the object (macOS refuses to resize
//! one a second time).
//!
//! A bell is a pipe. Unlike an eventfd it fills up, so the listener empties it when it hears it.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, ftruncate};
use rustix::io::Errno;
use rustix::shm;

use super::error::refused;
use super::mapping::Mapping;
use crate::layout::PAGE;

/// A received file that will not be mapped.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not what the peer should have sent.
    Malformed(Cow<'static, str>),
    /// The local system failed.
    System(io::Error),
}

/// New memory of at least `bytes`, zeroed, in whole pages and mapped.
pub(super) fn create(bytes: usize) -> io::Result<Mapping> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let len = bytes.max(1).next_multiple_of(PAGE);
    let process = rustix::process::getpid().as_raw_nonzero();
    let writable = shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // At most 31 characters on macOS.
        let name = format!("/rapace-{process}-{number}");
        let file = match shm::open(&*name, writable, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            // Left behind by a process of the same id that died on the next line.
            Err(Errno::EXIST) => continue,
            Err(err) => return Err(refused("create a memory file", err)),
        };
        let for_peer = shm::open(&*name, shm::OFlags::RDONLY, Mode::empty());
        let unlinked = shm::unlink(&*name);
        let for_peer = for_peer.map_err(|err| refused("open a memory file once more", err))?;
        unlinked.map_err(|err| refused("take the name from a memory file", err))?;
        ftruncate(&file, len as u64).map_err(|err| refused("allocate shared memory", err))?;
        let mapping = Mapping::own(&file, len)?;
        return Ok(mapping.with_file_for_peer(for_peer));
    }
}

/// Maps what the peer says is a memory file of `bytes` bytes.
pub(super) fn open(file: OwnedFd, bytes: u64) -> Result<Mapping, Refused> {
    let malformed = |what: String| Err(Refused::Malformed(what.into()));
    let system = |doing, err: Errno| Refused::System(refused(doing, err));
    let stat = fstat(&file).map_err(|err| system("look at a memory file", err))?;
    if FileType::from_raw_mode(stat.st_mode as _) == FileType::Socket {
        return malformed("its memory is no memory file".to_owned());
    }
    let flags = fcntl_getfl(&file).map_err(|err| system("look at a memory file", err))?;
    if flags.intersects(OFlags::RDWR | OFlags::WRONLY) {
        return malformed("its memory file could be written from here".to_owned());
    }
    // Systems round the size up to their own pages.
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size < bytes {
        return malformed(format!(
            "its memory file has {size} bytes, and {bytes} were announced"
        ));
    }
    match usize::try_from(bytes) {
        Ok(len) if len > 0 && len.is_multiple_of(PAGE) => {
            Mapping::of_peer(file, len).map_err(Refused::System)
        }
        _ => malformed(format!(
            "its memory file of {bytes} bytes is not made of whole pages"
        )),
    }
}

pub(super) mod bell {
    //! A bell is a pipe whose reading end is listened to.

    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::io::{FdFlags, fcntl_setfd};

    use crate::os::error::refused;

    pub(in crate::os) fn create() -> io::Result<(OwnedFd, OwnedFd)> {
        let (listen, ring) = rustix::pipe::pipe().map_err(|err| refused("create a bell", err))?;
        for end in [&listen, &ring] {
            fcntl_setfd(end, FdFlags::CLOEXEC).map_err(|err| refused("create a bell", err))?;
            fcntl_setfl(end, OFlags::NONBLOCK).map_err(|err| refused("create a bell", err))?;
        }
        Ok((listen, ring))
    }

    pub(in crate::os) fn ring(bell: BorrowedFd<'_>) -> rustix::io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::io::write(bell, &[1])).map(drop)
    }

    /// A full pipe makes no edge, so it is emptied.
    pub(in crate::os) fn hear(bell: BorrowedFd<'_>) {
        let mut rings = [0; 512];
        while rustix::io::read(bell.as_fd(), &mut rings).is_ok_and(|n| n == rings.len()) {}
    }
}
