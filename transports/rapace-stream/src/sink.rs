//! The sending half.
//!
//! Owns what was accepted and not yet written: a staging buffer with heads and short payloads,
//! and the large payloads that are written from where they are, each with its place among the
//! staged bytes. Invariant: the bytes on the stream are always a prefix of the accepted frames in
//! order; what is left stays queued here, so a task that stops polling tears nothing (row 5).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rapace_core::frame::{Frame, INLINE_LEN, Payload, SLOT_INLINE};
use rapace_transport::{FrameSink, LinkError};
use tokio::io::AsyncWrite;

use crate::StreamConfig;
use crate::end::{CloseSignal, link_error};
use crate::framing::push_head;

/// Slices in one vectored write; the kernel takes up to 1,024.
const SLICES_MAX: usize = 64;
/// A staging buffer of at most this many bytes is kept for ever.
const STAGING_BYTES_KEPT: usize = 64 << 10;
/// A larger one is cut down after being emptied this often without having been half full.
const SHRINK_AFTER_FLUSHES: u32 = 64;

pub(crate) struct StreamSink {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    staging: Vec<u8>,
    /// Bytes of `staging` that are written already.
    staging_written: usize,
    /// Large payloads, each with the number of unwritten staged bytes between its predecessor
    /// and itself.
    large: VecDeque<(usize, Bytes)>,
    /// Unwritten staged bytes after the last large payload.
    staged_after: usize,
    /// All unwritten bytes.
    queued: usize,
    queue_bytes_max: usize,
    gather_bytes_min: usize,
    /// Whether the writer may hold bytes that it was given since its last flush.
    writer_unflushed: bool,
    /// Flushes in a row that left a large staging buffer less than half used.
    roomy_flushes: u32,
    close: Arc<CloseSignal>,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// Everything is written; the writer is shutting down.
    Closing,
    Closed,
    Failed(LinkError),
}

impl StreamSink {
    pub(crate) fn new(
        writer: Box<dyn AsyncWrite + Send + Unpin>,
        config: &StreamConfig,
        close: Arc<CloseSignal>,
    ) -> Self {
        StreamSink {
            writer,
            staging: Vec::new(),
            staging_written: 0,
            large: VecDeque::new(),
            staged_after: 0,
            queued: 0,
            queue_bytes_max: config.queue_bytes_max,
            gather_bytes_min: config.gather_bytes_min,
            writer_unflushed: false,
            roomy_flushes: 0,
            close,
            state: State::Open,
        }
    }

    fn stage(&mut self, bytes: &[u8]) {
        self.staging.extend_from_slice(bytes);
        self.staged_after += bytes.len();
        self.queued += bytes.len();
    }

    fn stage_or_gather(&mut self, bytes: Bytes) {
        if bytes.len() < self.gather_bytes_min {
            self.stage(&bytes);
        } else {
            self.queued += bytes.len();
            self.large.push_back((self.staged_after, bytes));
            self.staged_after = 0;
        }
    }

    /// Drops the written front of the staging buffer once it is the larger part, so that a queue
    /// that never runs empty does not grow the buffer without bound.
    fn compact(&mut self) {
        let unwritten = self.staging.len() - self.staging_written;
        if self.staging_written >= STAGING_BYTES_KEPT && self.staging_written >= unwritten {
            self.staging.drain(..self.staging_written);
            self.staging_written = 0;
        }
    }

    fn fail(&mut self, err: LinkError) -> LinkError {
        self.staging = Vec::new();
        self.staging_written = 0;
        self.large = VecDeque::new();
        self.staged_after = 0;
        self.queued = 0;
        self.state = State::Failed(err.clone());
        err
    }

