//! A memory file in the address space of this process.
//!
//! Unsafe, like `watched` and nothing else in [`crate::os`]. What makes it sound:
//!
//! - **The mapping stays.** [`Mapping`] owns it, never moves it and unmaps it on drop; its base and
//!   length are private and never change.
//! - **The file stays.** A page of a mapping that its file no longer has is a fatal signal. One's
//!   own file is sealed right after it was mapped, and the peer's file is mapped only after its
//!   seals were checked: nobody can shrink either.
//! - **Every offset is checked** against the length, which costs one comparison per access: a
//!   wrong offset is a panic, never an access elsewhere.
//! - **Words are atomics.** Both processes access the words of the protocol with atomic loads and
//!   stores of eight bytes only.
//! - **Bytes are copied through raw pointers.** No reference to shared bytes is made here. A
//!   well-behaved peer does not write bytes that this side may read: the head of a ring, with its
//!   release and acquire, hands them over. A peer that writes them all the same makes the copy
//!   contain anything, which callers expect of a peer; `copy_nonoverlapping` reads each byte at
//!   some moment and its result is used as plain data only.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

use super::error::refused;
use crate::Memory;
use crate::memory::Region;

const WORD: usize = 8;

/// Pages that are touched in one step, in bytes: a few tens of microseconds.
const POPULATE_BYTES: usize = 256 << 10;

#[cfg(target_os = "linux")]
fn populate(map: &MmapRaw, at: usize, len: usize) -> io::Result<()> {
    map.advise_range(memmap2::Advice::PopulateWrite, at, len)
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &MmapRaw, _: usize, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A mapped memory file: one's own lane, or the peer's.
pub struct Mapping {
    map: MmapRaw,
    /// Words that may be read; all of them.
    readable: usize,
    /// Words that may be written: all of them in one's own lane, none in the peer's.
    writable: usize,
    /// The descriptor of one's own file, until it has been sent to the peer.
    file: Mutex<Option<OwnedFd>>,
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping")
            .field("len_bytes", &self.len_bytes())
            .field("own", &self.is_own())
            .finish_non_exhaustive()
    }
}

impl Mapping {
    /// Maps one's own file of `len` bytes, a multiple of eight, writable. The caller seals it.
    pub(super) fn own(file: &OwnedFd, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new()
            .len(len)
            .map_raw(file)
            .map_err(|err| refused("map a memory file", err))?;
        // A child of this process that never calls `exec` must not be a second writer of this lane,
        // nor keep its memory after this process is gone. Best effort: kernels without it are older
        // than those that seal.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::DontFork);
        Ok(Mapping {
            map,
            readable: len / WORD,
            writable: len / WORD,
            file: Mutex::new(None),
        })
    }

    /// Has the system clear all pages and map them: one's own memory, which nobody uses yet.
    ///
    /// The first write of a payload would do that page by page, at half a microsecond more each, and
    /// on end: 3 ms for 8 MiB, during which whoever the scheduler has put behind this thread waits
    /// for the next tick. So it is done in steps, and between two of them others get their turn.
    pub(super) fn populate(&self) {
        for at in (0..self.len_bytes()).step_by(POPULATE_BYTES) {
            let len = POPULATE_BYTES.min(self.len_bytes() - at);
            // Best effort: before Linux 5.14 the first write does it.
            if populate(&self.map, at, len).is_err() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Keeps the descriptor that the peer will get.
    pub(super) fn with_file_for_peer(mut self, file: OwnedFd) -> Self {
        self.file = Mutex::new(Some(file));
        self
    }

    /// Maps the peer's file of `len` bytes, a multiple of eight, readable only. The caller has
    /// checked that the file cannot shrink. The descriptor is not needed any more then.
    pub(super) fn of_peer(file: OwnedFd, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new()
            .len(len)
            .map_raw_read_only(&file)
            .map_err(|err| refused("map the memory file of the peer", err))?;
        Ok(Mapping {
            map,
            readable: len / WORD,
            writable: 0,
            file: Mutex::new(None),
        })
    }

    /// Whether this process is the one that writes it.
    pub fn is_own(&self) -> bool {
        self.writable != 0
    }

    /// The descriptor of one's own file, to be sent and closed then.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when it was taken before, or the memory is the peer's.
    pub(super) fn take_file(&self) -> io::Result<OwnedFd> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.take()
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Puts back what [`Mapping::take_file`] took, after it could not be sent.
    pub(super) fn put_back_file(&self, fd: OwnedFd) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(fd);
    }

    /// The word at `at`, which lies within the first `words` words.
    #[inline]
    #[expect(clippy::cast_ptr_alignment, reason = "a mapping is aligned to pages")]
    fn word(&self, at: usize, words: usize) -> &AtomicU64 {
        // An offset that is no multiple of eight becomes a huge index, so that one comparison
        // checks both.
        let index = at.rotate_right(WORD.trailing_zeros());
        assert!(index < words, "a word beyond its memory, or astride two");
        // SAFETY: the index is within the mapping, which lives as long as `self` and is aligned to
        // a page, so that the word is aligned and there. For writing, `words` is zero unless the
        // mapping is writable. All access to words, here and in the other process, is atomic; the
        // byte copies below never touch a word while somebody else accesses it (module
        // documentation).
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().cast::<u64>().add(index)) }
    }

    /// The bytes at `at`, which lie within the first `words` words.
    #[inline]
    fn bytes(&self, at: usize, len: usize, words: usize) -> *mut u8 {
        let end = words * WORD;
        assert!(at <= end && len <= end - at, "bytes beyond their memory");
        // SAFETY: `at` is within the mapping or one past its end.
        unsafe { self.map.as_mut_ptr().add(at) }
    }
}

impl Memory for Mapping {
    #[inline]
    fn len_bytes(&self) -> usize {
        self.readable * WORD
    }

    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.word(at, self.readable).load(order)
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.word(at, self.writable).store(value, order);
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn read(&self, at: usize, out: &mut [u8]) {
        let from = self.bytes(at, out.len(), self.readable);
        // SAFETY: as many bytes are mapped and readable there; `out` is private memory of this
        // process, so the two do not overlap. On races with the peer see the module documentation.
        unsafe { from.copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) }
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.bytes(at, bytes.len(), self.writable);
        // SAFETY: as many bytes are mapped there, and writable, because the mapping's `writable`
        // words are none otherwise. Whoever calls owns the bytes at `at` (the table in
        // `crate::layout`), so no other thread of this process accesses them, and `bytes` is
        // not a part of them.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    #[inline]
    fn region(&self) -> Option<Region> {
        let base = NonNull::new(self.map.as_mut_ptr())?;
        // SAFETY: the mapping is readable from every thread as long as this value exists, and
        // writable if it is one's own; mappings begin on a page.
        Some(unsafe { Region::new(base, self.readable * WORD) })
    }
}
