//! Memory files that only their maker can ever write (Linux: `memfd_create` and seals).
//!
//! The order matters. The file gets all its pages first, so that no later access can fail for want
//! of memory; then it is mapped writable; then it is sealed: the existing mapping stays writable,
//! and every other way to write, to resize or to punch holes is closed for ever, for everybody. At last
//! its pages are touched, in steps: whoever writes a payload there finds warm memory.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{
    FallocateFlags, FileType, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals,
    fstat, ftruncate, memfd_create,
};
use rustix::io::Errno;

use super::error::{refused, refused_because};
use super::mapping::Mapping;
use crate::layout::PAGE;

/// What a receiver insists on.
const SEALS: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// A received file that will not be mapped.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not what the peer should have sent.
    Malformed(Cow<'static, str>),
    /// The local system failed.
    System(io::Error),
}

/// New memory of at least `bytes`, zeroed, in whole pages, mapped and sealed.
pub(super) fn create(bytes: usize) -> io::Result<Mapping> {
    let len = bytes.max(1).next_multiple_of(PAGE);
    let file = open_anonymous()?;
    ftruncate(&file, len as u64).map_err(|err| refused("size a memory file", err))?;
    loop {
        match fallocate(&file, FallocateFlags::empty(), 0, len as u64) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(err) => return Err(refused("allocate shared memory", err)),
        }
    }
    let mapping = Mapping::own(&file, len)?;
    fcntl_add_seals(&file, SEALS).map_err(|err| match err {
        Errno::INVAL => refused_because(
            "seal a memory file",
            err,
            "shared memory needs Linux 5.1 or newer; use a Unix socket (transport stream)",
        ),
        err => refused("seal a memory file", err),
    })?;
    mapping.populate();
    Ok(mapping.with_file_for_peer(file))
}

fn open_anonymous() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = c"rapace-lane";
    let made = match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // The kernel is older than 6.3.
        Err(Errno::INVAL) => memfd_create(name, flags),
        made => made,
    };
    made.map_err(|err| match err {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => refused_because(
            "create a memory file",
            err,
            "the kernel or the container forbids memfd_create: allow it in the seccomp profile, or \
             use a Unix socket (transport stream)",
        ),
        err => refused("create a memory file", err),
    })
}

/// Maps what the peer says is a memory file of `bytes` bytes, after it was checked that neither
/// its contents nor its size can be changed by anybody but its maker.
pub(super) fn open(file: OwnedFd, bytes: u64) -> Result<Mapping, Refused> {
    let malformed = |what: String| Err(Refused::Malformed(what.into()));
    let stat =
        fstat(&file).map_err(|err| Refused::System(refused("look at a memory file", err)))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return malformed("its memory is no memory file".to_owned());
    }
    match fcntl_get_seals(&file) {
        Ok(seals) if seals.contains(SEALS) => {}
        Ok(seals) => {
            let missing = SEALS.difference(seals);
            return malformed(format!("its memory file lacks the seals {missing:?}"));
        }
        Err(_) => return malformed("its memory file cannot be sealed".to_owned()),
    }
    let size = stat.st_size.cast_unsigned();
    if size != bytes {
        return malformed(format!(
            "its memory file has {size} bytes, and {bytes} were announced"
        ));
    }
    let Ok(len) = usize::try_from(size) else {
        return malformed(format!(
            "its memory file of {size} bytes fits into no address space"
        ));
    };
    if len == 0 || !len.is_multiple_of(PAGE) {
        return malformed(format!(
            "its memory file of {len} bytes is not made of whole pages"
        ));
    }
    // Holes would be filled at this side's cost when it reads them.
    if stat.st_blocks.cast_unsigned().saturating_mul(512) < size {
        return malformed("its memory file has holes".to_owned());
    }
    Mapping::of_peer(file, len).map_err(Refused::System)
}

#[cfg(test)]
mod tests;
