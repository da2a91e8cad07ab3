//! Encoded bytes with large `Bytes` fields left where they are.

use core::fmt;

use bytes::Bytes;

type Choice<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Which `Bytes` fields a gathering encoder leaves where they are instead of copying them.
#[derive(Clone, Copy)]
pub struct Splice<'a> {
    bytes_min: usize,
    only: Option<Choice<'a>>,
}

impl<'a> Splice<'a> {
    /// None of them.
    pub const NOTHING: Splice<'static> = Splice {
        bytes_min: usize::MAX,
        only: None,
    };

    /// Those of at least `bytes_min` bytes for which `only` says yes; shorter ones are not asked
    /// about.
    ///
    /// `only` must answer the same for the same field as long as the value is being encoded.
    pub fn only(bytes_min: usize, only: &'a dyn Fn(&[u8]) -> bool) -> Self {
        Splice {
            bytes_min,
            only: Some(only),
        }
    }

    #[inline]
    pub(crate) fn takes(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.bytes_min && self.only.is_none_or(|only| only(bytes))
    }
}

impl From<usize> for Splice<'_> {
    /// Those of at least so many bytes.
    fn from(bytes_min: usize) -> Self {
        Splice {
            bytes_min,
            only: None,
        }
    }
}

impl fmt::Debug for Splice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splice")
            .field("bytes_min", &self.bytes_min)
            .field("chooses", &self.only.is_some())
            .finish()
    }
}

/// What an encoding will take, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measure {
    /// All of it; an upper bound for a value with ports.
    pub len: usize,
    /// The part of it that stays where it is.
    pub spliced: usize,
}

/// The result of [`Codec::encode_gather`](crate::Codec::encode_gather): small fields in one buffer,
/// large `Bytes` fields beside it, so that a vectored write sends them without a copy.
#[derive(Debug, Default, Clone)]
pub struct Gather {
    /// Everything that was copied, in order.
    pub head: Vec<u8>,
    /// Where in `head` each payload belongs, as an offset in bytes, rising.
    pub splices: Vec<(usize, Bytes)>,
}

impl Gather {
    /// An empty gather list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of the encoded value in bytes, spliced payloads included.
    pub fn total_len(&self) -> usize {
        self.head.len()
            + self
                .splices
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>()
    }

    /// The encoded value as consecutive pieces, none of them empty. Nothing is copied.
    pub fn into_chunks(self) -> Vec<Bytes> {
        let head = Bytes::from(self.head);
        let mut chunks = Vec::with_capacity(self.splices.len() * 2 + 1);
        let mut sent = 0;
        for (offset, payload) in self.splices {
            if offset > sent {
                chunks.push(head.slice(sent..offset));
                sent = offset;
            }
            if !payload.is_empty() {
                chunks.push(payload);
            }
        }
        if sent < head.len() {
            chunks.push(head.slice(sent..));
        }
        chunks
    }

    /// Forgets the contents and keeps the memory.
    pub fn clear(&mut self) {
        self.head.clear();
        self.splices.clear();
    }
}
