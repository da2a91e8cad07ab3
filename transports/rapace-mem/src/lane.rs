//! One direction: a bounded queue of frames, its two wakers and how it ends.
//!
//! Invariants: wakers are woken, and frames dropped, only after the lock is released, because
//! both run code of others. A frame is in exactly one of: the sender's outbox, this queue, the
//! receiver's batch.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use rapace_core::frame::Frame;
use rapace_transport::{Death, LinkError};

use crate::MemConfig;

/// Frames on their way out of a sender, with the sum of their payload bytes.
#[derive(Default, Debug)]
pub(crate) struct Batch {
    pub(crate) frames: VecDeque<Frame>,
    pub(crate) bytes: usize,
}

/// What the queue takes before it is full again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

impl Room {
    pub(crate) const NONE: Room = Room {
        frames: 0,
        bytes: 0,
    };
}

#[derive(Debug)]
pub(crate) struct Lane {
    config: MemConfig,
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    queue: Batch,
    /// Set when the sender sends nothing more: what the receiver is told after the last frame.
    sender_ended: Option<LinkError>,
    /// Set when the receiver takes nothing more: what the sender is told.
    receiver_ended: Option<LinkError>,
    /// The receiver that found the queue empty.
    receiver: Option<Waker>,
    /// The sender that found the queue full.
    sender: Option<Waker>,
}

impl State {
    fn room(&self, config: &MemConfig) -> Room {
        Room {
            frames: config
                .queue_frames_max
                .max(1)
                .saturating_sub(self.queue.frames.len()),
            bytes: config
                .queue_bytes_max
                .max(1)
                .saturating_sub(self.queue.bytes),
        }
    }
}

/// Keeps the waker of the task that polled last.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Lane {
    pub(crate) fn new(config: MemConfig) -> Self {
        Lane {
            config,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the whole outbox into the queue; says how much more there is room for.
    ///
    /// The outbox must fit the room of the last call. With `waiting`, the task is woken when a
    /// queue without room has some again.
    pub(crate) fn push(
        &self,
        outbox: &mut Batch,
        waiting: Option<&Context<'_>>,
    ) -> Result<Room, LinkError> {
        let mut state = self.lock();
        if let Some(err) = &state.receiver_ended {
            return Err(err.clone());
        }
        let mut receiver = None;
        if !outbox.frames.is_empty() {
            if state.queue.frames.is_empty() {
                mem::swap(&mut state.queue, outbox);
                receiver = state.receiver.take();
            } else {
                state.queue.frames.append(&mut outbox.frames);
                state.queue.bytes += mem::take(&mut outbox.bytes);
            }
        }
        let room = state.room(&self.config);
        if let Some(cx) = waiting
            && (room.frames == 0 || room.bytes == 0)
        {
            register(&mut state.sender, cx);
        }
        drop(state);
        wake(receiver);
        Ok(room)
    }

    /// Swaps the queue with an empty batch. `Ok(false)`: there is nothing yet and the task will
    /// be woken.
    pub(crate) fn take(&self, batch: &mut Batch, cx: &Context<'_>) -> Result<bool, LinkError> {
        let mut state = self.lock();
        if state.queue.frames.is_empty() {
            if let Some(err) = &state.sender_ended {
                return Err(err.clone());
            }
            register(&mut state.receiver, cx);
            return Ok(false);
        }
        mem::swap(&mut state.queue, batch);
        let sender = state.sender.take();
        drop(state);
        wake(sender);
        Ok(true)
    }

    /// The sender closes or goes away between two frames.
    pub(crate) fn end_sending(&self) {
        self.end_sender(LinkError::Closed, None);
    }

    /// The sender's process is gone; if it still runs, it is told that the link is closed.
    pub(crate) fn kill_sender(&self) {
        self.end_sender(
            LinkError::PeerDied(Death::seen("killed")),
            Some(LinkError::Closed),
        );
    }

    fn end_sender(&self, tell_receiver: LinkError, tell_sender: Option<LinkError>) {
        let mut state = self.lock();
        state.sender_ended.get_or_insert(tell_receiver);
        if state.receiver_ended.is_none() {
            state.receiver_ended = tell_sender;
        }
        let wakers = (state.receiver.take(), state.sender.take());
        drop(state);
        wake(wakers.0);
        wake(wakers.1);
    }

    /// The receiver closes or goes away: what is queued is dropped, and both sides see the link
    /// closed.
    pub(crate) fn end_receiving(&self) {
        self.end_receiver(LinkError::Closed);
    }

    /// The receiver's process is gone.
    pub(crate) fn kill_receiver(&self) {
        self.end_receiver(LinkError::PeerDied(Death::seen("killed")));
    }

    fn end_receiver(&self, tell_sender: LinkError) {
        let mut state = self.lock();
        state.receiver_ended.get_or_insert(tell_sender);
        state.sender_ended.get_or_insert(LinkError::Closed);
        let unread = mem::take(&mut state.queue);
        let wakers = (state.receiver.take(), state.sender.take());
        drop(state);
        drop(unread);
        wake(wakers.0);
        wake(wakers.1);
    }
}
