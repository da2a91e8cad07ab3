//! The task that drives one session: it receives, lets the core decide, starts handlers, flushes
//! and keeps the timer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rapace_core::frame::{Descriptor, NO_DEADLINE};
use rapace_core::session::{CancelCause, CancelReason, CloseReason, Event, LinkEnd};
use rapace_core::{ChannelId, Frame, Metadata, MethodId, Payload, Time};
use rapace_transport::{FrameSource, LinkError};

use crate::error::{SessionEnd, StreamError};
use crate::handlers::{self, HandlerControl};
use crate::lifecycle::Stage;
use crate::ports::{Delivered, PortLink};
use crate::runtime::Timer;
use crate::service::{Request, Responder};
use crate::shared::{Shared, State};

/// Frames taken from the link before the core sees them; more would only delay the first.
const BATCH_FRAMES: usize = 256;
/// Payload bytes after which a batch is complete.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches in one poll before other tasks of the runtime get their turn.
const BATCHES_PER_POLL: usize = 4;
/// How long a peer may take to read the last frames before the link is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last frames of a peer that takes nothing any more are waited for. The receiving
/// half ends by itself, usually at once, unless the peer lives and only this side cannot write.
const LAST_FRAMES_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Driver {
    shared: Arc<Shared>,
    source: Box<dyn FrameSource>,
    timer: Box<dyn Timer>,
    frames: Vec<Frame>,
    turn: Turn,
    link_error: Option<LinkError>,
    /// When to give up flushing the last frames.
    close_by: Option<Time>,
    /// After a failed write: when to give up waiting for the receiving half to end.
    lost_by: Option<Time>,
    /// The peer has not said Hello.
    handshaking: bool,
    finished: bool,
}

/// What one look at the core's events leaves to do without the lock. Reused, so that a turn
/// allocates nothing.
#[derive(Default)]
struct Turn {
    requests: Vec<Arrived>,
    wakers: Vec<Waker>,
    aborts: Vec<Arc<HandlerControl>>,
    ready: bool,
    end: Option<SessionEnd>,
}

