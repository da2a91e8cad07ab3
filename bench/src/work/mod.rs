//! What is measured: the kinds of work, and one round of each.

mod rounds;
mod words;

use std::time::Duration;

use crate::cores::Placement;

pub(crate) use rounds::{CallTimer, payload, round, sample};
pub(crate) use words::{fill, sum, sum_words};

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

/// Payloads in flight at once in the one-way works.
pub(crate) const ONE_WAY_DEPTH: usize = 4;
/// Messages published at once in [`Work::Batch16`].
pub(crate) const BATCH: u64 = 16;

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
    /// A frame of one descriptor there and back, both sides polling.
    Frame16,
    /// A frame of 64 bytes there and back, both sides polling.
    Frame64,
    /// The same with both sides asleep before each message, on one core.
    Wake64,
    /// Messages of one cache line one way, published 16 at a time.
    Batch16,
    /// Payloads one way, copied in, read where they arrive.
    Copy64K,
    Copy1M,
    Copy16M,
    /// Payloads one way, written where they are read.
    Fill64K,
    Fill1M,
    Fill16M,
}

impl Work {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 18] = [
        Self::Echo64,
        Self::Flood64,
        Self::In64K,
        Self::Echo64K,
        Self::In1M,
        Self::Echo1M,
        Self::Items,
        Self::Chunks,
        Self::Frame16,
        Self::Frame64,
        Self::Wake64,
        Self::Batch16,
        Self::Copy64K,
        Self::Copy1M,
        Self::Copy16M,
        Self::Fill64K,
        Self::Fill1M,
        Self::Fill16M,
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
            Self::Frame16 => "frame-16",
            Self::Frame64 => "frame-64",
            Self::Wake64 => "wake-64",
            Self::Batch16 => "batch-16",
            Self::Copy64K => "copy-64k",
            Self::Copy1M => "copy-1m",
            Self::Copy16M => "copy-16m",
            Self::Fill64K => "fill-64k",
            Self::Fill1M => "fill-1m",
            Self::Fill16M => "fill-16m",
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
            Self::Frame16 => "frame of 16 B there and back, polling",
            Self::Frame64 => "frame of 64 B there and back, polling",
            Self::Wake64 => "64 B there and back, asleep before each",
            Self::Batch16 => "descriptors one way, 16 at a time",
            Self::Copy64K => "64 KiB one way, copied in",
            Self::Copy1M => "1 MiB one way, copied in",
            Self::Copy16M => "16 MiB one way, copied in",
            Self::Fill64K => "64 KiB one way, written in place",
            Self::Fill1M => "1 MiB one way, written in place",
            Self::Fill16M => "16 MiB one way, written in place",
        }
    }

    /// What one operation is.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Items => "item",
            Self::Chunks => "chunk",
            Self::Batch16 => "message",
            Self::Frame16 | Self::Frame64 | Self::Wake64 => "round trip",
            _ if self.is_one_way() => "payload",
            _ => "call",
        }
    }

    /// Bytes of payload in one operation, counted once also where it travels both ways.
    pub(crate) const fn payload_len(self) -> usize {
        match self {
            Self::Echo64 | Self::Flood64 | Self::Frame64 | Self::Wake64 | Self::Batch16 => 64,
            Self::In64K | Self::Echo64K | Self::Copy64K | Self::Fill64K => 64 * KIB,
            Self::In1M | Self::Echo1M | Self::Chunks | Self::Copy1M | Self::Fill1M => MIB,
            Self::Copy16M | Self::Fill16M => 16 * MIB,
            Self::Items => 8,
            Self::Frame16 => 16,
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

    /// Whether the link itself is measured, in a table of its own, and not a library's calls.
    pub(crate) const fn is_of_link(self) -> bool {
        self.is_one_way()
            || matches!(
                self,
                Self::Frame16 | Self::Frame64 | Self::Wake64 | Self::Batch16
            )
    }

    /// Whether payloads go one way, [`ONE_WAY_DEPTH`] in flight, and are read where they arrive.
    pub(crate) const fn is_one_way(self) -> bool {
        self.is_copied_in() || self.is_filled()
    }

    /// Whether payloads go one way from memory of the sender's own.
    pub(crate) const fn is_copied_in(self) -> bool {
        matches!(self, Self::Copy64K | Self::Copy1M | Self::Copy16M)
    }

    /// Whether payloads go one way and are written by the sender where they are read.
    pub(crate) const fn is_filled(self) -> bool {
        matches!(self, Self::Fill64K | Self::Fill1M | Self::Fill16M)
    }

    /// Whether single operations are timed.
    pub(crate) const fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Echo64 | Self::Frame16 | Self::Frame64 | Self::Wake64
        )
    }

    /// Whether it says something where both sides run there.
    ///
    /// Two who poll take turns by the scheduler's slices on one core; and a wake-up costs what its
    /// software costs only on one core, since another core has to be interrupted first.
    pub(crate) fn makes_sense(self, placement: Placement) -> bool {
        match self {
            Self::Wake64 => placement == Placement::Shared,
            _ if self.is_of_link() => placement != Placement::Shared,
            _ => true,
        }
    }

    /// Whether system calls are counted: where a busy link is to do without.
    pub(crate) const fn counts_system_calls(self) -> bool {
        matches!(
            self,
            Self::Echo64 | Self::Flood64 | Self::Items | Self::Frame64 | Self::Copy1M
        )
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
