//! What the driver, the callers and the handlers of one session share.
//!
//! One mutex guards the protocol state and the sending half of the link, so that a caller whose
//! frames fit into the link now puts them there itself, in its own poll. The receiving half
//! belongs to the driver alone.
//!
//! Lock order: the session's state, then a port ([`crate::ports::PortLink`]). Nothing of the
//! user's runs under either lock.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rapace_core::envelope::{self, Code, Status};
pub(crate) use rapace_core::hash::IdMap;
use rapace_core::session::{CallOutcome, CancelReason, GoAwayReason, Response, Session as Core};
use rapace_core::{ChannelId, Metadata, Time};
use rapace_transport::{FrameSink, Lender, LinkError, LinkInfo};

use crate::encode::Outlet;
use crate::error::SessionEnd;
use crate::handlers::HandlerControl;
use crate::lifecycle::{Lifecycle, Stage};
use crate::ports::{PortAttach, PortLink};
use crate::router::Router;
use crate::runtime::Runtime;
use crate::session::Handle;

/// On a link that takes frames without a system call, every so many of them leave at once instead of
/// at the end of the turn, so that the peer works on them while this side makes more. Fewer would gain
/// nothing, as measured with 4 and 8.
const EARLY_FRAMES: usize = 16;

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) router: Router,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) info: LinkInfo,
    pub(crate) lender: Option<Arc<dyn Lender>>,
    pub(crate) lifecycle: Lifecycle,
    /// The user's side of the session; gone when the last handle is.
    pub(crate) handle: OnceLock<Weak<Handle>>,
}

/// A call of this side that waits for its outcome.
pub(crate) struct CallSlot {
    pub(crate) waker: Waker,
    pub(crate) outcome: Option<CallOutcome>,
}

pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) calls: IdMap<ChannelId, CallSlot>,
    pub(crate) handlers: IdMap<ChannelId, Arc<HandlerControl>>,
    /// Ports whose channel is open.
    pub(crate) ports: IdMap<ChannelId, Arc<PortLink>>,
    /// Receiving ports of live calls, by call and port number, from whichever comes first (the
    /// peer's open or the decoded value) until the other has come too.
    pub(crate) arrivals: IdMap<(ChannelId, u32), Arc<PortLink>>,
    /// Woken when the send queue has room again.
    pub(crate) congested: Vec<Waker>,
    pub(crate) driver: Option<Waker>,
    /// `None` once the link is closed.
    pub(crate) sink: Option<Box<dyn FrameSink>>,
    pub(crate) link_error: Option<LinkError>,
    /// The sink holds frames that it has not written out.
    unflushed: bool,
    /// The driver is between receiving and its own flush, so nobody else needs to flush.
    pub(crate) in_turn: bool,
    /// Somebody flushed since the driver's last turn. Who comes next leaves it to the driver,
    /// which turns what many callers queue meanwhile into one write.
    flushed: bool,
    /// The link takes frames without a system call: one that lends its memory does.
    sends_early: bool,
    /// So many queued frames are transmitted at once, whatever the turn.
    early_at: usize,
    /// When the driver's timer goes off.
    pub(crate) armed: Option<Time>,
}

impl Shared {
    pub(crate) fn new(
        core: Core,
        sink: Box<dyn FrameSink>,
        info: LinkInfo,
        lender: Option<Arc<dyn Lender>>,
        router: Router,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Shared {
            state: Mutex::new(State {
                core,
                calls: IdMap::default(),
                handlers: IdMap::default(),
                ports: IdMap::default(),
                arrivals: IdMap::default(),
                congested: Vec::new(),
                driver: None,
                sink: Some(sink),
                link_error: None,
                unflushed: false,
                in_turn: false,
                flushed: false,
                sends_early: lender.is_some(),
                early_at: usize::MAX,
                armed: None,
            }),
            router,
            runtime,
            info,
            lender,
            lifecycle: Lifecycle::new(),
            handle: OnceLock::new(),
        }
    }

