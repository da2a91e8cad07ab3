//! A victim that dies after an event, its memory that remembers what it stored since its last
//! release, and the rest of the system that it runs on.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rapace_shm::layout::HEAD;
use rapace_shm::{Alarm, Control, Doorbell, Incoming, Memory, Outgoing, Platform};

/// What is wrong with the victim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    /// The head is stored without release order.
    RelaxedPublish,
    /// Payloads are written after the head was stored.
    PublishBeforePayload,
    /// A slot is returned when its payload is received, not when it is dropped.
    EarlyReturn,
}

/// What the victim does, and when it dies.
pub(crate) struct Victim {
    pub(crate) flaw: Flaw,
    /// Events that are still to happen.
    pub(crate) left: u64,
    pub(crate) events: u64,
    /// Stores after the last release, with what was there before: (lane, word, old value).
    pub(crate) unreleased: Vec<(Arc<Vec<AtomicU64>>, Unit)>,
    /// Payloads that a flaw holds back.
    pub(crate) late: Vec<(Arc<Vec<AtomicU64>>, usize, Vec<u8>)>,
    pub(crate) published: u64,
    pub(crate) closed: bool,
    pub(crate) dead: bool,
}

/// Words that are stored together, with their old values.
pub(crate) type Unit = Vec<(usize, u64)>;

pub(crate) type Process = Arc<Mutex<Victim>>;

impl Victim {
    /// One more event; says whether it still happens.
    pub(crate) fn event(&mut self) -> bool {
        if self.dead {
            return false;
        }
        self.events += 1;
        if self.left == 0 {
            self.dead = true;
            return false;
        }
        self.left -= 1;
        true
    }
}

/// A lane in the hands of one process.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) words: Arc<Vec<AtomicU64>>,
    /// The victim, if it is the victim's.
    pub(crate) owner: Option<Process>,
}

impl Lane {
    pub(crate) fn new(bytes: usize, owner: Option<Process>) -> Self {
        let words = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Lane {
            words: Arc::new(words),
            owner,
        }
    }

    pub(crate) fn bytes_at(words: &[AtomicU64], at: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let (word, shift) = ((at + index) / 8, (at + index) % 8 * 8);
            let old = words[word].load(Ordering::SeqCst);
            let new = old & !(0xFF << shift) | u64::from(*byte) << shift;
            words[word].store(new, Ordering::SeqCst);
        }
    }

    pub(crate) fn old(&self, from: usize, to: usize) -> Unit {
        let words = from / 8..to.div_ceil(8);
        words
            .map(|word| (word, self.words[word].load(Ordering::SeqCst)))
            .collect()
    }
}

impl Memory for Lane {
    fn len_bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn load(&self, at: usize, _: Ordering) -> u64 {
        self.words[at / 8].load(Ordering::SeqCst)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        if let Some(owner) = &self.owner {
            let mut victim = owner.lock().unwrap();
            if !victim.event() {
                return;
            }
            let relaxed = victim.flaw == Flaw::RelaxedPublish && at == HEAD;
            if order == Ordering::Release && !relaxed {
                victim.unreleased.clear();
                if at == rapace_shm::layout::CLOSED {
                    victim.closed = true;
                }
            } else {
                let unit = self.old(at, at + 8);
                victim.unreleased.push((self.words.clone(), unit));
            }
            if at == HEAD {
                if !relaxed {
                    victim.published = value;
                }
                self.words[at / 8].store(value, Ordering::SeqCst);
                for (words, at, bytes) in std::mem::take(&mut victim.late) {
                    if victim.event() {
                        Lane::bytes_at(&words, at, &bytes);
                    }
                }
            }
        }
        self.words[at / 8].store(value, Ordering::SeqCst);
    }

    fn fence(&self) {}

