//! Simulated control channels: further memory in order, and the end of the peer.
//!
//! A message is there for who looks for it as soon as it was sent. That it is there is heard a
//! little later, as with a socket that a runtime watches.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rapace_shm::{Control, Incoming, Outgoing};

use super::bell::Pace;
use super::memory::{Mapping, Words, Writer};
use crate::engine::agenda::Event;

/// One direction.
pub(crate) struct Line {
    pace: Arc<Pace>,
    /// Tells its draws from those of others.
    label: u64,
    /// It holds so many messages before its writer waits.
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    /// Its writer is gone: after the last message comes the end.
    over: bool,
    /// Its reader is gone.
    broken: bool,
    /// The reader's runtime knows that there is something.
    heard: bool,
    sent: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum Message {
    Segment(u32, Mapping),
    Drop(u32),
}

impl Line {
    pub(crate) fn new(pace: Arc<Pace>, label: u64, room: usize) -> Arc<Self> {
        Arc::new(Line {
            pace,
            label,
            room,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reader hear of something.
    fn announce(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.sent += 1;
        let at = self.pace.arrival(self.label, state.sent);
        drop(state);
        self.pace.enter(at, Event::Message(self.clone()));
    }

    /// The reader hears of something.
    pub(crate) fn heard(&self) {
        let mut state = self.state();
        state.heard = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The writer is gone. False when it was already.
    pub(crate) fn hang_up(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        if std::mem::replace(&mut state.over, true) {
            return false;
        }
        self.announce(state);
        true
    }

    /// The reader is gone.
    pub(crate) fn break_off(&self) {
        let mut state = self.state();
        state.broken = true;
        let gone = std::mem::take(&mut state.messages);
        let writer = state.writer.take();
        drop(state);
        drop(gone);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// One end.
pub(crate) struct ControlEnd {
    pub(crate) incoming: Arc<Line>,
    pub(crate) outgoing: Arc<Line>,
    pub(crate) writer: Arc<Writer>,
    /// The system has no memory.
    pub(crate) exhausted: Arc<AtomicBool>,
    /// The next look does not wait to hear of a message.
    pub(crate) expected: AtomicBool,
}

impl Control for ControlEnd {
    type Memory = Mapping;

    fn create(&self, bytes: usize) -> io::Result<Mapping> {
        if self.exhausted.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Mapping {
            words: Words::zeros(bytes),
            owner: self.writer.clone(),
            writable: true,
        })
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &Outgoing<'_, Mapping>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.outgoing.state();
        if state.broken || state.over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.messages.len() >= self.outgoing.room {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.writer.calls_system() {
            state.messages.push_back(match message {
                Outgoing::Segment { serial, memory } => {
                    Message::Segment(*serial, memory.read_only())
                }
                Outgoing::Drop { serial } => Message::Drop(*serial),
            });
            self.outgoing.announce(state);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Mapping>>> {
        if self.writer.life.is_dead() {
            return Poll::Pending;
        }
        let mut state = self.incoming.state();
        if !state.heard && !self.expected.load(Ordering::Relaxed) {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let message = match state.messages.pop_front() {
            Some(Message::Segment(serial, memory)) => Incoming::Segment { serial, memory },
            Some(Message::Drop(serial)) => Incoming::Drop { serial },
            None if state.over => Incoming::HungUp,
            None => {
                state.heard = false;
                self.expected.store(false, Ordering::Relaxed);
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(message))
    }

    fn expect_message(&self) {
        self.expected.store(true, Ordering::Relaxed);
    }
}

impl Drop for ControlEnd {
    fn drop(&mut self) {
        // What the end of a dead process looks like is decided where it is killed.
        if !self.writer.life.is_dead() {
            self.outgoing.hang_up();
            self.incoming.break_off();
        }
    }
}
