//! A link inside this process that lends memory, knows its own again, and counts what it copies.
//!
//! It stands for shared memory: what is in a loan of this link travels as it is, with small runs
//! around it written into the room that the loan has; everything else is copied to where the peer
//! reads. Every block that it lent counts against a budget until its last `Bytes` is dropped, on
//! either side.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rapace_core::Payload;
use rapace_core::frame::{Frame, Loan, LoanBuf};
use rapace_mem::MemTransport;
use rapace_transport::{FrameSink, FrameSource, Lender, LinkError, LinkInfo, Room, Transport};

/// `Bytes` of so many bytes are handed over beside each other when there is nothing to lend.
const GATHER_BYTES_MIN: usize = 4096;

/// What one end of a link has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// How often somebody asked for a loan or whether bytes are lent.
    pub asked: u64,
    /// Payload bytes that were already in place because the session wrote them into a loan.
    pub encoded: u64,
    /// Payload bytes that were already in place because the user wrote them into a loan.
    pub in_place: u64,
    /// Payload bytes that the link had to copy; those within descriptors do not count.
    pub copied: u64,
    /// Bytes that are lent now, frozen ones included.
    pub lent: usize,
    /// The most that were ever lent.
    pub lent_high: usize,
    /// Frames that were handed to the link.
    pub accepted: u64,
    /// Those of them that it was told to send.
    pub flushed: u64,
}

#[derive(Default)]
struct Memory {
    budget: usize,
    counts: Counts,
    /// Start and end address of every block, and its rooms.
    blocks: BTreeMap<usize, Block>,
    waiting: Vec<Waker>,
    closed: bool,
    /// The system has refused memory for too long.
    refused: bool,
}

#[derive(Clone, Copy)]
struct Block {
    end: usize,
    room: Room,
}

/// The lender of one end.
#[derive(Clone)]
pub struct Lane {
    memory: Arc<Mutex<Memory>>,
}

impl Lane {
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn set_budget(&self, bytes: usize) {
        self.lock().budget = bytes;
    }

    /// From now on who waits for memory hears that there is none.
    pub fn refuse(&self) {
        let mut memory = self.lock();
        memory.refused = true;
        let waiting = std::mem::take(&mut memory.waiting);
        drop(memory);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("lane")
    }

    fn block_of(&self, bytes: &[u8]) -> Option<(usize, Block)> {
        let (start, len) = (bytes.as_ptr() as usize, bytes.len());
        let memory = self.lock();
        let (at, block) = memory.blocks.range(..=start).next_back()?;
        (start + len <= block.end).then_some((*at, *block))
    }

    fn give_back(&self, start: usize) {
        let mut memory = self.lock();
        let block = memory.blocks.remove(&start).expect("given back once");
        memory.counts.lent -= block.end - start;
        let waiting = std::mem::take(&mut memory.waiting);
        drop(memory);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn close(&self) {
        let mut memory = self.lock();
        memory.closed = true;
        let waiting = std::mem::take(&mut memory.waiting);
        drop(memory);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lend(&self, room: Room) -> Option<Loan> {
        let mut memory = self.lock();
        if memory.counts.lent + room.total() > memory.budget {
            return None;
        }
        let bytes = vec![0xA5; room.total()];
        let start = bytes.as_ptr() as usize;
        let end = start + room.total();
        memory.blocks.insert(start, Block { end, room });
        memory.counts.lent += room.total();
        memory.counts.lent_high = memory.counts.lent_high.max(memory.counts.lent);
        let lane = self.clone();
        Some(Loan(Box::new(Lent { bytes, room, lane })))
    }
}

impl Lender for Lane {
    fn try_loan(&self, room: Room) -> Option<Loan> {
        self.lock().counts.asked += 1;
        self.lend(room)
    }

    fn poll_loan(&self, cx: &mut Context<'_>, room: Room) -> Poll<Result<Loan, LinkError>> {
        if self.lock().closed {
            return Poll::Ready(Err(LinkError::Closed));
        }
        if let Some(loan) = self.lend(room) {
            return Poll::Ready(Ok(loan));
        }
        let mut memory = self.lock();
        if memory.refused {
            return Poll::Ready(Err(LinkError::NoMemory("refused for 5s".into())));
        }
        memory.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn loan_bytes_max(&self) -> usize {
        self.lock().budget
    }

    fn owns(&self, bytes: &[u8]) -> bool {
        self.lock().counts.asked += 1;
        self.block_of(bytes).is_some()
    }
}

struct Lent {
    bytes: Vec<u8>,
    room: Room,
    lane: Lane,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.room.head..self.room.head + self.room.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.lane.give_back(self.bytes.as_ptr() as usize);
    }
}

impl LoanBuf for Lent {
    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.room.head..self.room.head + self.room.len]
    }

