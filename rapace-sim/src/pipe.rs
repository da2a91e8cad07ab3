//! Byte pipes: one direction of a simulated socket.
//!
//! Bytes are first in, first out by structure: what is under way stands in a queue with the times of
//! its arrival, and an event only says that it is time to look. A pipe holds at most its window;
//! writers wait beyond that. What a write takes and a read gives may be any part of what is there.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::draw::{Purpose, below, draw};
use crate::engine::Engine;
use crate::engine::agenda::Event;
use crate::engine::process::LifeCell;

/// How a pipe behaves. Times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PipeConfig {
    pub(crate) latency: u64,
    /// Every chunk takes up to so much longer.
    pub(crate) jitter: u64,
    pub(crate) window_bytes: usize,
    /// A read or write moves at most so many bytes.
    pub(crate) io_bytes_max: usize,
    /// Reads and writes often move only a part of what they could.
    pub(crate) short_io: bool,
}

/// How a pipe ends for its reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The writer is done.
    Fin,
    /// The connection is broken.
    Reset,
}

enum Chunk {
    Bytes(Bytes),
    End(End),
}

pub(crate) struct Pipe {
    engine: Arc<Engine>,
    /// Tells this pipe's draws from those of others; the same in every run.
    label: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    config: PipeConfig,
    under_way: VecDeque<(u64, Chunk)>,
    under_way_bytes: usize,
    arrived: VecDeque<Bytes>,
    arrived_bytes: usize,
    end: Option<End>,
    /// Nothing more can be written: shut down, or the other end is gone.
    shut: bool,
    broken: bool,
    frozen: bool,
    exhausted: bool,
    /// A Deliver is on the agenda.
    scheduled: bool,
    /// Bytes written so far.
    written: u64,
    /// Bytes read so far.
    read: u64,
    /// Bytes to be changed: their position and the bits.
    corrupt: Vec<(u64, u8)>,
    corrupted: bool,
    chunks: u64,
    reads: u64,
    writes: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(crate) fn new(engine: Arc<Engine>, label: u64, config: PipeConfig) -> Arc<Self> {
        Arc::new(Pipe {
            engine,
            label,
            inner: Mutex::new(Inner {
                config,
                under_way: VecDeque::new(),
                under_way_bytes: 0,
                arrived: VecDeque::new(),
                arrived_bytes: 0,
                end: None,
                shut: false,
                broken: false,
                frozen: false,
                exhausted: false,
                scheduled: false,
                written: 0,
                read: 0,
                corrupt: Vec::new(),
                corrupted: false,
                chunks: 0,
                reads: 0,
                writes: 0,
                reader: None,
                writer: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a chunk on its way.
    fn send(self: &Arc<Self>, inner: &mut Inner, chunk: Chunk) {
        inner.chunks += 1;
        let jitter = match inner.config.jitter {
            0 => 0,
            jitter => below(
                draw(self.engine.seed, Purpose::Latency, self.label, inner.chunks),
                jitter,
            ),
        };
        let takes = inner.config.latency.saturating_add(jitter);
        let soonest = self.engine.now().saturating_add(takes);
        let before = inner.under_way.back().map_or(0, |(at, _)| *at);
        inner.under_way.push_back((soonest.max(before), chunk));
        self.schedule(inner);
    }

    fn schedule(self: &Arc<Self>, inner: &mut Inner) {
        if inner.scheduled || inner.frozen {
            return;
        }
        if let Some((at, _)) = inner.under_way.front() {
            inner.scheduled = true;
            self.engine.agenda.enter(*at, Event::Deliver(self.clone()));
        }
    }

    /// It is time to look: what is due arrives.
    pub(crate) fn deliver(self: &Arc<Self>) {
        let now = self.engine.now();
        let mut inner = self.lock();
        inner.scheduled = false;
        if inner.frozen {
            return;
        }
        let mut arrived = false;
        while let Some((at, _)) = inner.under_way.front() {
            if *at > now {
                break;
            }
            arrived = true;
            match inner.under_way.pop_front() {
                Some((_, Chunk::Bytes(bytes))) => {
                    inner.under_way_bytes -= bytes.len();
                    inner.arrived_bytes += bytes.len();
                    inner.arrived.push_back(bytes);
                }
                Some((_, Chunk::End(end))) => {
                    inner.end.get_or_insert(end);
                }
                None => {}
            }
        }
        self.schedule(&mut inner);
        let reader = if arrived { inner.reader.take() } else { None };
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The writer's end is closed, or its process died: after what is under way comes the end.
    pub(crate) fn end(self: &Arc<Self>, end: End) {
        let mut inner = self.lock();
        if !inner.shut {
            inner.shut = true;
            self.send(&mut inner, Chunk::End(end));
        }
        let writer = inner.writer.take();
        drop(inner);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The reader's end is gone: what is written from now on finds nobody.
    pub(crate) fn reader_gone(&self) {
        let mut inner = self.lock();
        inner.broken = true;
        inner.under_way.clear();
        inner.under_way_bytes = 0;
        inner.arrived.clear();
        inner.arrived_bytes = 0;
        let writer = inner.writer.take();
        drop(inner);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The connection breaks; what is under way is lost. False when it was broken already.
    pub(crate) fn cut(&self) -> bool {
        let mut inner = self.lock();
        if inner.broken && inner.end.is_some() {
            return false;
        }
        inner.broken = true;
        inner.shut = true;
        inner.under_way.clear();
        inner.under_way_bytes = 0;
        inner.end = Some(End::Reset);
        let wakers = [inner.reader.take(), inner.writer.take()];
        drop(inner);
        wakers.into_iter().flatten().for_each(Waker::wake);
        true
    }

    pub(crate) fn freeze(self: &Arc<Self>, frozen: bool) {
        let mut inner = self.lock();
        inner.frozen = frozen;
        self.schedule(&mut inner);
    }

    /// While exhausted, nothing can be written.
    pub(crate) fn exhaust(&self, exhausted: bool) {
        let mut inner = self.lock();
        inner.exhausted = exhausted;
        let writer = inner.writer.take();
        drop(inner);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    pub(crate) fn configure(&self, change: impl FnOnce(&mut PipeConfig)) {
        let mut inner = self.lock();
        change(&mut inner.config);
        let writer = inner.writer.take();
        drop(inner);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Changes the byte at `offset` of those written from now on.
    pub(crate) fn corrupt(&self, offset: u64, xor: u8) {
        let mut inner = self.lock();
        let at = inner.written + offset;
        inner.corrupt.push((at, xor.max(1)));
    }

    /// Whether a changed byte has been written.
    pub(crate) fn is_corrupted(&self) -> bool {
        self.lock().corrupted
    }

    /// How many bytes were read in all, once the reader has seen the writer's end.
    pub(crate) fn read_to_end(&self) -> Option<u64> {
        let inner = self.lock();
        let over = inner.end == Some(End::Fin) && inner.arrived_bytes == 0;
        over.then_some(inner.read)
    }

    /// Bytes that were written and not yet read.
    pub(crate) fn held_bytes(&self) -> usize {
        let inner = self.lock();
        inner.under_way_bytes + inner.arrived_bytes
    }
}

impl Inner {
    fn space(&self) -> usize {
        if self.exhausted {
            return 0;
        }
        let held = self.under_way_bytes + self.arrived_bytes;
        self.config.window_bytes.saturating_sub(held)
    }

    /// How much of `most` bytes a read or write moves.
    fn part(&self, most: usize, number: u64) -> usize {
        let most = most.min(self.config.io_bytes_max.max(1));
        // Three in four move all they can, or hardly anything would ever be large.
        if !self.config.short_io || most <= 1 || number & 3 != 0 {
            return most;
        }
        1 + below(number, most as u64) as usize
    }

    fn spoil(&mut self, bytes: &mut [u8]) {
        let start = self.written;
        let mut hit = false;
        self.corrupt.retain(|&(at, xor)| {
            let here = at
                .checked_sub(start)
                .and_then(|at| bytes.get_mut(at as usize));
            match here {
                Some(byte) => {
                    *byte ^= xor;
                    hit = true;
                    false
                }
                None => true,
            }
        });
        self.corrupted |= hit;
    }
}

/// The sending end, in the hands of a process.
pub(crate) struct PipeWriter {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) life: Arc<LifeCell>,
}

impl PipeWriter {
    fn write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wanted: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.life.is_dead() {
            // A ghost believes that it writes.
            return Poll::Ready(Ok(wanted));
        }
        let pipe = &self.pipe;
        let mut inner = pipe.lock();
        if inner.broken || inner.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let space = inner.space();
        if space == 0 {
            keep(&mut inner.writer, cx.waker());
            return Poll::Pending;
        }
        inner.writes += 1;
        let number = draw(pipe.engine.seed, Purpose::Write, pipe.label, inner.writes);
        let count = inner.part(wanted.min(space), number);
        let out = self.life.write(count);
        let mut bytes = BytesMut::with_capacity(out);
        for buf in bufs {
            let take = buf.len().min(out - bytes.len());
            bytes.extend_from_slice(&buf[..take]);
        }
        if !inner.corrupt.is_empty() {
            inner.spoil(&mut bytes);
        }
        inner.written += out as u64;
        inner.under_way_bytes += out;
        if out > 0 {
            pipe.send(&mut inner, Chunk::Bytes(bytes.freeze()));
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.life.is_dead() {
            self.pipe.end(End::Fin);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        // How the end of a dead process looks is decided where it is killed.
        if !self.life.is_dead() {
            self.pipe.end(End::Fin);
        }
    }
}

/// The receiving end, in the hands of a process.
pub(crate) struct PipeReader {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) life: Arc<LifeCell>,
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.life.is_dead() {
            return Poll::Pending;
        }
        let pipe = &self.pipe;
        let mut inner = pipe.lock();
        if inner.arrived_bytes == 0 {
            return match inner.end {
                Some(End::Fin) => Poll::Ready(Ok(())),
                Some(End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => {
                    keep(&mut inner.reader, cx.waker());
                    Poll::Pending
                }
            };
        }
        inner.reads += 1;
        let number = draw(pipe.engine.seed, Purpose::Read, pipe.label, inner.reads);
        let most = inner.arrived_bytes.min(buf.remaining());
        let mut left = inner.part(most, number);
        while left > 0 {
            let Some(front) = inner.arrived.front_mut() else {
                break;
            };
            let take = front.len().min(left);
            buf.put_slice(&front[..take]);
            front.advance(take);
            if front.is_empty() {
                inner.arrived.pop_front();
            }
            left -= take;
            inner.read += take as u64;
            inner.arrived_bytes -= take;
        }
        let writer = inner.writer.take();
        drop(inner);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        if !self.life.is_dead() {
            self.pipe.reader_gone();
        }
    }
}

fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(known) => known.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