    /// One write of as much as the writer takes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let writer = Pin::new(&mut self.writer);
        let staged = &self.staging[self.staging_written..];
        let Some((before, first)) = self.large.front() else {
            return writer.poll_write(cx, staged);
        };
        if !writer.is_write_vectored() {
            let slice = if *before > 0 {
                &staged[..*before]
            } else {
                first
            };
            return writer.poll_write(cx, slice);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut rest = staged;
        for (before, large) in self.large.iter().take(SLICES_MAX / 2) {
            let (head, tail) = rest.split_at(*before);
            rest = tail;
            for slice in [head, &large[..]] {
                if !slice.is_empty() {
                    slices[count] = IoSlice::new(slice);
                    count += 1;
                }
            }
        }
        if self.large.len() < SLICES_MAX / 2 && !rest.is_empty() {
            slices[count] = IoSlice::new(rest);
            count += 1;
        }
        writer.poll_write_vectored(cx, &slices[..count])
    }

    /// Takes `count` written bytes off the front of the queue.
    fn consume(&mut self, mut count: usize) {
        self.queued -= count;
        while let Some((before, large)) = self.large.front_mut() {
            let staged = count.min(*before);
            *before -= staged;
            self.staging_written += staged;
            count -= staged;
            let gathered = count.min(large.len());
            large.advance(gathered);
            count -= gathered;
            // A large run is never empty from the start, so nothing is left before it either.
            if !large.is_empty() {
                return;
            }
            self.large.pop_front();
        }
        self.staging_written += count;
        self.staged_after -= count;
    }

    /// Everything is written: makes the staging buffer ready for the next burst.
    fn reset_staging(&mut self) {
        let used = self.staging.len();
        self.staging.clear();
        self.staging_written = 0;
        if self.staging.capacity() <= STAGING_BYTES_KEPT || used > self.staging.capacity() / 2 {
            self.roomy_flushes = 0;
        } else {
            self.roomy_flushes += 1;
            if self.roomy_flushes >= SHRINK_AFTER_FLUSHES {
                self.roomy_flushes = 0;
                self.staging.shrink_to(STAGING_BYTES_KEPT);
            }
        }
    }

