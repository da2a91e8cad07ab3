//! Taking items out of a port, and giving the credit back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rapace_core::Payload;

use super::link::{PortLink, Taken};
use crate::caller::Link;
use crate::error::StreamError;

/// Credit goes back after this many bytes, or when everything that had arrived was taken; the
/// core gathers it further. Small, so that a slow reader of a large batch does not starve its
/// sender; large enough to keep the session's lock out of the way.
const CREDIT_BYTES: u32 = 16 * 1024;

/// The reading half of a port.
pub(super) struct Receiver {
    session: Link,
    link: Arc<PortLink>,
    /// Taken from the link in one go, so that its lock is taken once for many items.
    taken: VecDeque<Payload>,
    /// Bytes handed to the user and not yet given back as credit.
    unreturned: u32,
    over: bool,
}

impl Receiver {
    pub(super) fn new(session: Link, link: Arc<PortLink>) -> Self {
        Receiver {
            session,
            link,
            taken: VecDeque::new(),
            unreturned: 0,
            over: false,
        }
    }

    pub(super) fn session(&self) -> &Link {
        &self.session
    }

    pub(super) fn link(&self) -> &Arc<PortLink> {
        &self.link
    }

    /// The next item's bytes; `None` at the end. After an error it has ended.
    #[inline]
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, StreamError>>> {
        loop {
            if let Some(payload) = self.taken.pop_front() {
                self.unreturned = self.unreturned.saturating_add(payload.len() as u32);
                if self.unreturned >= CREDIT_BYTES {
                    self.return_credit();
                }
                return Poll::Ready(Some(Ok(payload)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            // What was taken so far is used up: its credit must be on its way before this waits.
            self.return_credit();
            match ready!(self.link.poll_take(cx, &mut self.taken)) {
                Ok(Taken::Some) => {}
                Ok(Taken::End) => self.over = true,
                Err(error) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn return_credit(&mut self) {
        if self.unreturned == 0 {
            return;
        }
        let Some(channel) = self.link.channel() else {
            return;
        };
        let bytes = std::mem::take(&mut self.unreturned);
        let shared = &self.session.shared();
        let mut state = shared.lock();
        state.core.consumed(channel, bytes);
        // Even when nothing is to be sent yet, a timer may have been set that the driver must know.
        shared.settle(state, shared.runtime.now());
    }

    /// Ends the stream after an item that does not decode (\[stream\]).
    pub(super) fn reject(&mut self, why: &str) {
        self.over = true;
        self.taken.clear();
        let Some(channel) = self.link.channel() else {
            return;
        };
        let shared = &self.session.shared();
        let now = shared.runtime.now();
        let mut state = shared.lock();
        state.core.reject_item(now, channel, why);
        state.ports.remove(&channel);
        shared.settle(state, now);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let shared = &self.session.shared();
        let now = shared.runtime.now();
        let mut state = shared.lock();
        self.link.drop_half(&mut state, now);
        shared.settle(state, now);
    }
}
