//! Where the driver and the user's half of a port meet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rapace_core::session::CancelReason;
use rapace_core::{ChannelId, Payload, Time};

use crate::error::{SessionEnd, StreamError};
use crate::shared::State;

/// One port of this side: a stream it receives, a stream it sends, or a tunnel.
///
/// The session's tables hold it while frames can arrive for it; the user's half holds it as long
/// as it likes. What is queued here is bounded by the credit that the peer has.
pub(crate) struct PortLink {
    call: ChannelId,
    port: u32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    channel: Option<ChannelId>,
    /// Somebody has the user's half, or had it.
    accepted: bool,
    /// The user's half was dropped before its end.
    abandoned: bool,
    /// The call has its outcome; only a stream that outlives it can still be opened.
    call_over: bool,
    incoming: VecDeque<Payload>,
    /// Items without bytes among `incoming`: credit does not bound them.
    empty_unread: u32,
    /// The peer sends nothing more.
    ended: bool,
    /// This side sends nothing more.
    finished: bool,
    failed: Option<StreamError>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl PortLink {
    /// A port whose channel this side has opened.
    pub(crate) fn sending(call: ChannelId, port: u32, channel: ChannelId) -> Arc<Self> {
        let inner = Inner {
            channel: Some(channel),
            accepted: true,
            ..Inner::default()
        };
        Arc::new(PortLink {
            call,
            port,
            inner: Mutex::new(inner),
        })
    }

    /// The receiving half of a port that a decoded value names. Its channel is open already, or
    /// will be (\[stream.order\]).
    ///
    /// `receives_only` says that this side has nothing to send on it. When the session `ended`
    /// meanwhile, nobody else would ever tell a port that is not open yet.
    pub(crate) fn accept(
        state: &mut State,
        call: ChannelId,
        port: u32,
        receives_only: bool,
        ended: Option<SessionEnd>,
    ) -> Arc<Self> {
        if let Some(link) = state.arrivals.remove(&(call, port)) {
            let mut inner = link.lock();
            inner.accepted = true;
            inner.finished |= receives_only;
            // All of it may have arrived before anybody could accept it.
            if let (true, true, Some(channel)) = (inner.ended, inner.finished, inner.channel) {
                state.ports.remove(&channel);
            }
            drop(inner);
            return link;
        }
        let is_lost = ended.is_some();
        let inner = Inner {
            accepted: true,
            // A handler may be decoding its arguments while its call is cancelled.
            call_over: !state.core.is_call_live(call),
            finished: receives_only,
            failed: ended.map(StreamError::Lost),
            ..Inner::default()
        };
        let link = Arc::new(PortLink {
            call,
            port,
            inner: Mutex::new(inner),
        });
        if !is_lost {
            state.arrivals.insert((call, port), link.clone());
        }
        link
    }

    /// The peer has opened a channel for the port.
    pub(crate) fn opened(
        state: &mut State,
        now: Time,
        call: ChannelId,
        port: u32,
        channel: ChannelId,
        wakers: &mut Vec<Waker>,
    ) {
        let Some(link) = state.arrivals.remove(&(call, port)) else {
            if !state.core.is_call_live(call) && !state.calls.contains_key(&call) {
                // Its call is over and nobody took the port: the peer need not send.
                state.core.cancel(now, channel, CancelReason::ClientCancel);
                return;
            }
            let inner = Inner {
                channel: Some(channel),
                ..Inner::default()
            };
            let link = Arc::new(PortLink {
                call,
                port,
                inner: Mutex::new(inner),
            });
            state.arrivals.insert((call, port), link.clone());
            state.ports.insert(channel, link);
            return;
        };
        let mut inner = link.lock();
        if inner.abandoned {
            state.core.cancel(now, channel, CancelReason::ClientCancel);
            return;
        }
        inner.channel = Some(channel);
        wakers.extend(inner.reader.take());
        wakers.extend(inner.writer.take());
        drop(inner);
        state.ports.insert(channel, link);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn channel(&self) -> Option<ChannelId> {
        self.lock().channel
    }

    /// Takes what a frame brought. Returns whom to wake, and what becomes of the port.
    pub(crate) fn deliver(&self, item: Option<Payload>, eos: bool) -> (Option<Waker>, Delivered) {
        let mut inner = self.lock();
        if let Some(item) = item {
            if item.is_empty() {
                if inner.empty_unread == EMPTY_UNREAD_MAX {
                    return (None, Delivered::Flooded);
                }
                inner.empty_unread += 1;
            }
            inner.incoming.push_back(item);
        }
        inner.ended |= eos;
        let delivered = if inner.ended && inner.finished {
            Delivered::Last
        } else {
            Delivered::More
        };
        (inner.reader.take(), delivered)
    }

    /// Room to send again.
    pub(crate) fn writable(&self) -> Option<Waker> {
        self.lock().writer.take()
    }

    /// Ends the port; what has arrived in full can still be read.
    pub(crate) fn fail(&self, error: StreamError, wakers: &mut Vec<Waker>) {
        let mut inner = self.lock();
        if inner.failed.is_none() {
            inner.failed = Some(error);
        }
        wakers.extend(inner.reader.take());
        wakers.extend(inner.writer.take());
    }

    /// Takes everything that has arrived into `into`, or says how the port ended.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Payload>,
    ) -> Poll<Result<Taken, StreamError>> {
        let mut inner = self.lock();
        if !inner.incoming.is_empty() {
            inner.empty_unread = 0;
            if into.is_empty() {
                std::mem::swap(&mut inner.incoming, into);
            } else {
                into.append(&mut inner.incoming);
            }
            return Poll::Ready(Ok(Taken::Some));
        }
        if inner.ended {
            return Poll::Ready(Ok(Taken::End));
        }
        if let Some(error) = &inner.failed {
            return Poll::Ready(Err(error.clone()));
        }
        register(&mut inner.reader, cx);
        Poll::Pending
    }

    /// The channel to send on, once it is open; an error when the port has failed. A pending
    /// writer is woken when either changes, and by [`PortLink::writable`].
    pub(crate) fn poll_channel(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ChannelId, StreamError>> {
        let mut inner = self.lock();
        if let Some(error) = &inner.failed {
            return Poll::Ready(Err(error.clone()));
        }
        if let Some(channel) = inner.channel {
            return Poll::Ready(Ok(channel));
        }
        register(&mut inner.writer, cx);
        Poll::Pending
    }

    /// Has the writer woken when there is room to send. Called under the session's lock, before
    /// the core is asked for room.
    pub(crate) fn watch_writable(&self, cx: &Context<'_>) {
        register(&mut self.lock().writer, cx);
    }

    /// This side sends nothing more. Returns whether the port needs no more frames.
    pub(crate) fn finish_sending(&self) -> bool {
        let mut inner = self.lock();
        inner.finished = true;
        inner.ended
    }

    /// Marks a port that only sends.
    pub(crate) fn send_only(&self) {
        self.lock().ended = true;
    }

    /// Whether somebody has the user's half, or had it.
    pub(crate) fn is_accepted(&self) -> bool {
        self.lock().accepted
    }

    pub(crate) fn is_sending_finished(&self) -> bool {
        self.lock().finished
    }

    /// Gives the port up. Returns its channel if it has to be cancelled.
    pub(crate) fn abandon(&self) -> Option<ChannelId> {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.incoming.clear();
        let over = inner.failed.is_some() || (inner.ended && inner.finished);
        if over { None } else { inner.channel }
    }

    /// The user's half was dropped: the peer need not go on (\[cancel\]).
    pub(crate) fn drop_half(&self, state: &mut State, now: Time) {
        if let Some(channel) = self.abandon() {
            state.ports.remove(&channel);
            state.core.cancel(now, channel, CancelReason::ClientCancel);
        }
        // Still waiting for the peer's open: the entry stays, marked, so that the open is
        // answered with a cancellation; it goes with the call at the latest.
        let waiting = {
            let inner = self.lock();
            inner.channel.is_none() && inner.call_over
        };
        if waiting {
            state.arrivals.remove(&(self.call, self.port));
        }
    }

    /// The call has its outcome. Returns whether somebody still waits for this port.
    pub(crate) fn outlives_call(&self) -> bool {
        let mut inner = self.lock();
        inner.call_over = true;
        inner.accepted && !inner.abandoned
    }
}

/// Items without bytes, of a unit type, take no credit. So many may lie unread on one stream; a
/// peer that sends more loses it with ResourceExhausted.
const EMPTY_UNREAD_MAX: u32 = 65_536;

/// What becomes of a port after [`PortLink::deliver`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivered {
    /// More frames may come.
    More,
    /// Neither side sends anything more.
    Last,
    /// Too many empty items lie unread; this one was not taken.
    Flooded,
}

/// What [`PortLink::poll_take`] found.
pub(crate) enum Taken {
    Some,
    End,
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_items_are_bounded_though_they_take_no_credit() {
        let port = PortLink::sending(ChannelId(1), 1, ChannelId(3));
        for _ in 0..EMPTY_UNREAD_MAX {
            assert_eq!(port.deliver(Some(Payload::EMPTY), false).1, Delivered::More);
        }
        assert_eq!(
            port.deliver(Some(Payload::EMPTY), false).1,
            Delivered::Flooded
        );

        let mut taken = VecDeque::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(port.poll_take(&mut cx, &mut taken).is_ready());
        assert_eq!(taken.len(), EMPTY_UNREAD_MAX as usize);
        assert_eq!(port.deliver(Some(Payload::EMPTY), false).1, Delivered::More);
    }
}
