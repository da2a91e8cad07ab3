//! Where everything stands in a lane.
//!
//! A lane is one memory file. Its owner alone writes it; the peer maps it readable only, copies
//! the geometry to private memory once, and checks everything else each time it reads it.
//!
//! | offset | what | written by (in the owner's process) |
//! |---|---|---|
//! | 0 | [`Header`]: magic, version, geometry | set-up, once |
//! | [`HEAD`] | how many descriptors have been published | the sink |
//! | [`CONSUMED`] | how many of the *peer's* descriptors have been read | the source |
//! | [`RETURNS_HEAD`] | how many slots of the *peer's* lane have been given back | whoever drops a payload, under a lock |
//! | [`NAP_DATA`] | the source's nap counter, and where and since when it waits | the source |
//! | [`NAP_ROOM`] | the nap counter of who waits for room | the sink, under a lock |
//! | [`CLOSED`] | 1 after the last frame | the sink |
//! | [`RINGS`] | the ring of descriptors, 64 bytes each | the sink |
//! | behind it | the ring of returns, 8 bytes each | as `RETURNS_HEAD` |
//! | next page | payloads | whoever holds the slot |
//!
//! Words that different threads write stand 128 bytes apart: two cache lines, since processors
//! fetch neighbours in pairs. All counters are 64 bits wide and never wrap in practice.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Memory;

/// Sizes of memory files are multiples of this, in bytes.
pub const PAGE: usize = 4096;

/// Published descriptors.
pub const HEAD: usize = 128;
/// Descriptors of the peer that were read.
pub const CONSUMED: usize = 256;
/// Given back slots of the peer.
pub const RETURNS_HEAD: usize = 384;
/// The source's nap counter.
pub const NAP_DATA: usize = 512;
/// The nap counter of who waits for room.
pub const NAP_ROOM: usize = 640;
/// 1 when nothing follows what was published.
pub const CLOSED: usize = 768;
/// The first descriptor.
pub const RINGS: usize = 1024;

/// Within the line of a nap counter: the processor, plus one, on which the sleeper last waited.
pub const NAP_PROCESSOR: usize = 8;
/// Within the line of a nap counter: when its owner last rang the *peer's* bell of that kind.
pub const RANG_AT: usize = 16;

/// Bytes of a descriptor.
pub const DESCRIPTOR: usize = 64;
/// Bytes of a return.
pub const RETURN: usize = 8;

const MAGIC: u64 = u64::from_le_bytes(*b"rapace\0\x01");

/// The first words of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// `rapace`, zero, and the version of the layout.
    pub magic: u64,
    /// Descriptors in the ring.
    pub ring: u64,
    /// Returns in their ring.
    pub returns: u64,
    /// Where payloads begin, in bytes.
    pub payload_at: u64,
    /// How many bytes of payload there are.
    pub payload_len: u64,
    /// How many there may be, with further memory.
    pub payload_max: u64,
}

const HEADER_LEN: usize = size_of::<Header>();

// What the table above says: the header ends before the first word, no two words share a pair of
// lines, the rings begin behind the last word and on a line.
const _: () = {
    assert!(HEADER_LEN == 48);
    assert!(std::mem::offset_of!(Header, payload_max) == 40);
    assert!(HEADER_LEN <= HEAD);
    assert!(CONSUMED - HEAD >= 128 && RETURNS_HEAD - CONSUMED >= 128);
    assert!(NAP_DATA - RETURNS_HEAD >= 128 && NAP_ROOM - NAP_DATA >= 128);
    assert!(CLOSED - NAP_ROOM >= 128 && RINGS - CLOSED >= 128);
    assert!(RANG_AT + 8 <= 128 && NAP_PROCESSOR + 8 <= 128);
    assert!(RINGS.is_multiple_of(DESCRIPTOR) && PAGE.is_multiple_of(DESCRIPTOR));
    assert!(DESCRIPTOR == rapace_core::frame::DESCRIPTOR_LEN);
};

/// The sizes of a lane: private to each process, never read from shared memory twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Descriptors in the ring, a power of two.
    pub ring: u32,
    /// Returns in their ring, a power of two.
    pub returns: u32,
    /// Where payloads begin, in bytes.
    pub payload_at: u64,
    /// How many bytes of payload there are.
    pub payload_len: u64,
    /// How many there may be, with further memory.
    pub payload_max: u64,
}

impl Geometry {
    /// A lane with these rings and at least this payload memory. `ring` and `returns` are powers
    /// of two.
    pub fn new(ring: u32, returns: u32, payload_len: u64) -> Self {
        let page = PAGE as u64;
        let rings = RINGS + ring as usize * DESCRIPTOR + returns as usize * RETURN;
        Geometry {
            ring,
            returns,
            payload_at: (rings as u64).next_multiple_of(page),
            payload_len: payload_len.next_multiple_of(page),
            payload_max: payload_len.next_multiple_of(page),
        }
    }

    /// The same lane, which may have `payload_max` bytes of payload in all.
    #[must_use]
    pub fn growing_to(self, payload_max: u64) -> Self {
        Geometry {
            payload_max: payload_max.max(self.payload_len),
            ..self
        }
    }

    /// The whole lane, in bytes.
    pub fn len_bytes(&self) -> usize {
        (self.payload_at + self.payload_len) as usize
    }

    /// Where the descriptor with this number stands.
    #[inline]
    pub(crate) fn descriptor(&self, number: u64) -> usize {
        RINGS + (number as usize & (self.ring as usize - 1)) * DESCRIPTOR
    }

    /// Where the return with this number stands.
    #[inline]
    pub(crate) fn return_at(&self, number: u64) -> usize {
        let index = number as usize & (self.returns as usize - 1);
        RINGS + self.ring as usize * DESCRIPTOR + index * RETURN
    }

    /// Writes the header of one's own lane.
    pub(crate) fn write<M: Memory>(&self, lane: &M) {
        let header = Header {
            magic: MAGIC,
            ring: u64::from(self.ring),
            returns: u64::from(self.returns),
            payload_at: self.payload_at,
            payload_len: self.payload_len,
            payload_max: self.payload_max,
        };
        lane.write(0, header.as_bytes());
    }

    /// Reads the header of the peer's lane and checks it against the size of its memory.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read<M: Memory>(lane: &M) -> Result<Self, String> {
        let mut bytes = [0; HEADER_LEN];
        let len = lane.len_bytes();
        if len < RINGS {
            return Err(format!("a lane of {len} bytes has no room for its header"));
        }
        lane.read(0, &mut bytes);
        let header = Header::read_from_bytes(&bytes).map_err(|wrong| wrong.to_string())?;
        if header.magic != MAGIC {
            let magic = header.magic;
            return Err(format!(
                "a lane begins with {magic:#x}: not rapace, or another version"
            ));
        }
        let rings = [(header.ring, 1 << 16), (header.returns, 1 << 20)];
        for (entries, most) in rings {
            if !entries.is_power_of_two() || entries < 2 || entries > most {
                return Err(format!("a ring of {entries} entries"));
            }
        }
        let expected = Geometry::new(
            header.ring as u32,
            header.returns as u32,
            // Bounded by the check of the sum below.
            header.payload_len.min(1 << 40),
        )
        .growing_to(header.payload_max);
        if expected.payload_at != header.payload_at
            || expected.payload_len != header.payload_len
            || expected.len_bytes() > len
        {
            return Err(format!(
                "{header:?} does not fit into a lane of {len} bytes"
            ));
        }
        Ok(expected)
    }
}
