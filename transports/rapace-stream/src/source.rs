//! The receiving half.
//!
//! Owns one read buffer, in which frames are parsed where they lie, and the payload that is
//! being read into a buffer of its own, if any. A payload reaches its receiver in one of four
//! ways:
//!
//! | payload | handed over as |
//! |---|---|
//! | up to 16 bytes | by value |
//! | shorter than 1/[`PIN_FACTOR`] of the read buffer | a copy: a short payload that is kept must not keep a whole buffer |
//! | wholly in the read buffer, or shorter than `large_bytes_min` | a slice of the read buffer |
//! | otherwise | a buffer of the [`Pool`](crate::pool), read into directly |
//!
//! So a payload that is kept keeps at most [`PIN_FACTOR`] times its own size alive.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rapace_core::frame::{Descriptor, Frame, INLINE_LEN, InlineBytes, Payload};
use rapace_transport::{Death, FrameSource, LinkError};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::StreamConfig;
use crate::end::{CloseSignal, link_error};
use crate::framing::{Head, parse_head};
use crate::pool::{Filling, Pool};

/// The longest payload accepted before the Hellos, in bytes (PROTOCOL.md §1).
const FIRST_PAYLOAD_BYTES_MAX: u32 = 64 << 10;
/// How many times its own size a kept payload may keep alive.
const PIN_FACTOR: usize = 128;
/// After this many reads in a row that used less than a quarter of the read buffer it returns to
/// its first size, and the pool gives back a buffer that was not used meanwhile.
const SHRINK_AFTER_READS: u32 = 64;
/// After a payload of at least this many bytes the next read stops after a short piece, because
/// what follows is likely to be such a payload again and would have to be copied out.
const SHORT_READ_AFTER: usize = 256 << 10;
/// The length of that short piece, in bytes.
const SHORT_READ_BYTES: usize = 4 << 10;

pub(crate) struct StreamSource {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    config: StreamConfig,
    /// Received and not yet handed over.
    buffer: BytesMut,
    /// The size that the next read buffer gets.
    read_bytes: usize,
    /// Length of the frame that the read buffer holds the beginning of, if its head is known.
    wanted: usize,
    /// Reads in a row that used little of the read buffer.
    small_reads: u32,
    /// Whether the last frame had a payload of `SHORT_READ_AFTER` bytes or more.
    last_was_huge: bool,
    /// The payload that is being read apart.
    large: Option<(Descriptor, Filling)>,
    pool: Pool,
    payload_bytes_max: u32,
    close: Arc<CloseSignal>,
    ended: Option<LinkError>,
}

impl StreamSource {
    pub(crate) fn new(
        reader: Box<dyn AsyncRead + Send + Unpin>,
        config: StreamConfig,
        close: Arc<CloseSignal>,
    ) -> Self {
        StreamSource {
            reader,
            read_bytes: config.read_bytes_min,
            pool: Pool::new(config.pool_bytes_max),
            config,
            buffer: BytesMut::new(),
            wanted: 0,
            small_reads: 0,
            last_was_huge: false,
            large: None,
            payload_bytes_max: FIRST_PAYLOAD_BYTES_MAX,
            close,
            ended: None,
        }
    }

    fn end(&mut self, err: LinkError) -> LinkError {
        self.buffer = BytesMut::new();
        self.large = None;
        while self.pool.shrink() {}
        self.ended = Some(err.clone());
        err
    }

    /// What the end of the stream means here.
    fn end_of_stream(&self) -> LinkError {
        if self.buffer.is_empty() && self.large.is_none() {
            LinkError::Closed
        } else {
            LinkError::PeerDied(Death::seen("connection ended inside a frame"))
        }
    }

