//! The third seam, first half: memory that two processes see.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One memory file, as one process sees it.
///
/// Everything that two processes read and write goes through here, addressed by offset in bytes
/// from the start of the file: words of eight bytes with an ordering, and runs of bytes with none.
/// In production this is a mapping and costs nothing; the model checker brings cells, the
/// simulator memory that stops a process after its k-th store.
///
/// An implementation must not panic on offsets within [`Memory::len_bytes`]; callers check every
/// offset that comes from the peer before it gets here.
pub trait Memory: Send + Sync + 'static {
    /// Its size in bytes.
    fn len_bytes(&self) -> usize;

    /// Reads the word at `at`, a multiple of eight. `order` is `Relaxed` or `Acquire`.
    fn load(&self, at: usize, order: Ordering) -> u64;

    /// Writes the word at `at`, a multiple of eight. `order` is `Relaxed` or `Release`.
    fn store(&self, at: usize, value: u64, order: Ordering);

    /// A sequentially consistent fence of the calling thread.
    fn fence(&self);

    /// Copies bytes out.
    fn read(&self, at: usize, out: &mut [u8]);

    /// Copies bytes in.
    fn write(&self, at: usize, bytes: &[u8]);

    /// The memory itself, where it can be read and written in place; `None` has payloads copied
    /// through [`Memory::read`] and [`Memory::write`].
    fn region(&self) -> Option<Region> {
        None
    }
}

impl<M: Memory> Memory for Arc<M> {
    #[inline]
    fn len_bytes(&self) -> usize {
        (**self).len_bytes()
    }

    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        (**self).load(at, order)
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        (**self).store(at, value, order);
    }

    #[inline]
    fn fence(&self) {
        (**self).fence();
    }

    #[inline]
    fn read(&self, at: usize, out: &mut [u8]) {
        (**self).read(at, out);
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        (**self).write(at, bytes);
    }

    #[inline]
    fn region(&self) -> Option<Region> {
        (**self).region()
    }
}

/// Memory that is there in the address space of this process.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is an address and a length; who makes one promises (see `Region::new`) that it
// may be used from any thread.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// The region of `len` bytes at `base`.
    ///
    /// # Safety
    ///
    /// As long as the [`Memory`] that hands this out exists, the `len` bytes at `base` must be
    /// mapped and readable from every thread of the process, and writable if the memory is one's
    /// own lane. `base` must be aligned to 64 bytes.
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Region { base, len }
    }

    /// Where `at` is.
    ///
    /// # Panics
    ///
    /// When `at + len` is beyond the region: the callers have checked.
    pub(crate) fn at(self, at: usize, len: usize) -> NonNull<u8> {
        assert!(
            at <= self.len && len <= self.len - at,
            "a run of bytes beyond its memory"
        );
        // SAFETY: the offset lies within the region, whose bytes are one mapping.
        unsafe { self.base.add(at) }
    }
}
