//! The ring of descriptors: one writer, one reader, no read-modify-write.
//!
//! The writer fills descriptors and then publishes them by storing its head with release order; the
//! reader loads the head with acquire order, so it sees whole descriptors and everything that was
//! written before them (their payloads). A short payload stands in the entries behind its
//! descriptor. The reader in turn publishes how many it has consumed, in
//! its own lane, and the writer never overwrites what is not consumed.

use std::sync::atomic::Ordering;

use crate::Memory;
use crate::layout::{CONSUMED, DESCRIPTOR, Geometry, HEAD};

/// Payloads of at most this many bytes may stand in the ring, in the entries behind their
/// descriptor: that costs less than a slot, which has to be found and returned.
pub const RUN_BYTES_MAX: usize = 4 * DESCRIPTOR;

/// The entries that a frame with such a payload takes at most.
pub const FRAME_ENTRIES_MAX: u64 = 1 + (RUN_BYTES_MAX / DESCRIPTOR) as u64;

/// A descriptor as words.
pub type Words = [u64; DESCRIPTOR / 8];

/// What the peer must have done wrong.
pub type Corrupt = &'static str;

/// The writing end, in the process that owns the lane.
#[derive(Debug)]
pub struct Producer {
    geometry: Geometry,
    /// Descriptors written.
    written: u64,
    /// Descriptors published.
    head: u64,
    /// Descriptors that the peer has consumed, as last seen.
    consumed: u64,
}

impl Producer {
    /// For a fresh lane of this geometry.
    pub fn new(geometry: Geometry) -> Self {
        Producer {
            geometry,
            written: 0,
            head: 0,
            consumed: 0,
        }
    }

    /// Whether one more descriptor can be written.
    ///
    /// # Errors
    ///
    /// As [`Producer::has_room_for`].
    #[inline]
    pub fn has_room<M: Memory>(&mut self, peer: &M) -> Result<bool, Corrupt> {
        self.has_room_for(peer, 1)
    }

    /// Whether `entries` more can be written. Looks at the peer's cursor only when the ring seems
    /// full.
    ///
    /// # Errors
    ///
    /// The peer's cursor went back, or ahead of what was published.
    #[inline]
    pub fn has_room_for<M: Memory>(&mut self, peer: &M, entries: u64) -> Result<bool, Corrupt> {
        let ring = u64::from(self.geometry.ring);
        if self.written + entries - self.consumed <= ring {
            return Ok(true);
        }
        // Acquire pairs with the release in `Consumer::publish`: the peer has read what this side
        // will now overwrite.
        let consumed = peer.load(CONSUMED, Ordering::Acquire);
        if consumed < self.consumed || consumed > self.head {
            return Err("its cursor into the ring is out of range");
        }
        self.consumed = consumed;
        Ok(self.written + entries - self.consumed <= ring)
    }

    /// Writes a descriptor; the peer sees it after [`Producer::publish`]. Only after
    /// [`Producer::has_room`] said so.
    #[inline]
    pub fn write<M: Memory>(&mut self, own: &M, words: &Words) {
        debug_assert!(self.written - self.consumed < u64::from(self.geometry.ring));
        let at = self.geometry.descriptor(self.written);
        for (index, word) in words.iter().enumerate() {
            // Relaxed: ordered by the release of the head.
            own.store(at + index * 8, *word, Ordering::Relaxed);
        }
        self.written += 1;
    }

    /// Writes a short payload behind its descriptor: entries like any other, for which there must be
    /// room.
    #[inline]
    pub fn write_run<M: Memory>(&mut self, own: &M, bytes: &[u8]) {
        debug_assert!(bytes.len() <= RUN_BYTES_MAX);
        for entry in bytes.chunks(DESCRIPTOR) {
            debug_assert!(self.written - self.consumed < u64::from(self.geometry.ring));
            let at = self.geometry.descriptor(self.written);
            for (index, part) in entry.chunks(8).enumerate() {
                let mut word = [0; 8];
                word[..part.len()].copy_from_slice(part);
                // Relaxed: ordered by the release of the head.
                own.store(at + index * 8, u64::from_ne_bytes(word), Ordering::Relaxed);
            }
            self.written += 1;
        }
    }

