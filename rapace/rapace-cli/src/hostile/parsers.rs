//! Which parsers there are.

use super::corpus;

/// One fuzz body and its bounds.
pub(super) struct Parser {
    pub(super) name: &'static str,
    pub(super) body: fn(&[u8]),
    /// Inputs to start from.
    pub(super) corpus: fn() -> Vec<Vec<u8>>,
    /// Whether inputs of the corpus one after the other make an input: sequences of frames.
    pub(super) splice: bool,
    /// Memory that may be held for any input, in bytes: buffers of a fixed size.
    pub(super) memory_base: usize,
    /// Memory that may be held besides for each byte of the input, in bytes.
    pub(super) memory_per_byte: usize,
}

/// Elements without bytes are counted, not weighed: 65,536 at most. As JSON each is a value of 64
/// bytes all the same, in a list that is copied as it grows, and a body shows a value twice.
const EMPTIES_BYTES: usize = 12 << 20;

/// All of them. A session holds its tables and, for a frame of 64 bytes, answers of about twice as
/// many; a stream link holds its read buffers and the payloads; a decoder holds values that are
/// larger than their bytes (a map entry of 2 bytes takes a table of 200), several at a time.
pub(super) const PARSERS: &[Parser] = &[
    Parser {
        name: "messages",
        body: rapace_core::fuzz_bodies::messages,
        corpus: corpus::messages,
        splice: false,
        memory_base: 64 << 10,
        memory_per_byte: 64,
    },
    Parser {
        name: "hello",
        body: rapace_core::fuzz_bodies::hello,
        corpus: corpus::hellos,
        splice: false,
        memory_base: 256 << 10,
        memory_per_byte: 128,
    },
    Parser {
        name: "receive",
        body: rapace_core::fuzz_bodies::receive,
        corpus: corpus::sessions,
        splice: true,
        memory_base: 512 << 10,
        memory_per_byte: 64,
    },
    Parser {
        name: "reader",
        body: rapace_stream::fuzz_bodies::reader,
        corpus: corpus::streams,
        splice: true,
        memory_base: 2 << 20,
        memory_per_byte: 64,
    },
    Parser {
        name: "shm",
        body: rapace_shm::fuzz_bodies::peer,
        corpus: rapace_shm::fuzz_bodies::seeds,
        splice: false,
        memory_base: 1 << 20,
        memory_per_byte: 64,
    },
    Parser {
        name: "decode",
        body: rapace_codec::fuzz_bodies::decode,
        corpus: rapace_codec::fuzz_bodies::seeds,
        splice: false,
        memory_base: 256 << 10,
        memory_per_byte: 1024,
    },
    Parser {
        name: "schema",
        body: rapace_codec::fuzz_bodies::schema,
        corpus: rapace_codec::fuzz_bodies::seeds,
        splice: false,
        memory_base: EMPTIES_BYTES,
        memory_per_byte: 1024,
    },
    Parser {
        name: "json",
        body: rapace_codec::fuzz_bodies::json,
        corpus: rapace_codec::fuzz_bodies::seeds,
        splice: false,
        memory_base: EMPTIES_BYTES,
        memory_per_byte: 1024,
    },
];