struct Arrived {
    call: ChannelId,
    method: MethodId,
    payload: Payload,
    metadata: Metadata,
    deadline: Option<Time>,
    oneway: bool,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, source: Box<dyn FrameSource>) -> Self {
        let timer = shared.runtime.timer();
        Driver {
            shared,
            source,
            timer,
            frames: Vec::with_capacity(BATCH_FRAMES),
            turn: Turn::default(),
            link_error: None,
            close_by: None,
            lost_by: None,
            handshaking: true,
            finished: false,
        }
    }

    /// Takes frames from the link until it has none or the batch is full. Says whether the link
    /// is exhausted, so that it will wake the driver.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut bytes = 0;
        // What follows the Hello may be longer than what was allowed before it.
        let frames_max = if self.handshaking { 1 } else { BATCH_FRAMES };
        while self.frames.len() < frames_max && bytes < BATCH_BYTES && self.link_error.is_none() {
            match self.source.poll_recv(cx) {
                Poll::Ready(Ok(frame)) => {
                    bytes += frame.payload.len();
                    self.frames.push(frame);
                }
                Poll::Ready(Err(error)) => self.link_error = Some(error),
                Poll::Pending => return true,
            }
        }
        self.link_error.is_some()
    }

    /// Lets the core decide about the received frames and the time.
    ///
    /// Returns the time, which serves for the whole turn: reading the clock is dear. It is not even
    /// read for a batch of plain calls while no timer is set, since nothing asks for it.
    fn decide(&mut self, cx: &Context<'_>, exhausted: bool) -> Time {
        let timed = self.frames.iter().any(asks_for_time);
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let now = if timed || state.core.poll_timeout().is_some() || state.link_error.is_some() {
            self.shared.runtime.now()
        } else {
            state.core.now()
        };
        state.in_turn = true;
        match &state.driver {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.driver = Some(cx.waker().clone()),
        }
        for frame in self.frames.drain(..) {
            state.core.handle_frame(now, frame);
        }
        // By the clock, not by the timer: it may have gone off while it was being set.
        if state.core.poll_timeout().is_some_and(|due| due <= now) {
            state.core.handle_timeout(now);
        }
        // A write fails before the last frames of a dying peer have been read: they come first. That
        // there are none now says little, since those on their way may not be known here yet.
        if let (Some(failed), None) = (&state.link_error, &self.link_error) {
            let lost_by = *self.lost_by.get_or_insert(now + LAST_FRAMES_TIMEOUT);
            if exhausted && lost_by <= now {
                self.link_error = Some(failed.clone());
            }
        }
        if let Some(error) = &self.link_error {
            // The calls that this ends ask there how the peer died.
            state.link_error = Some(error.clone());
            if state.core.close_reason().is_none() {
                state.core.handle_link_closed(now, link_end(error));
            }
        }
        self.turn.absorb(state, now, self.link_error.as_ref());
        now
    }

    /// What the decisions ask for, outside of the lock: the user's code runs here. Returns the time
    /// afterwards.
    fn act(&mut self, cx: &mut Context<'_>, now: Time) -> Time {
        if std::mem::take(&mut self.turn.ready) {
            let limit = self.shared.lock().core.payload_limit();
            self.source.raise_payload_limit(limit);
            self.handshaking = false;
            self.shared.lifecycle.enter(Stage::Ready);
        }
        // Most turns have one of the three.
        if !self.turn.wakers.is_empty() {
            self.turn.wakers.drain(..).for_each(Waker::wake);
        }
        if !self.turn.aborts.is_empty() {
            for control in self.turn.aborts.drain(..) {
                control.abort();
            }
        }
        let mut clock = now;
        if self.turn.requests.is_empty() {
            return clock;
        }
        for arrived in self.turn.requests.drain(..) {
            let Arrived {
                call,
                method,
                payload,
                metadata,
                deadline,
                oneway: _,
            } = arrived;
            let responder = Responder {
                shared: self.shared.clone(),
                call,
            };
            let request = Request {
                payload,
                metadata,
                deadline,
                responder,
            };
            clock = handlers::start(&self.shared, method, request, cx, clock);
        }
        clock
    }

    /// Sends what the turn produced, sets the timer, and says whether there is more to decide.
    fn conclude(&mut self, now: Time) -> bool {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        // A handler may have called back and handed a later time in; the turn's own may be that of
        // an earlier turn. What is left of that call's deadline counts from the later one.
        let now = now.max(state.core.now());
        state.transmit(now);
        let failed_now = state.link_error.is_some() && self.lost_by.is_none();
        if state.core.has_events() || (failed_now && self.link_error.is_none()) {
            return true;
        }
        state.end_turn();
        let lost_by = self.lost_by.filter(|_| self.link_error.is_none());
        let next = earliest(state.core.poll_timeout(), earliest(self.close_by, lost_by));
        if next != state.armed {
            state.armed = next;
            self.timer.reset(next);
        }
        false
    }

    /// After the core has closed: flushes what is left, then lets go of the link.
    fn close(&mut self, cx: &mut Context<'_>, end: SessionEnd) -> Poll<()> {
        let now = self.shared.runtime.now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if self.link_error.is_none() {
            let close_by = *self.close_by.get_or_insert(now + CLOSE_TIMEOUT);
            state.transmit(now);
            let flushed = match &mut state.sink {
                Some(sink) if !state.core.has_transmit() && state.link_error.is_none() => {
                    sink.poll_close(cx)
                }
                Some(_) if state.link_error.is_none() => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            };
            if flushed.is_pending() && now < close_by {
                state.armed = Some(close_by);
                self.timer.reset(Some(close_by));
                let _ = self.timer.poll(cx);
                self.turn.end = Some(end);
                return Poll::Pending;
            }
        }
        let sink = state.sink.take();
        drop(guard);
        drop(sink);
        self.finish(end);
        Poll::Ready(())
    }

    /// Tells everybody that it is over.
    fn finish(&mut self, end: SessionEnd) {
        self.finished = true;
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.in_turn = false;
        state.driver = None;
        // An answer that has arrived may still be decoded, and name streams that have arrived too:
        // those that nobody has accepted yet stay in the table.
        let opened = state.ports.drain().map(|(_, port)| port);
        let ports: Vec<Arc<PortLink>> = opened.chain(state.arrivals.values().cloned()).collect();
        state.arrivals.retain(|_, port| !port.is_accepted());
        // Only handlers that were started after the end: the others have been stopped by it.
        let handlers = state.handlers.drain().map(|(_, control)| control);
        let handlers: Vec<Arc<HandlerControl>> =
            handlers.filter(|control| !control.is_oneway()).collect();
        let congested = std::mem::take(&mut state.congested);
        drop(guard);
        for port in ports {
            port.fail(StreamError::Lost(end.clone()), &mut self.turn.wakers);
        }
        self.shared.lifecycle.enter(Stage::Ended(end));
        for waker in congested.into_iter().chain(self.turn.wakers.drain(..)) {
            waker.wake();
        }
        for control in handlers.into_iter().chain(self.turn.aborts.drain(..)) {
            control.abort();
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        if let Some(end) = driver.turn.end.take() {
            return driver.close(cx, end);
        }
        for _ in 0..BATCHES_PER_POLL {
            let exhausted = driver.receive(cx);
            let now = driver.decide(cx, exhausted);
            let now = driver.act(cx, now);
            let more = driver.conclude(now);
            if let Some(end) = driver.turn.end.take() {
                return driver.close(cx, end);
            }
            if exhausted && !more {
                if driver.timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
                // It went off at once: the next round hands the time in.
                driver.shared.lock().armed = None;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    /// The runtime went away under a live session: whoever waits must hear of it.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let now = self.shared.runtime.now();
        let end = {
            let mut guard = self.shared.lock();
            let state = &mut *guard;
            state.in_turn = true;
            if state.core.close_reason().is_none() {
                let end = LinkEnd::Io("the runtime of the session was shut down".into());
                state.core.handle_link_closed(now, end);
            }
            self.turn.absorb(state, now, None);
            state.sink = None;
            self.turn.end.take().unwrap_or(SessionEnd::RuntimeStopped)
        };
        self.turn.requests.clear();
        self.finish(end);
    }
}

impl Turn {
    /// Takes the core's events: those that concern waiting futures are delivered here, under the
    /// lock; the others are kept for [`Driver::act`].
    fn absorb(&mut self, state: &mut State, now: Time, link: Option<&LinkError>) {
        while let Some(event) = state.core.poll_event() {
            match event {
                Event::Ready => self.ready = true,
                Event::Request {
                    channel,
                    method_id,
                    payload,
                    metadata,
                    deadline,
                    oneway,
                } => {
                    let call = channel;
                    let method = method_id;
                    self.requests.push(Arrived {
                        call,
                        method,
                        payload,
                        metadata,
                        deadline,
                        oneway,
                    });
                }
                Event::RequestCancelled { channel, reason } => {
                    // A peer that closes in good order waits for no answer to what it sent without
                    // wanting one; that runs to its end all the same.
                    let in_order = matches!(
                        reason,
                        CancelCause::Lost(CloseReason::PeerClosed(None) | CloseReason::Drained)
                    );
                    match state.handlers.remove(&channel) {
                        Some(control) if in_order && control.is_oneway() => {}
                        Some(control) => self.aborts.push(control),
                        None => self.requests.retain(|request| {
                            request.call != channel || (in_order && request.oneway)
                        }),
                    }
                    state.forget_arrivals(now, channel);
                }
                Event::CallDone { channel, outcome } => {
                    if let Some(slot) = state.calls.get_mut(&channel) {
                        slot.outcome = Some(outcome);
                        self.wakers
                            .push(std::mem::replace(&mut slot.waker, Waker::noop().clone()));
                    }
                }
                Event::PortOpened {
                    channel,
                    call,
                    port,
                    ..
                } => {
                    PortLink::opened(state, now, call, port, channel, &mut self.wakers);
                }
                Event::Data {
                    channel,
                    payload,
                    eos,
                    has_data,
                } => {
                    let Some(port) = state.ports.get(&channel) else {
                        continue;
                    };
                    let item = has_data.then_some(payload);
                    let (waker, delivered) = port.deliver(item, eos);
                    self.wakers.extend(waker);
                    match delivered {
                        Delivered::More => {}
                        Delivered::Last => {
                            state.ports.remove(&channel);
                        }
                        Delivered::Flooded => {
                            let reason = CancelReason::ResourceExhausted;
                            state.core.cancel(now, channel, reason);
                            if let Some(port) = state.ports.remove(&channel) {
                                port.fail(StreamError::Cancelled(reason), &mut self.wakers);
                            }
                        }
                    }
                }
                Event::PortClosed { channel, cause } => {
                    if let Some(port) = state.ports.remove(&channel) {
                        port.fail(stream_error(cause, link), &mut self.wakers);
                    }
                }
                Event::Writable { channel } => {
                    let port = state.ports.get(&channel);
                    self.wakers.extend(port.and_then(|port| port.writable()));
                }
                Event::Uncongested => self.wakers.append(&mut state.congested),
                Event::GoAway { reason, message } => {
                    tracing::debug!(target: "rapace", ?reason, message, "peer is going away");
                }
                Event::Pong { .. } => {}
                Event::Closed(reason) => {
                    self.end = Some(SessionEnd::new(&reason, link));
                }
            }
        }
    }
}

/// Whether the core needs the time for this frame: for its deadline, or one in its metadata, or to
/// give credit back in time.
fn asks_for_time(frame: &Frame) -> bool {
    let Descriptor {
        channel_id,
        method_id,
        deadline_ns,
        ..
    } = frame.desc;
    deadline_ns != NO_DEADLINE || channel_id == ChannelId::CONTROL || method_id == MethodId::NONE
}

fn stream_error(cause: CancelCause, link: Option<&LinkError>) -> StreamError {
    match cause {
        CancelCause::Peer(reason) => StreamError::Cancelled(reason),
        CancelCause::Deadline => StreamError::DeadlineExceeded,
        CancelCause::CallEnded | CancelCause::Local => StreamError::CallEnded,
        CancelCause::Lost(reason) => StreamError::Lost(SessionEnd::new(&reason, link)),
    }
}

fn link_end(error: &LinkError) -> LinkEnd {
    match error {
        LinkError::Closed => LinkEnd::Closed,
        LinkError::PeerDied(death) => LinkEnd::Died(death.to_string().into()),
        LinkError::Malformed(what) => LinkEnd::Malformed(what.clone()),
        LinkError::Io(what) => LinkEnd::Io(what.clone()),
        _ => LinkEnd::Io(error.to_string().into()),
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