    /// A panic of this crate while it held the lock would be a bug; the protocol state is still
    /// the best there is to end the session with.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What encoders must know of the link. Needs no lock: lending is apart from sending.
    #[inline]
    pub(crate) fn outlet(&self) -> Outlet<'_> {
        Outlet {
            gather_bytes_min: self.info.gather_bytes_min,
            lender: self.lender.as_deref(),
        }
    }

    /// Why the session is over, if it is.
    pub(crate) fn end(&self) -> Option<SessionEnd> {
        match &*self.lifecycle.stage() {
            Stage::Ended(end) => Some(end.clone()),
            Stage::Connecting | Stage::Ready => None,
        }
    }

    /// Ends a command: what it queued goes out now or with the driver's next flush, and the
    /// driver learns of new events and timers.
    #[expect(
        clippy::unused_self,
        reason = "the guard does not say whose state it is; the call does"
    )]
    pub(crate) fn settle(&self, mut state: MutexGuard<'_, State>, now: Time) {
        let wake = state.settle(now);
        drop(state);
        if let Some(driver) = wake {
            driver.wake();
        }
    }

    /// Sends a response, with its streams opened before it, and forgets its handler.
    pub(crate) fn respond(
        self: &Arc<Self>,
        call: ChannelId,
        response: Response,
        ports: Option<PortAttach>,
    ) {
        let mut state = self.lock();
        // Within a turn the driver has just handed the time in.
        let now = if state.in_turn {
            state.core.now()
        } else {
            self.runtime.now()
        };
        state.handlers.remove(&call);
        let ports = ports.filter(|ports| !ports.is_empty());
        let left = state.core.channels_left();
        // A value that names a stream which cannot be opened would have the caller wait for it.
        let (ports, refused) = match ports {
            Some(ports) if ports.len() > left => (None, Some(ports)),
            ports => (ports, None),
        };
        let response = match &refused {
            Some(refused) => no_channels(refused.len(), left),
            None => response,
        };
        let opened = ports.map(|ports| ports.open(&mut state, now, call));
        state.core.respond(now, call, response);
        state.forget_arrivals(now, call);
        self.settle(state, now);
        // The user's streams, which may belong to this very session: not under its lock.
        drop(refused);
        if let Some(opened) = opened {
            opened.start(self);
        }
    }

    /// Cancels a call or a port.
    pub(crate) fn cancel(&self, channel: ChannelId, reason: CancelReason) {
        let now = self.runtime.now();
        let mut state = self.lock();
        state.core.cancel(now, channel, reason);
        state.calls.remove(&channel);
        state.ports.remove(&channel);
        state.forget_arrivals(now, channel);
        self.settle(state, now);
    }

    /// Announces the end; the session closes when its calls are done.
    pub(crate) fn drain(&self, message: &str) {
        let now = self.runtime.now();
        let mut state = self.lock();
        state.core.go_away(now, GoAwayReason::Shutdown, message);
        self.settle(state, now);
    }

    /// Ends the session at once.
    pub(crate) fn abort(&self, reason: &str) {
        let now = self.runtime.now();
        let mut state = self.lock();
        state.core.close(now, reason);
        self.settle(state, now);
    }
}

/// The answer of a method whose streams are more than the caller's side allows to open.
fn no_channels(needed: u32, left: u32) -> Response {
    let status = Status {
        code: Code::RESOURCE_EXHAUSTED,
        message: format!(
            "the return value needs {needed} channels, and {left} are left of `max_channels`"
        ),
        details: Bytes::new(),
    };
    Response {
        payload: envelope::encode_error(&status, &Metadata::default()),
        error: true,
    }
}