    /// Writes until nothing is queued.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while self.queued > 0 {
            match ready!(self.poll_write(cx)) {
                Ok(0) => {
                    let err = io::Error::from(io::ErrorKind::WriteZero);
                    return Poll::Ready(Err(self.fail(link_error(&err))));
                }
                Ok(count) => {
                    self.writer_unflushed = true;
                    self.consume(count);
                }
                Err(err) => return Poll::Ready(Err(self.fail(link_error(&err)))),
            }
        }
        if !self.staging.is_empty() {
            self.reset_staging();
        }
        if self.writer_unflushed {
            if let Err(err) = ready!(Pin::new(&mut self.writer).poll_flush(cx)) {
                return Poll::Ready(Err(self.fail(link_error(&err))));
            }
            self.writer_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl FrameSink for StreamSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match &self.state {
            State::Open => {}
            State::Closing | State::Closed => return Poll::Ready(Err(LinkError::Closed)),
            State::Failed(err) => return Poll::Ready(Err(err.clone())),
        }
        if self.queued <= self.queue_bytes_max {
            return Poll::Ready(Ok(()));
        }
        match self.poll_drain(cx) {
            Poll::Ready(Err(err)) => Poll::Ready(Err(err)),
            _ if self.queued <= self.queue_bytes_max => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn send(&mut self, frame: Frame) {
        if !matches!(self.state, State::Open) {
            return;
        }
        let Frame { mut desc, payload } = frame;
        let len = payload.len();
        if u32::try_from(len).is_err() {
            self.fail(LinkError::Io(
                format!("a payload of {len} bytes does not fit a frame").into(),
            ));
            return;
        }
        let is_inline = len <= INLINE_LEN;
        // What `Frame::new` wrote is right, unless the frame came from another kind of link and
        // still carries that link's slot.
        let is_described = match &payload {
            Payload::Inline(_) => desc.payload_slot == SLOT_INLINE,
            _ => !is_inline && desc.payload_slot == 0,
        };
        if !is_described || desc.payload_len as usize != len {
            desc.describe(&payload);
        }
        debug_assert!(
            !is_inline || payload.chunks().flatten().eq(&desc.inline_payload[..len]),
            "a frame's inline payload was changed without its descriptor"
        );
        self.compact();
        let staged_before = self.staging.len();
        push_head(&mut self.staging, &desc, is_inline);
        let head_len = self.staging.len() - staged_before;
        self.staged_after += head_len;
        self.queued += head_len;
        if is_inline {
            return;
        }
        match payload {
            Payload::Inline(_) => {}
            Payload::Bytes(bytes) => self.stage_or_gather(bytes),
            Payload::Chain(runs) => {
                for run in runs {
                    self.stage_or_gather(run);
                }
            }
            Payload::Loan(loan) => self.stage(loan.0.as_slice()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match &self.state {
            State::Open => self.poll_drain(cx),
            State::Closing | State::Closed => Poll::Ready(Ok(())),
            State::Failed(err) => Poll::Ready(Err(err.clone())),
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        loop {
            match &self.state {
                State::Open => match ready!(self.poll_drain(cx)) {
                    Ok(()) => self.state = State::Closing,
                    Err(_) => self.close.close(),
                },
                State::Closing => {
                    let shut = ready!(Pin::new(&mut self.writer).poll_shutdown(cx));
                    // Only now, and not when the close began: a peer that has to be read from
                    // before it reads would otherwise never let the flush end.
                    self.close.close();
                    match shut {
                        Ok(()) => self.state = State::Closed,
                        // The peer was faster and closed, too.
                        Err(err) if err.kind() == io::ErrorKind::NotConnected => {
                            self.state = State::Closed;
                        }
                        Err(err) => {
                            self.fail(link_error(&err));
                        }
                    }
                }
                State::Closed => return Poll::Ready(Ok(())),
                State::Failed(err) => {
                    let err = err.clone();
                    self.close.close();
                    return Poll::Ready(Err(err));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use rapace_core::frame::{Descriptor, Flags};
    use rapace_core::{ChannelId, MethodId};

    use super::*;

    fn sink() -> StreamSink {
        let config = StreamConfig::default();
        StreamSink::new(Box::new(tokio::io::sink()), &config, Arc::default())
    }

    fn frame(len: usize) -> Frame {
        let desc = Descriptor::new(ChannelId(1), MethodId(2), Flags::DATA);
        Frame::new(desc, Payload::from(Bytes::from(vec![3; len])))
    }

    #[test]
    fn staging_shrinks_after_a_burst() {
        let mut sink = sink();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..20 {
            sink.send(frame(10_000));
        }
        assert!(sink.poll_flush(&mut cx).is_ready());
        assert!(sink.staging.capacity() >= 200_000);
        for _ in 0..SHRINK_AFTER_FLUSHES {
            sink.send(frame(100));
            assert!(sink.poll_flush(&mut cx).is_ready());
        }
        assert!(sink.staging.capacity() <= STAGING_BYTES_KEPT);
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let mut sink = sink();
        sink.send(frame(16 << 10));
        assert!(sink.staging.len() < 100, "only the head is staged");
        assert_eq!(sink.large.len(), 1);
    }

    #[test]
    fn a_queue_that_never_runs_empty_reuses_its_buffer() {
        /// Takes one byte less than it is given, but for a single byte.
        struct Reluctant;
        impl AsyncWrite for Reluctant {
            fn poll_write(
                self: Pin<&mut Self>,
                _cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                if buf.len() == 1 {
                    return Poll::Pending;
                }
                Poll::Ready(Ok(buf.len() - 1))
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        let config = StreamConfig::default();
        let mut sink = StreamSink::new(Box::new(Reluctant), &config, Arc::default());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            sink.send(frame(1_000));
            assert!(sink.poll_flush(&mut cx).is_pending());
            assert_eq!(sink.queued, 1);
        }
        assert!(sink.staging.capacity() <= 4 * STAGING_BYTES_KEPT);
    }
}