    /// The next frame, if the bytes at hand hold a whole one. Begins a large payload when they
    /// hold its head.
    #[inline]
    fn parse(&mut self) -> Result<Option<Frame>, LinkError> {
        let (desc, head_len) = match parse_head(&self.buffer, self.payload_bytes_max) {
            Head::Whole { desc, head_len } => (desc, head_len),
            Head::Partial => return Ok(None),
            Head::Malformed(what) => return Err(LinkError::Malformed(what.into())),
        };
        let len = desc.payload_len as usize;
        let frame_len = head_len + len;
        if self.buffer.len() < frame_len {
            if len >= self.config.large_bytes_min {
                self.begin_large(desc, head_len, len);
            } else {
                self.wanted = frame_len;
            }
            return Ok(None);
        }
        self.last_was_huge = len >= SHORT_READ_AFTER;
        let bytes = &self.buffer[head_len..frame_len];
        let payload = if len <= INLINE_LEN {
            let inline = InlineBytes::new(bytes).map_or(Payload::EMPTY, Payload::Inline);
            self.buffer.advance(frame_len);
            inline
        } else if len < self.read_bytes / PIN_FACTOR {
            let copy = Bytes::copy_from_slice(bytes);
            self.buffer.advance(frame_len);
            Payload::Bytes(copy)
        } else {
            let mut whole = self.buffer.split_to(frame_len);
            whole.advance(head_len);
            Payload::Bytes(whole.freeze())
        };
        Ok(Some(Frame { desc, payload }))
    }

    fn begin_large(&mut self, desc: Descriptor, head_len: usize, len: usize) {
        let mut filling = self.pool.take(len);
        let there = filling.fill_from(&self.buffer[head_len..]);
        self.buffer.advance(head_len + there);
        self.large = Some((desc, filling));
        self.small_reads = 0;
    }

    /// Reads on in the large payload. Ready with its frame when it is complete.
    fn poll_large(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, LinkError>> {
        let Some((_, filling)) = &mut self.large else {
            return Poll::Ready(Ok(None));
        };
        while !filling.is_full() {
            let mut spare = ReadBuf::new(filling.spare());
            let read = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut spare));
            let count = spare.filled().len();
            match read {
                Ok(()) if count == 0 => return Poll::Ready(Err(self.end_of_stream())),
                Ok(()) => filling.advance(count),
                Err(err) => return Poll::Ready(Err(link_error(&err))),
            }
        }
        let frame = self.large.take().map(|(desc, filling)| {
            let bytes = filling.freeze();
            self.last_was_huge = bytes.len() >= SHORT_READ_AFTER;
            Frame {
                desc,
                payload: Payload::Bytes(bytes),
            }
        });
        Poll::Ready(Ok(frame))
    }

    /// Reads some bytes into the read buffer.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.make_room();
        let space = if self.last_was_huge {
            SHORT_READ_BYTES.min(self.buffer.capacity() - self.buffer.len())
        } else {
            self.buffer.capacity() - self.buffer.len()
        };
        let read: io::Result<usize> = {
            let mut target = (&mut self.buffer).limit(space);
            let reading = pin!(self.reader.read_buf(&mut target));
            ready!(reading.poll(cx))
        };
        match read {
            Ok(0) => Poll::Ready(Err(self.end_of_stream())),
            Ok(count) => {
                if !self.last_was_huge {
                    self.adapt(count, space);
                }
                self.last_was_huge = false;
                Poll::Ready(Ok(()))
            }
            Err(err) => Poll::Ready(Err(link_error(&err))),
        }
    }

    /// Sees to it that the read buffer has space worth a system call, and for the whole of the
    /// frame that it holds the beginning of.
    fn make_room(&mut self) {
        let wanted = std::mem::take(&mut self.wanted);
        if self.buffer.is_empty() {
            // Back to the front of the same memory, which is in the cache, unless a payload
            // still lies in it.
            if self.buffer.capacity() < self.read_bytes
                && !self.buffer.try_reclaim(self.read_bytes)
                && self.buffer.capacity() < self.read_bytes / 4
            {
                self.buffer = BytesMut::with_capacity(self.read_bytes);
            }
            return;
        }
        let len = self.buffer.len();
        let missing = wanted.saturating_sub(len).max(self.read_bytes / 4);
        if self.buffer.capacity() - len < missing {
            let target = self.read_bytes.max(wanted).max(len + missing);
            self.buffer.reserve(target - len);
        }
    }

    /// Fits the size of the read buffer to the traffic.
    fn adapt(&mut self, count: usize, space: usize) {
        if count == space && space >= self.read_bytes / 2 {
            self.read_bytes = (self.read_bytes * 2).min(self.config.read_bytes_max);
            self.small_reads = 0;
        } else if count >= self.read_bytes / 4 {
            self.small_reads = 0;
        } else {
            self.small_reads += 1;
            if self.small_reads >= SHRINK_AFTER_READS {
                self.small_reads = 0;
                self.pool.shrink();
                self.shrink_read_buffer();
            }
        }
    }

    fn shrink_read_buffer(&mut self) {
        if self.read_bytes > self.config.read_bytes_min {
            self.read_bytes = self.config.read_bytes_min;
            let mut smaller = BytesMut::with_capacity(self.read_bytes.max(self.buffer.len()));
            smaller.extend_from_slice(&self.buffer);
            self.buffer = smaller;
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        loop {
            if self.large.is_none()
                && let Some(frame) = self.parse()?
            {
                return Poll::Ready(Ok(frame));
            }
            if self.large.is_some() {
                if let Some(frame) = ready!(self.poll_large(cx))? {
                    return Poll::Ready(Ok(frame));
                }
            } else {
                ready!(self.poll_fill(cx))?;
            }
        }
    }
}

