//! Encoded bytes with large `Bytes` fields left where they are.

use bytes::Bytes;

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
