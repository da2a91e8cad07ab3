//! facet shapes to and from postcard bytes: the payload encoding of rapace.
//!
//! A type's facet [`Shape`](facet_core::Shape) is compiled once into a flat program; encoding and
//! decoding run that program. There is no per-type generated code and no serde.
//!
//! | module | owns |
//! |---|---|
//! | [`codec`] | [`Codec<T>`]: the compiled encoder and decoder of one type |
//! | [`bound`] | [`Bound`]: a value and its codec, with the type forgotten |
//! | `kind` | which shapes have an encoding, and why the others are refused |
//! | `program` | the compiled form: operations with field offsets, and the compiler |
//! | `exec` | running a program: encode, decode, size, drop of half-built values |
//! | [`gather`] | [`Gather`]: encoded bytes with large `Bytes` fields left in place |
//! | [`port`] | [`Port`]: streams and tunnels as leaves of a payload \[port\] |
//! | [`identity`] | method ids \[id.method\] and signature hashes \[id.sig\] |
//! | [`schema`] | [`Schema`]: an owned description of a type; text, hash, difference |
//! | [`json`] | JSON to and from postcard bytes, by schema |
//! | [`error`] | what can go wrong, and whose fault it is |
//!
//! What this crate refuses to know: frames, sessions, transports, clocks, threads. It never reads
//! anything but the bytes and the value handed to it.
//!
//! # Encoding
//!
//! Exactly \[enc\] of the protocol page. The types that have an encoding:
//!
//! | Rust | wire |
//! |---|---|
//! | `u8 i8 bool` | one byte |
//! | `u16`…`u128`, `i16`…`i128` | varint, zigzag for signed |
//! | `f32 f64` | little-endian bits |
//! | `char`, `String`, `Box<str>`, `Arc<str>`, `Cow<'static, str>` | length, UTF-8 |
//! | `Bytes`, `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>` | length, bytes |
//! | `Vec`, `Box<[T]>`, `Arc<[T]>`, `BTreeSet`, `HashSet` | count, items |
//! | `BTreeMap`, `HashMap` (std's hasher only) | count, pairs |
//! | `Option` | `00`, or `01` and the value |
//! | `Result`, enums with a `#[repr(..)]` | 0-based variant index \[enc.enum\], fields |
//! | structs, tuples (≤ 12), `[T; N]`, `()`, `Box<T>`, `Arc<T>` | contents in order |
//! | `std::time::Duration` | seconds as `u64`, nanoseconds below 10⁹ as `u32` |
//! | `uuid::Uuid` (feature `uuid`) | 16 raw bytes |
//! | a [`Port`] | its number as `u32` |
//!
//! Everything else is refused by [`Codec::new`] with the path of the field and what to write
//! instead, never at the first call.
//!
//! # Guards on decoding \[enc.strict\]
//!
//! No input panics, recurses deeper than [`MAX_DEPTH`], or makes the decoder reserve more memory
//! than a multiple of the input's length that depends on the type alone ([`Codec::amplification`]).
//!
//! # Example
//!
//! ```
//! use facet::Facet;
//! use rapace_codec::Codec;
//!
//! #[derive(Facet, Debug, PartialEq)]
//! struct Image {
//!     width: u32,
//!     pixels: bytes::Bytes,
//! }
//!
//! let codec = Codec::<Image>::new()?;
//! let image = Image { width: 300, pixels: vec![1, 2, 3].into() };
//! let mut wire = Vec::new();
//! codec.encode(&image, &mut wire, &mut ())?;
//! assert_eq!(wire, [0xac, 0x02, 3, 1, 2, 3]);
//! // The pixels of the decoded image are a slice of `frame`, not a copy.
//! let frame = bytes::Bytes::from(wire);
//! assert_eq!(codec.decode(&frame, &mut ())?, image);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

pub mod bound;
pub mod codec;
pub mod error;
mod exec;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz_bodies;
pub mod gather;
pub mod identity;
pub mod json;
mod kind;
pub mod port;
mod program;
pub mod schema;

pub use bound::Bound;
pub use codec::Codec;
pub use error::{
    DecodeError, DecodeErrorKind, EncodeError, JsonError, PortError, Unsupported, UnsupportedType,
};
pub use gather::{Gather, Measure, Splice};
pub use identity::{method_id, signature_hash};
pub use port::{Port, PortKind};
pub use schema::{MethodSchema, PortLeaf, Schema};

/// How many heap indirections (a box, a list, a map) may nest in one value.
///
/// A deeper value neither encodes nor decodes; the limit keeps recursive types from overflowing
/// the stack, at roughly one kilobyte of stack per level.
pub const MAX_DEPTH: u32 = 128;

/// How many elements that take no bytes on the wire (such as those of a `Vec<()>`) one value may
/// hold in all. Without it, four bytes of input could keep a decoder busy for seconds.
pub const MAX_EMPTY_ELEMENTS: u32 = 65_536;

/// What the macros of this crate need from others. Not part of the public interface.
#[doc(hidden)]
pub mod private {
    pub use crate::port::{PortVTable, port_shape};
    pub use facet_core::{Facet, Shape};
}
