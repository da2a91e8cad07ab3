//! The bounds of a link's buffers.

/// How much memory a stream link may hold, per link.
///
/// The defaults suit a host with some dozens of plugins: an idle link holds one read buffer of
/// [`read_bytes_min`](Self::read_bytes_min) and a write buffer of at most 64 KiB, and what a
/// burst made it allocate is given back while later, smaller traffic flows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamConfig {
    /// Bytes accepted and not yet written before
    /// [`poll_ready`](rapace_transport::FrameSink::poll_ready) says Pending; default 256 KiB. One
    /// frame of any size is accepted on top of it. Raising it makes writes larger, and latency
    /// behind a slow peer longer.
    pub queue_bytes_max: usize,
    /// Payload runs of at least this many bytes are written from where they are; shorter ones
    /// are copied behind their descriptor. Default 16 KiB, where a copy costs about as much as
    /// one more entry in a vectored write.
    pub gather_bytes_min: usize,
    /// Size of the read buffer, in bytes; default 64 KiB. At least 256.
    pub read_bytes_min: usize,
    /// The size that the read buffer grows to while reads fill it, in bytes; default 256 KiB.
    pub read_bytes_max: usize,
    /// Payloads of at least this many bytes that are not wholly in the read buffer are read into
    /// a buffer of their own; default 32 KiB.
    pub large_bytes_min: usize,
    /// Bytes of free payload buffers that are kept for reuse; default 8 MiB. A fresh page costs a
    /// page fault at its first touch, so payloads larger than this arrive at about half the speed
    /// of smaller ones.
    pub pool_bytes_max: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        StreamConfig {
            queue_bytes_max: 256 << 10,
            gather_bytes_min: 16 << 10,
            read_bytes_min: 64 << 10,
            read_bytes_max: 256 << 10,
            large_bytes_min: 32 << 10,
            pool_bytes_max: 8 << 20,
        }
    }
}

impl StreamConfig {
    /// The configuration with every field in the range that the code relies on.
    pub(crate) fn clamped(mut self) -> Self {
        self.gather_bytes_min = self.gather_bytes_min.max(64);
        self.read_bytes_min = self.read_bytes_min.max(256);
        self.read_bytes_max = self.read_bytes_max.max(self.read_bytes_min);
        self.large_bytes_min = self.large_bytes_min.max(64);
        self
    }
}