    /// Lets the peer see what was written. Says whether there was anything.
    #[inline]
    pub fn publish<M: Memory>(&mut self, own: &M) -> bool {
        if self.head == self.written {
            return false;
        }
        self.head = self.written;
        // Release pairs with the acquire in `Consumer::next`: descriptors and payloads first.
        own.store(HEAD, self.head, Ordering::Release);
        true
    }

    /// Descriptors written and not published.
    pub fn unpublished(&self) -> u64 {
        self.written - self.head
    }
}

/// The reading end, in the other process.
#[derive(Debug)]
pub struct Consumer {
    geometry: Geometry,
    /// Descriptors read.
    read: u64,
    /// Descriptors that the peer has published, as last seen.
    head: u64,
    /// What the peer knows of `read`.
    published: u64,
}

impl Consumer {
    /// For the peer's lane, whose geometry was checked.
    pub fn new(geometry: Geometry) -> Self {
        Consumer {
            geometry,
            read: 0,
            head: 0,
            published: 0,
        }
    }

    /// The next descriptor, copied out word by word, or `None` when there is none. What it says is
    /// the peer's claim and nothing more.
    ///
    /// # Errors
    ///
    /// The peer's head went back, or ahead of the ring.
    #[inline]
    pub fn next<M: Memory>(&mut self, peer: &M) -> Result<Option<Words>, Corrupt> {
        if self.read == self.head && !self.look(peer)? {
            return Ok(None);
        }
        let at = self.geometry.descriptor(self.read);
        let mut words = [0; DESCRIPTOR / 8];
        for (index, word) in words.iter_mut().enumerate() {
            // Relaxed: ordered by the acquire of the head. A hostile peer may change the word at
            // any time; it is read this once.
            *word = peer.load(at + index * 8, Ordering::Relaxed);
        }
        self.read += 1;
        Ok(Some(words))
    }

    /// Reads a short payload that stands behind the descriptor just read.
    ///
    /// # Errors
    ///
    /// It is longer than such payloads are, or the peer has not published all of it.
    #[inline]
    pub fn read_run<M: Memory>(&mut self, peer: &M, out: &mut [u8]) -> Result<(), Corrupt> {
        let entries = out.len().div_ceil(DESCRIPTOR) as u64;
        if out.len() > RUN_BYTES_MAX || self.head - self.read < entries {
            return Err("a payload that runs beyond what it published");
        }
        for entry in out.chunks_mut(DESCRIPTOR) {
            let at = self.geometry.descriptor(self.read);
            for (index, part) in entry.chunks_mut(8).enumerate() {
                let word = peer.load(at + index * 8, Ordering::Relaxed).to_ne_bytes();
                part.copy_from_slice(&word[..part.len()]);
            }
            self.read += 1;
        }
        Ok(())
    }

    /// Whether there is a descriptor, looking at the peer's head.
    ///
    /// # Errors
    ///
    /// As [`Consumer::next`].
    #[inline]
    pub fn look<M: Memory>(&mut self, peer: &M) -> Result<bool, Corrupt> {
        // Acquire pairs with the release in `Producer::publish`.
        let head = peer.load(HEAD, Ordering::Acquire);
        if head < self.head || head - self.read > u64::from(self.geometry.ring) {
            return Err("its head of the ring is out of range");
        }
        self.head = head;
        Ok(head > self.read)
    }

    /// Lets the peer overwrite what was read. Says whether there was anything to tell.
    #[inline]
    pub fn publish<M: Memory>(&mut self, own: &M) -> bool {
        if self.published == self.read {
            return false;
        }
        self.published = self.read;
        // Release pairs with the acquire in `Producer::has_room`: the reads come first.
        own.store(CONSUMED, self.read, Ordering::Release);
        true
    }

    /// Descriptors read that the peer may not overwrite yet.
    #[inline]
    pub fn unpublished(&self) -> u64 {
        self.read - self.published
    }

    /// Entries of the ring.
    pub fn capacity(&self) -> u64 {
        u64::from(self.geometry.ring)
    }
}