    fn as_slice(&self) -> &[u8] {
        (*self).as_ref()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn freeze(self: Box<Self>) -> Bytes {
        Bytes::from_owner(*self)
    }
}

/// One end of the link.
pub struct Lending {
    inner: MemTransport,
    lane: Lane,
}

/// Both ends, and the lanes that count for them.
pub fn pair(budget: usize) -> (Lending, Lane, Lending, Lane) {
    let (a, b) = rapace_mem::pair();
    let ends = [a, b].map(|inner| {
        let lane = Lane {
            memory: Arc::default(),
        };
        lane.set_budget(budget);
        Lending { inner, lane }
    });
    let [a, b] = ends;
    let (lane_a, lane_b) = (a.lane.clone(), b.lane.clone());
    (a, lane_a, b, lane_b)
}

impl Transport for Lending {
    fn info(&self) -> LinkInfo {
        LinkInfo {
            kind: "lending",
            gather_bytes_min: GATHER_BYTES_MIN,
            ..self.inner.info()
        }
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        Some(Arc::new(self.lane.clone()))
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let (inner, source) = Box::new(self.inner).split();
        let lane = self.lane;
        (Box::new(Sink { inner, lane }), source)
    }
}

struct Sink {
    inner: Box<dyn FrameSink>,
    lane: Lane,
}

impl Sink {
    /// Books one payload, and brings it into the form in which the in-process link moves it.
    fn book(&self, payload: Payload) -> Payload {
        let payload = match payload {
            Payload::Inline(_) => return payload,
            Payload::Loan(loan) => {
                let bytes = loan.freeze();
                self.lane.lock().counts.encoded += bytes.len() as u64;
                return Payload::Bytes(bytes);
            }
            Payload::Bytes(bytes) if self.lane.block_of(&bytes).is_some() => {
                self.lane.lock().counts.in_place += bytes.len() as u64;
                return Payload::Bytes(bytes);
            }
            other => other,
        };
        let runs: Vec<&[u8]> = payload.chunks().collect();
        let lent = runs
            .iter()
            .position(|run| run.len() >= 64 && self.lane.block_of(run).is_some());
        let in_place = lent.map_or(0, |at| {
            let (start, block) = self.lane.block_of(runs[at]).expect("found above");
            let before = runs[..at].iter().map(|run| run.len()).sum::<usize>();
            let behind = runs[at + 1..].iter().map(|run| run.len()).sum::<usize>();
            let front = runs[at].as_ptr() as usize - start;
            let back = block.end - (runs[at].as_ptr() as usize + runs[at].len());
            // Beside a part of a loan stands the rest of it, not room.
            let head = if front == block.room.head { front } else { 0 };
            let tail = if back == block.room.tail { back } else { 0 };
            if before <= head && behind <= tail {
                runs[at].len()
            } else {
                0
            }
        });
        let mut memory = self.lane.lock();
        memory.counts.in_place += in_place as u64;
        memory.counts.copied += (payload.len() - in_place) as u64;
        drop(memory);
        // The real memory would hold it in one run already.
        Payload::from(Bytes::from(runs.concat()))
    }
}

impl FrameSink for Sink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, frame: Frame) {
        self.lane.lock().counts.accepted += 1;
        let payload = self.book(frame.payload);
        self.inner.send(Frame::new(frame.desc, payload));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut memory = self.lane.lock();
        memory.counts.flushed = memory.counts.accepted;
        drop(memory);
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.lane.close();
        self.inner.poll_close(cx)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.lane.close();
    }
}
