//! The records on the control socket: 64 bytes each, all fields little-endian.
//!
//! | kind | descriptors | means |
//! |---|---|---|
//! | 1 hello | lane, data bell, room bell; the process if `flags` says so | the first record of each side |
//! | 2 segment | memory | the sender's lane has a further segment |
//! | 3 drop | none | the sender's lane has this segment no more |

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The version of these records and of how a link is set up. The layout of a lane has its own, in
/// the lane's header.
pub(super) const VERSION: u32 = 1;

/// Bytes of a record.
pub(super) const RECORD: usize = 64;

const MAGIC: [u8; 8] = *b"rapaceSM";
const HELLO: u32 = 1;
const SEGMENT: u32 = 2;
const DROP: u32 = 3;

/// Of a hello: the last descriptor is the sender's pidfd.
const WITH_PROCESS: u32 = 1;

/// A record as it travels.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Wire {
    magic: [u8; 8],
    version: U32,
    kind: U32,
    flags: U32,
    serial: U32,
    bytes: U64,
    reserved: [u8; 32],
}

const _: () = assert!(size_of::<Wire>() == RECORD);

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// The sender's first lane.
    Hello {
        /// Its size.
        bytes: u64,
        /// Whether a pidfd follows the three other descriptors.
        with_process: bool,
    },
    /// See [`crate::Outgoing::Segment`].
    Segment { serial: u32, bytes: u64 },
    /// See [`crate::Outgoing::Drop`].
    Drop { serial: u32 },
}

/// Bytes that are no record of this version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NoRecord {
    /// They come from a rapace of another version.
    Version(u32),
    /// They are something else.
    Malformed(&'static str),
}

impl Record {
    /// How many descriptors travel with it.
    pub(super) fn descriptors(&self) -> usize {
        match self {
            Record::Hello { with_process, .. } => 3 + usize::from(*with_process),
            Record::Segment { .. } => 1,
            Record::Drop { .. } => 0,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; RECORD] {
        let (kind, flags, serial, bytes) = match self {
            Record::Hello {
                bytes,
                with_process,
            } => (HELLO, u32::from(with_process) * WITH_PROCESS, 0, bytes),
            Record::Segment { serial, bytes } => (SEGMENT, 0, serial, bytes),
            Record::Drop { serial } => (DROP, 0, serial, 0),
        };
        let wire = Wire {
            magic: MAGIC,
            version: VERSION.into(),
            kind: kind.into(),
            flags: flags.into(),
            serial: serial.into(),
            bytes: bytes.into(),
            reserved: [0; 32],
        };
        zerocopy::transmute!(wire)
    }

    pub(super) fn from_bytes(bytes: &[u8; RECORD]) -> Result<Self, NoRecord> {
        let wire: Wire = zerocopy::transmute!(*bytes);
        if wire.magic != MAGIC {
            return Err(NoRecord::Malformed(
                "what it sent first is not of a rapace link over shared memory: is another \
                 transport chosen there?",
            ));
        }
        if wire.version.get() != VERSION {
            return Err(NoRecord::Version(wire.version.get()));
        }
        if wire.reserved != [0; 32] {
            return Err(NoRecord::Malformed("a control record has unknown fields"));
        }
        let serial = wire.serial.get();
        let bytes = wire.bytes.get();
        match (wire.kind.get(), wire.flags.get()) {
            (HELLO, flags @ (0 | WITH_PROCESS)) => Ok(Record::Hello {
                bytes,
                with_process: flags == WITH_PROCESS,
            }),
            (SEGMENT, 0) => Ok(Record::Segment { serial, bytes }),
            (DROP, 0) => Ok(Record::Drop { serial }),
            _ => Err(NoRecord::Malformed("a control record of unknown kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back() {
        for record in [
            Record::Hello {
                bytes: 1 << 40,
                with_process: true,
            },
            Record::Hello {
                bytes: 4096,
                with_process: false,
            },
            Record::Segment {
                serial: u32::MAX,
                bytes: 8192,
            },
            Record::Drop { serial: 7 },
        ] {
            assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_or_means_something_else() {
        let record = Record::Segment {
            serial: 3,
            bytes: 8192,
        };
        for at in 0..RECORD {
            let mut bytes = record.to_bytes();
            bytes[at] ^= 0x80;
            assert_ne!(Record::from_bytes(&bytes), Ok(record), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = Record::Drop { serial: 7 }.to_bytes();
        bytes[8] = 9;
        assert_eq!(Record::from_bytes(&bytes), Err(NoRecord::Version(9)));
    }
}
