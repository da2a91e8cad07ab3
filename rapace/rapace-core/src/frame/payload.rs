//! Where the bytes of a payload are.

use std::any::Any;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::descriptor::INLINE_LEN;

/// Up to 16 bytes by value (\[frame.inline\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InlineBytes {
    len: u8,
    bytes: [u8; INLINE_LEN],
}

impl InlineBytes {
    /// The bytes, or `None` when they are more than 16.
    #[inline]
    pub fn new(from: &[u8]) -> Option<Self> {
        if from.len() > INLINE_LEN {
            return None;
        }
        let mut bytes = [0; INLINE_LEN];
        bytes[..from.len()].copy_from_slice(from);
        Some(InlineBytes {
            len: from.len() as u8,
            bytes,
        })
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Memory that a transport lent for writing a payload where it will be read.
///
/// The transport that lent it recognises it again through [`LoanBuf::into_any`].
pub trait LoanBuf: Send {
    /// The writable bytes; exactly the length that was asked for.
    fn as_mut_slice(&mut self) -> &mut [u8];
    /// The same bytes, for reading.
    fn as_slice(&self) -> &[u8];
    /// For the lender, to find its own type again.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    /// Ends the writing: the same memory as `Bytes`, which its lender knows again when it is sent.
    fn freeze(self: Box<Self>) -> Bytes;
}

/// A boxed [`LoanBuf`]. Dropping it gives the memory back unsent.
pub struct Loan(pub Box<dyn LoanBuf>);

impl Loan {
    /// Ends the writing: the same memory as `Bytes`. Sent within a payload over the link that lent
    /// it, it is not copied.
    pub fn freeze(self) -> Bytes {
        self.0.freeze()
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loan({} bytes)", self.0.as_slice().len())
    }
}

/// The payload of a frame.
#[derive(Debug)]
pub enum Payload {
    /// At most 16 bytes, by value.
    Inline(InlineBytes),
    /// One run of bytes.
    Bytes(Bytes),
    /// Several runs that stand for their concatenation. Only on the sending side: transports
    /// write the runs one after the other, receivers hand over one run.
    Chain(Vec<Bytes>),
    /// Memory of the transport itself. Only on the sending side.
    Loan(Loan),
}

impl Payload {
    /// No bytes.
    pub const EMPTY: Payload = Payload::Inline(InlineBytes {
        len: 0,
        bytes: [0; INLINE_LEN],
    });

    /// A payload of these bytes, inline when they fit.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        match InlineBytes::new(bytes) {
            Some(inline) => Payload::Inline(inline),
            None => Payload::Bytes(Bytes::copy_from_slice(bytes)),
        }
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Payload::Inline(inline) => usize::from(inline.len),
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Chain(chunks) => chunks.iter().map(Bytes::len).sum(),
            Payload::Loan(loan) => loan.0.as_slice().len(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The runs of bytes, in order.
    #[inline]
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many): (Option<&[u8]>, &[Bytes]) = match self {
            Payload::Inline(inline) => (Some(inline.as_slice()), &[]),
            Payload::Bytes(bytes) => (Some(bytes), &[]),
            Payload::Chain(chunks) => (None, chunks),
            Payload::Loan(loan) => (Some(loan.0.as_slice()), &[]),
        };
        one.into_iter().chain(many.iter().map(|chunk| &chunk[..]))
    }

    /// All bytes as one slice, when they are in one run.
    pub fn as_slice(&self) -> Option<&[u8]> {
        match self {
            Payload::Inline(inline) => Some(inline.as_slice()),
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Chain(_) => None,
            Payload::Loan(loan) => Some(loan.0.as_slice()),
        }
    }

    /// Copies the payload into `out`, which must be exactly as long.
    #[inline]
    pub fn copy_to(&self, mut out: &mut [u8]) {
        for chunk in self.chunks() {
            let (head, rest) = out.split_at_mut(chunk.len());
            head.copy_from_slice(chunk);
            out = rest;
        }
    }

    /// The payload as one `Bytes`; copies only what is inline, chained or lent.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Inline(inline) => Bytes::copy_from_slice(inline.as_slice()),
            Payload::Chain(mut chunks) if chunks.len() == 1 => chunks.remove(0),
            chain => {
                let mut out = BytesMut::with_capacity(chain.len());
                for chunk in chain.chunks() {
                    out.extend_from_slice(chunk);
                }
                out.freeze()
            }
        }
    }
}

impl From<Bytes> for Payload {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        match InlineBytes::new(&bytes) {
            Some(inline) => Payload::Inline(inline),
            None => Payload::Bytes(bytes),
        }
    }
}