/// How many entries the tables of a session hold: all zero after quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TableSizes {
    /// The protocol's own tables.
    pub core: rapace_core::session::TableSizes,
    /// Calls of this side that wait for their outcome.
    pub calls: usize,
    /// Handlers that can be cancelled.
    pub handlers: usize,
    /// Open streams and tunnels.
    pub ports: usize,
    /// Streams and tunnels that were opened and not yet taken, or the other way round.
    pub arrivals: usize,
}

impl State {
    pub(crate) fn table_sizes(&self) -> TableSizes {
        TableSizes {
            core: self.core.table_sizes(),
            calls: self.calls.len(),
            handlers: self.handlers.len(),
            ports: self.ports.len(),
            arrivals: self.arrivals.len(),
        }
    }

    /// Why the session has ended, if it has: known here before everybody was told.
    pub(crate) fn end(&self) -> Option<SessionEnd> {
        let reason = self.core.close_reason()?;
        Some(SessionEnd::new(reason, self.link_error.as_ref()))
    }

    /// See [`Shared::settle`]; gives the driver's waker back if it has work to do.
    #[must_use]
    pub(crate) fn settle(&mut self, now: Time) -> Option<Waker> {
        let mut wake = false;
        if self.core.queued_frames() >= self.early_at {
            self.transmit(now);
            wake = self.core.link_finished();
        }
        if !self.in_turn {
            if self.flushed {
                wake |= self.core.has_transmit();
            } else if self.core.has_transmit() {
                self.flushed = true;
                self.transmit(now);
                wake = self.core.link_finished();
            }
            wake |= match (self.core.poll_timeout(), self.armed) {
                (Some(next), Some(armed)) => next < armed,
                (next, None) => next.is_some(),
                (None, Some(_)) => false,
            };
        }
        // Transmitting makes events too, such as room in the send queue.
        wake |= self.core.has_events() || self.link_error.is_some();
        if wake { self.driver.clone() } else { None }
    }

    /// Moves queued frames into the link as far as it takes them, and flushes it.
    ///
    /// The link wakes the driver when it has room again: before the driver's first poll there is
    /// nobody to wake, and its first poll comes here.
    pub(crate) fn transmit(&mut self, now: Time) {
        let (Some(driver), Some(sink)) = (&self.driver, &mut self.sink) else {
            return;
        };
        // A link that has failed to write takes nothing any more: what stays queued was never sent.
        if self.link_error.is_some() {
            return;
        }
        let mut cx = Context::from_waker(driver);
        while self.core.has_transmit() {
            match sink.poll_ready(&mut cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.link_error = Some(error);
                    return;
                }
                // Full; what it holds must still get on its way.
                Poll::Pending => break,
            }
            match self.core.poll_transmit(now) {
                Some(frame) => {
                    sink.send(frame);
                    self.unflushed = true;
                }
                None => break,
            }
        }
        if self.unflushed {
            match sink.poll_flush(&mut cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.link_error = Some(error),
                Poll::Pending => {}
            }
        }
        if self.sends_early {
            // What a full link has left is not tried again for every frame that joins it.
            self.early_at = self.core.queued_frames() + EARLY_FRAMES;
        }
    }

    /// Marks the end of a driver's turn: the next caller flushes for itself again.
    pub(crate) fn end_turn(&mut self) {
        self.in_turn = false;
        self.flushed = false;
    }

    /// Gives up streams that a finished call opened and nobody took.
    pub(crate) fn forget_arrivals(&mut self, now: Time, call: ChannelId) {
        if self.arrivals.is_empty() {
            return;
        }
        let mut left = Vec::new();
        self.arrivals.retain(|(of, _), port| {
            // Somebody waits for this one to be opened: it may outlive the response.
            let keep = *of != call || port.outlives_call();
            if !keep {
                left.push(port.clone());
            }
            keep
        });
        for port in left {
            if let Some(channel) = port.abandon() {
                self.ports.remove(&channel);
                self.core.cancel(now, channel, CancelReason::ClientCancel);
            }
        }
    }
}
