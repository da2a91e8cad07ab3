//! Reusable buffers for large payloads.
//!
//! A fresh buffer costs a page fault for every 4 KiB at its first touch, more than reading the
//! bytes themselves; a buffer that was used before costs nothing. Each link keeps a few.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept at most, whatever their size.
const BUFFERS_MAX: usize = 16;
/// A fresh buffer for a payload above this many bytes starts with this size and doubles as bytes
/// arrive: a peer that only announces a length makes nobody allocate it.
const FRESH_BYTES_MAX: usize = 1 << 20;
/// Sizes are rounded up to this many bytes, so that payloads of almost one size share buffers.
const GRANULE_BYTES: usize = 16 << 10;

/// Free buffers of one link. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<Mutex<Free>>,
    bytes_max: usize,
}

#[derive(Default, Debug)]
struct Free {
    /// The most recently used last: its pages are the likeliest to be in a cache.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Pool {
            free: Arc::default(),
            bytes_max,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer to read a payload of `len` bytes into.
    pub(crate) fn take(&self, len: usize) -> Filling {
        let buffer = {
            let mut free = self.lock();
            // A buffer more than four times too long would pin memory for nothing.
            let fits = |buffer: &Vec<u8>| buffer.len() >= len && buffer.len() / 4 <= len;
            free.buffers.iter().rposition(fits).map(|index| {
                let buffer = free.buffers.remove(index);
                free.bytes -= buffer.len();
                buffer
            })
        };
        let buffer = buffer
            .unwrap_or_else(|| vec![0; len.min(FRESH_BYTES_MAX).next_multiple_of(GRANULE_BYTES)]);
        Filling {
            buffer,
            filled: 0,
            len,
            pool: self.clone(),
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.lock();
        if free.buffers.len() < BUFFERS_MAX && free.bytes + buffer.len() <= self.bytes_max {
            free.bytes += buffer.len();
            free.buffers.push(buffer);
        }
    }

    /// Gives the buffer that was not used for longest back to the system. True when there was
    /// one.
    pub(crate) fn shrink(&self) -> bool {
        let oldest = {
            let mut free = self.lock();
            if free.buffers.is_empty() {
                None
            } else {
                let oldest = free.buffers.remove(0);
                free.bytes -= oldest.len();
                Some(oldest)
            }
        };
        oldest.is_some()
    }

    #[cfg(test)]
    fn free_buffers(&self) -> usize {
        self.lock().buffers.len()
    }
}

/// A payload that is being read into a buffer of the pool.
#[derive(Debug)]
pub(crate) struct Filling {
    buffer: Vec<u8>,
    filled: usize,
    len: usize,
    pool: Pool,
}

impl Filling {
    /// Copies what fits from `bytes`; returns how much that was.
    pub(crate) fn fill_from(&mut self, mut bytes: &[u8]) -> usize {
        let before = self.filled;
        while !bytes.is_empty() && !self.is_full() {
            let spare = self.spare();
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            self.advance(count);
            bytes = &bytes[count..];
        }
        self.filled - before
    }

    /// The memory for the bytes to come; empty only when the payload is complete.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() && !self.is_full() {
            let grown = (self.buffer.len() * 2).min(self.len.next_multiple_of(GRANULE_BYTES));
            self.buffer.resize(grown, 0);
        }
        let end = self.len.min(self.buffer.len());
        &mut self.buffer[self.filled..end]
    }

    /// Counts `count` bytes of [`spare`](Self::spare) as read.
    pub(crate) fn advance(&mut self, count: usize) {
        self.filled += count;
        debug_assert!(self.filled <= self.len.min(self.buffer.len()));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.len
    }

    /// The payload. Its buffer goes back to the pool with the last handle.
    pub(crate) fn freeze(self) -> Bytes {
        debug_assert!(self.is_full());
        Bytes::from_owner(Pooled {
            buffer: self.buffer,
            len: self.len,
            pool: self.pool,
        })
    }
}

/// A finished payload in a buffer of the pool.
struct Pooled {
    buffer: Vec<u8>,
    len: usize,
    pool: Pool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(pool: &Pool, len: usize) -> Bytes {
        let mut filling = pool.take(len);
        assert_eq!(filling.fill_from(&vec![5; len + 1]), len);
        filling.freeze()
    }

    #[test]
    fn a_dropped_payload_lends_its_buffer_to_the_next() {
        let pool = Pool::new(1 << 20);
        let first = payload(&pool, 100_000);
        let at = first.as_ptr();
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(pool.free_buffers(), 0, "a slice still holds it");
        drop(part);
        assert_eq!(pool.free_buffers(), 1);
        let second = payload(&pool, 99_000);
        assert_eq!(second.as_ptr(), at);
        assert_eq!(second.len(), 99_000);
    }

    #[test]
    fn an_announced_length_allocates_only_what_arrives() {
        let pool = Pool::new(1 << 20);
        let mut filling = pool.take(1 << 30);
        assert!(filling.buffer.capacity() <= FRESH_BYTES_MAX);
        let chunk = vec![9; 300_000];
        let mut sent = 0;
        for _ in 0..20 {
            sent += filling.fill_from(&chunk);
            assert!(filling.buffer.capacity() <= FRESH_BYTES_MAX.max(2 * sent));
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pool = Pool::new(1 << 20);
        let many: Vec<Bytes> = (0..100).map(|_| payload(&pool, 40_000)).collect();
        drop(many);
        assert_eq!(pool.free_buffers(), BUFFERS_MAX);
        drop(payload(&pool, 4 << 20));
        assert_eq!(pool.free_buffers(), BUFFERS_MAX, "too large to keep");
        while pool.shrink() {}
        assert_eq!(pool.free_buffers(), 0);
        assert_eq!(pool.lock().bytes, 0);
    }
}
