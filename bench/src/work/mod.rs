//! What is measured: the kinds of work, and one round of each.

mod rounds;

use std::time::Duration;

pub(crate) use rounds::round;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Calls in flight at once in [`Work::Flood64`].
pub(crate) const FLOOD_DEPTH: usize = 64;
/// Items in one stream; a round opens one such stream after another.
///
/// Large enough that the round trip that opens a stream does not count.
pub(crate) const ITEMS_PER_STREAM: u64 = 200_000;
/// Chunks in one stream.
pub(crate) const CHUNKS_PER_STREAM: u64 = 128;

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Unary echo, 64 bytes, one call in flight.
    Echo64,
    /// Unary echo, 64 bytes, 64 calls in flight.
    Flood64,
    /// 64 KiB in, a small reply.
    In64K,
    /// 64 KiB in, the same back.
    Echo64K,
    /// 1 MiB in, a small reply.
    In1M,
    /// 1 MiB in, the same back.
    Echo1M,
    /// Server stream of `u64` items.
    Items,
    /// Server stream of 1 MiB chunks.
    Chunks,
}

impl Work {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::Echo64,
        Self::Flood64,
        Self::In64K,
        Self::Echo64K,
        Self::In1M,
        Self::Echo1M,
        Self::Items,
        Self::Chunks,
    ];

    /// The name for the command line and the JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo64 => "echo-64",
            Self::Flood64 => "echo-64x64",
            Self::In64K => "in-64k",
            Self::Echo64K => "echo-64k",
            Self::In1M => "in-1m",
            Self::Echo1M => "echo-1m",
            Self::Items => "items",
            Self::Chunks => "chunks",
        }
    }

    /// The name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Echo64 => "echo 64 B, 1 in flight",
            Self::Flood64 => "echo 64 B, 64 in flight",
            Self::In64K => "64 KiB in, small reply",
            Self::Echo64K => "echo 64 KiB",
            Self::In1M => "1 MiB in, small reply",
            Self::Echo1M => "echo 1 MiB",
            Self::Items => "server stream of u64",
            Self::Chunks => "server stream of 1 MiB",
        }
    }

    /// What one operation is.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Items => "item",
            Self::Chunks => "chunk",
            _ => "call",
        }
    }

    /// Bytes of payload in one operation, counted once also where it travels both ways.
    pub(crate) const fn payload_len(self) -> usize {
        match self {
            Self::Echo64 | Self::Flood64 => 64,
            Self::In64K | Self::Echo64K => 64 * KIB,
            Self::In1M | Self::Echo1M | Self::Chunks => MIB,
            Self::Items => 8,
        }
    }

    /// Whether its rate is told in bytes, not in operations.
    pub(crate) const fn is_bulk(self) -> bool {
        self.payload_len() >= 64 * KIB
    }

    /// Whether it needs server streams.
    pub(crate) const fn streams(self) -> bool {
        matches!(self, Self::Items | Self::Chunks)
    }
}

/// One round of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Calls answered, or items or chunks received.
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    /// Of single calls; only where one is in flight.
    pub(crate) latency: Option<Latency>,
    /// CPU time spent meanwhile by this process and the server; filled in by the runner.
    pub(crate) client_cpu: Duration,
    pub(crate) server_cpu: Duration,
}

/// How long single calls took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
}
