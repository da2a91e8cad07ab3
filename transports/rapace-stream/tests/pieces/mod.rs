//! Readers and writers that yield and take bytes in chosen pieces, Pending between them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rapace_core::frame::Frame;
use rapace_stream::{StreamConfig, StreamTransport};
use rapace_transport::{FrameSink, FrameSource, LinkError, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Yields `bytes`, never past a cut, with one Pending before every read.
pub(crate) struct PieceReader {
    pub(crate) bytes: Vec<u8>,
    /// Positions at which a read ends, rising.
    pub(crate) cuts: Vec<usize>,
    at: usize,
    ready: bool,
}

impl PieceReader {
    pub(crate) fn new(bytes: Vec<u8>, cuts: Vec<usize>) -> Self {
        PieceReader {
            bytes,
            cuts,
            at: 0,
            ready: false,
        }
    }
}

impl AsyncRead for PieceReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let end = self.cuts.iter().copied().find(|cut| *cut > self.at);
        let end = end.unwrap_or(self.bytes.len()).min(self.bytes.len());
        let count = (end - self.at).min(buf.remaining());
        buf.put_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

/// Takes bytes, never past a cut in one write, with one Pending before every write.
#[derive(Clone, Default)]
pub(crate) struct PieceWriter {
    pub(crate) written: Arc<Mutex<Vec<u8>>>,
    pub(crate) cuts: Vec<usize>,
    pub(crate) is_vectored: bool,
    ready: bool,
}

impl PieceWriter {
    pub(crate) fn new(cuts: Vec<usize>, is_vectored: bool) -> Self {
        PieceWriter {
            cuts,
            is_vectored,
            ..PieceWriter::default()
        }
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.lock().expect("no panic").clone()
    }

    fn take(&mut self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut written = self.written.lock().expect("no panic");
        let at = written.len();
        let end = self.cuts.iter().copied().find(|cut| *cut > at);
        let mut room = end.map_or(usize::MAX, |end| end - at);
        for slice in slices {
            let count = slice.len().min(room);
            written.extend_from_slice(&slice[..count]);
            room -= count;
        }
        Poll::Ready(Ok(written.len() - at))
    }
}

impl AsyncWrite for PieceWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn sink_over(writer: &PieceWriter, config: StreamConfig) -> Box<dyn FrameSink> {
    let transport = StreamTransport::from_halves(tokio::io::empty(), writer.clone());
    Box::new(transport.with_config(config)).split().0
}

pub(crate) fn source_over(reader: PieceReader, config: StreamConfig) -> Box<dyn FrameSource> {
    let transport = StreamTransport::from_halves(reader, tokio::io::sink());
    Box::new(transport.with_config(config)).split().1
}

/// Polls until everything is written.
pub(crate) fn flush(sink: &mut dyn FrameSink) {
    while sink
        .poll_flush(&mut cx())
        .map(|flushed| flushed.expect("flushing"))
        .is_pending()
    {}
}

/// Waits for room, hands over, and does not flush.
pub(crate) fn feed(sink: &mut dyn FrameSink, frame: Frame) {
    while sink
        .poll_ready(&mut cx())
        .map(|ready| ready.expect("readiness"))
        .is_pending()
    {}
    sink.send(frame);
}

/// The bytes of `frames` as the sink writes them.
pub(crate) fn bytes_of(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    let writer = PieceWriter::new(Vec::new(), true);
    let mut sink = sink_over(&writer, StreamConfig::default());
    for frame in frames {
        feed(&mut *sink, frame);
    }
    flush(&mut *sink);
    writer.written()
}

/// Receives until the link ends.
pub(crate) fn drain(source: &mut dyn FrameSource) -> (Vec<Frame>, LinkError) {
    let mut frames = Vec::new();
    loop {
        match source.poll_recv(&mut cx()) {
            Poll::Pending => {}
            Poll::Ready(Ok(frame)) => frames.push(frame),
            Poll::Ready(Err(err)) => return (frames, err),
        }
    }
}