impl FrameSource for StreamSource {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        if let Some(err) = &self.ended {
            return Poll::Ready(Err(err.clone()));
        }
        if self.close.is_closed() {
            return Poll::Ready(Err(self.end(LinkError::Closed)));
        }
        match self.poll_frame(cx) {
            Poll::Ready(Ok(frame)) => Poll::Ready(Ok(frame)),
            Poll::Ready(Err(err)) => Poll::Ready(Err(self.end(err))),
            Poll::Pending if self.close.register(cx) => Poll::Pending,
            Poll::Pending => Poll::Ready(Err(self.end(LinkError::Closed))),
        }
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.payload_bytes_max = self.payload_bytes_max.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use rapace_core::frame::Flags;
    use rapace_core::{ChannelId, MethodId};

    use super::*;
    use crate::framing::push_head;

    /// Yields its bytes in reads of at most `piece` bytes.
    struct Bulk {
        bytes: Bytes,
        piece: usize,
    }

    impl AsyncRead for Bulk {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = self.piece.min(buf.remaining()).min(self.bytes.len());
            buf.put_slice(&self.bytes.split_to(count));
            Poll::Ready(Ok(()))
        }
    }

    fn frames(count: usize, len: usize) -> Bytes {
        let mut desc = Descriptor::new(ChannelId(1), MethodId(2), Flags::DATA);
        desc.payload_slot = 0;
        desc.payload_len = len as u32;
        let mut bytes = Vec::new();
        for _ in 0..count {
            push_head(&mut bytes, &desc, false);
            bytes.resize(bytes.len() + len, 7);
        }
        bytes.into()
    }

    fn source(bytes: Bytes, piece: usize) -> StreamSource {
        let config = StreamConfig::default();
        StreamSource::new(Box::new(Bulk { bytes, piece }), config, Arc::default())
    }

    fn recv(source: &mut StreamSource) -> Frame {
        match source.poll_recv(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(frame)) => frame,
            other => panic!("a frame was expected: {other:?}"),
        }
    }

    #[test]
    fn the_read_buffer_follows_the_traffic() {
        let burst = frames(10_000, 1_000);
        let trickle = frames(200, 100);
        let mut source = source(burst, usize::MAX);
        let (small, large) = (source.config.read_bytes_min, source.config.read_bytes_max);
        assert_eq!(source.read_bytes, small);
        for _ in 0..10_000 {
            recv(&mut source);
        }
        assert_eq!(source.read_bytes, large, "reads filled the buffer");
        source.reader = Box::new(Bulk {
            bytes: trickle,
            piece: 166,
        });
        for _ in 0..200 {
            recv(&mut source);
        }
        assert_eq!(source.read_bytes, small, "reads were small");
        assert!(source.buffer.capacity() <= small);
    }

    #[test]
    fn large_payloads_reuse_one_buffer() {
        let mut source = source(frames(20, 60_000), 50_000);
        let first = recv(&mut source).payload.into_bytes();
        let at = first.as_ptr();
        drop(first);
        let reused = (0..19).filter(|_| {
            let payload = recv(&mut source).payload.into_bytes();
            payload.as_ptr() == at
        });
        assert!(reused.count() >= 15);
    }

    #[test]
    fn idle_buffers_go_back_to_the_system() {
        let mut source = source(frames(4, 200_000), usize::MAX);
        source.raise_payload_limit(1 << 20);
        let held: Vec<Frame> = (0..4).map(|_| recv(&mut source)).collect();
        drop(held);
        source.reader = Box::new(Bulk {
            bytes: frames(1_000, 100),
            piece: 166,
        });
        for _ in 0..1_000 {
            recv(&mut source);
        }
        assert!(!source.pool.shrink(), "nothing is left to give back");
    }
}