    fn read(&self, at: usize, out: &mut [u8]) {
        for (index, byte) in out.iter_mut().enumerate() {
            let word = self.words[(at + index) / 8].load(Ordering::SeqCst);
            *byte = (word >> ((at + index) % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let Some(owner) = &self.owner else {
            return Lane::bytes_at(&self.words, at, bytes);
        };
        // Two events: a payload may be there by half.
        let half = bytes.len().div_ceil(16) * 8;
        for (index, line) in bytes.chunks(half.max(8)).enumerate() {
            let at = at + index * half;
            let mut victim = owner.lock().unwrap();
            if victim.flaw == Flaw::PublishBeforePayload && at >= 4096 {
                victim.late.push((self.words.clone(), at, line.to_vec()));
                continue;
            }
            if !victim.event() {
                return;
            }
            let unit = self.old(at, at + line.len());
            victim.unreleased.push((self.words.clone(), unit));
            Lane::bytes_at(&self.words, at, line);
        }
    }
}

#[derive(Default)]
pub(crate) struct BellState {
    pub(crate) rung: bool,
    pub(crate) waker: Option<Waker>,
}

/// A bell, in the hands of who may be the victim.
#[derive(Clone)]
pub(crate) struct Bell(pub(crate) Arc<Mutex<BellState>>, pub(crate) Option<Process>);

impl Doorbell for Bell {
    fn ring(&self) {
        if self
            .1
            .as_ref()
            .is_some_and(|owner| !owner.lock().unwrap().event())
        {
            return;
        }
        let waker = {
            let mut bell = self.0.lock().unwrap();
            bell.rung = true;
            bell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bell = self.0.lock().unwrap();
        if std::mem::take(&mut bell.rung) {
            return Poll::Ready(Ok(()));
        }
        bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Default)]
pub(crate) struct Line {
    pub(crate) messages: VecDeque<Result<(u32, Lane), u32>>,
    pub(crate) gone: bool,
    pub(crate) waker: Option<Waker>,
}

impl Line {
    pub(crate) fn hang_up(line: &Mutex<Line>) {
        let waker = {
            let mut line = line.lock().unwrap();
            line.gone = true;
            line.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The memory that an end made beside its lane.
pub(crate) type Made = Arc<Mutex<Vec<Weak<Vec<AtomicU64>>>>>;

pub(crate) struct Socket {
    pub(crate) incoming: Arc<Mutex<Line>>,
    pub(crate) outgoing: Arc<Mutex<Line>>,
    pub(crate) owner: Option<Process>,
    pub(crate) made: Made,
}

impl Control for Socket {
    type Memory = Lane;

    fn create(&self, bytes: usize) -> io::Result<Lane> {
        let lane = Lane::new(bytes, self.owner.clone());
        self.made.lock().unwrap().push(Arc::downgrade(&lane.words));
        Ok(lane)
    }

    fn poll_send(&self, _: &mut Context<'_>, message: &Outgoing<'_, Lane>) -> Poll<io::Result<()>> {
        if self
            .owner
            .as_ref()
            .is_some_and(|owner| !owner.lock().unwrap().event())
        {
            return Poll::Ready(Ok(()));
        }
        let waker = {
            let mut line = self.outgoing.lock().unwrap();
            line.messages.push_back(match message {
                Outgoing::Segment { serial, memory } => {
                    let words = memory.words.clone();
                    Ok((*serial, Lane { words, owner: None }))
                }
                Outgoing::Drop { serial } => Err(*serial),
            });
            line.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Lane>>> {
        let mut line = self.incoming.lock().unwrap();
        Poll::Ready(Ok(match line.messages.pop_front() {
            Some(Ok((serial, memory))) => Incoming::Segment { serial, memory },
            Some(Err(serial)) => Incoming::Drop { serial },
            None if line.gone => Incoming::HungUp,
            None => {
                line.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }))
    }
}

#[derive(Debug)]
pub(crate) struct Recorded;

impl Platform for Recorded {
    type Memory = Lane;
    type Doorbell = Bell;
    type Control = Socket;

    fn now_ns() -> u64 {
        0
    }

    fn processor() -> Option<u64> {
        None
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(Never)
    }
}

pub(crate) struct Never;

impl Alarm for Never {
    fn set(&mut self, _: Option<Duration>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
