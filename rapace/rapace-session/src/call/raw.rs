//! A call without its types: finding the session, sending, waiting, repeating.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::envelope::Envelope;
use rapace_core::session::{CallOutcome, CancelReason, OpenCall, OpenError};
use rapace_core::{ChannelId, Metadata, Payload, Time};
use tracing::Span;

use crate::caller::{Caller, Found, Link};
use crate::error::{CallError, NotSent, SessionEnd};
use crate::introspect;
use crate::method::{AnyMethod, MethodInfo, MethodSpec};
use crate::ports::PortAttach;
use crate::runtime::Timer;
use crate::session::Session;
use crate::shared::{CallSlot, Shared};
use crate::trace;

/// How long a peer may take to say how it sees a method whose types differ.
const COMPARE_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) struct RawCall {
    caller: Caller,
    spec: &'static MethodSpec,
    pub(super) timeout: Option<Duration>,
    pub(super) idempotent: bool,
    metadata: Metadata,
    bad_metadata: Option<String>,
    pub(super) stage: Stage,
    /// Set at the first poll from `timeout`.
    deadline: Option<Time>,
    /// Only while the call waits for something that the core does not watch.
    timer: Option<Box<dyn Timer>>,
    /// The encoded arguments, kept while the call may still be repeated.
    kept: Option<Payload>,
    repeats_left: Option<u32>,
    pub(super) span: Span,
}

pub(super) enum Stage {
    Start,
    /// Waiting for a session, or for the session to be ready.
    Finding(Pin<Box<dyn Future<Output = Result<Link, CallError>> + Send>>),
    /// Encoded, to be handed to the core as soon as it takes it.
    Loaded(Loaded),
    /// The types differ: finding out where.
    Comparing(Pin<Box<dyn Future<Output = CallError> + Send>>),
    Waiting(Waiting),
    Finished,
}

pub(super) struct Loaded {
    link: Link,
    payload: Payload,
    ports: PortAttach,
    info: &'static MethodInfo,
    /// Set while the handshake is still under way.
    ready: Option<Ready>,
}

type Ready = Pin<Box<dyn Future<Output = Result<(), SessionEnd>> + Send>>;

pub(super) struct Waiting {
    link: Link,
    call: ChannelId,
    has_ports: bool,
}

pub(super) enum Answer {
    Envelope(Envelope),
    /// The request was lost and may be repeated: the call is back at its start.
    Repeat,
}

impl RawCall {
    #[inline]
    pub(super) fn new(caller: Caller, method: &'static dyn AnyMethod) -> Self {
        let spec = method.spec();
        RawCall {
            caller,
            spec,
            timeout: None,
            idempotent: spec.idempotent,
            metadata: Metadata::default(),
            bad_metadata: None,
            stage: Stage::Start,
            deadline: None,
            timer: None,
            kept: None,
            repeats_left: None,
            span: Span::none(),
        }
    }

    pub(super) fn add_metadata(&mut self, key: String, value: Bytes) {
        if let Err(error) = self.metadata.insert(key, value) {
            self.bad_metadata.get_or_insert(error.to_string());
        }
    }

    pub(super) fn take_kept(&mut self) -> Option<Payload> {
        self.kept.take()
    }

    /// The call's place on its session, while it has one.
    pub(super) fn in_flight(&self) -> Option<(&Arc<Shared>, ChannelId)> {
        match &self.stage {
            Stage::Waiting(waiting) => Some((waiting.link.shared(), waiting.call)),
            _ => None,
        }
    }

    /// The session to use.
    pub(super) fn poll_link(&mut self, cx: &mut Context<'_>) -> Poll<Result<Link, CallError>> {
        if let Some(problem) = self.bad_metadata.take() {
            self.stage = Stage::Finished;
            return Poll::Ready(Err(CallError::NotSent(NotSent::BadMetadata(problem))));
        }
        if let Some(timeout) = self.timeout
            && self.deadline.is_none()
        {
            self.deadline = Some(self.caller.runtime().now() + timeout);
        }
        if let Stage::Start = self.stage {
            match self.caller.find() {
                Found::Now(link) => return Poll::Ready(Ok(link)),
                Found::Later(session) => {
                    self.stage = Stage::Finding(Box::pin(async move {
                        let session: Session = session.await?;
                        Ok(Link::to(session.shared()))
                    }));
                }
            }
        }
        if self.poll_deadline(cx).is_ready() {
            self.stage = Stage::Finished;
            return Poll::Ready(Err(CallError::DeadlineExceeded));
        }
        let Stage::Finding(finding) = &mut self.stage else {
            return Poll::Pending;
        };
        let found = ready!(finding.as_mut().poll(cx));
        self.timer = None;
        if found.is_err() {
            self.stage = Stage::Finished;
        }
        Poll::Ready(found)
    }

    /// Ready when the deadline has passed while the call waits outside of the core.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| {
            let mut timer = self.caller.runtime().timer();
            timer.reset(Some(deadline));
            timer
        });
        timer.poll(cx)
    }

    /// Hands encoded arguments to the core for the first time.
    #[inline]
    pub(super) fn poll_first_send(
        &mut self,
        cx: &mut Context<'_>,
        link: Link,
        mut payload: Payload,
        ports: PortAttach,
        info: &'static MethodInfo,
    ) -> Poll<Result<(), CallError>> {
        self.span = trace::call_span(self.spec, &*link.shared().runtime, &mut self.metadata);
        let repeatable = ports.is_empty() && !self.spec.oneway;
        let repeats_left = *self
            .repeats_left
            .get_or_insert_with(|| self.caller.retries_max());
        if repeatable && repeats_left > 0 {
            (payload, self.kept) = share(payload);
        }
        self.stage = Stage::Finished;
        self.send(cx, link, payload, ports, info)
    }

    /// Hands the request to the core once more, after having waited.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        if let Stage::Loaded(Loaded {
            ready: Some(ready), ..
        }) = &mut self.stage
        {
            let is_ready = ready.as_mut().poll(cx);
            if is_ready.is_pending() {
                if self.poll_deadline(cx).is_pending() {
                    return Poll::Pending;
                }
                self.stage = Stage::Finished;
                return Poll::Ready(Err(CallError::DeadlineExceeded));
            }
            if let Poll::Ready(Err(end)) = is_ready {
                let error = CallError::NotSent(NotSent::Ended(end));
                let repeat = self.may_repeat(&error);
                self.stage = if repeat {
                    Stage::Start
                } else {
                    Stage::Finished
                };
                return Poll::Ready(if repeat { Ok(()) } else { Err(error) });
            }
        }
        let Stage::Loaded(loaded) = std::mem::replace(&mut self.stage, Stage::Finished) else {
            return Poll::Ready(Ok(()));
        };
        let Loaded {
            link,
            payload,
            ports,
            info,
            ..
        } = loaded;
        self.send(cx, link, payload, ports, info)
    }

    /// Sets the stage to what comes next; it is finished before.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        link: Link,
        payload: Payload,
        ports: PortAttach,
        info: &'static MethodInfo,
    ) -> Poll<Result<(), CallError>> {
        let shared = link.shared();
        let mut state = shared.lock();
        // The clock costs more than the rest of what happens here, and without a deadline
        // anywhere nobody asks.
        let timed = self.deadline.is_some() || state.core.poll_timeout().is_some();
        let now = if timed {
            shared.runtime.now()
        } else {
            state.core.now()
        };
        if state.core.is_congested() {
            state.congested.push(cx.waker().clone());
            drop(state);
            return self.wait_loaded(cx, link, payload, ports, info);
        }
        if let Some(peer) = state.core.peer()
            && peer
                .methods
                .get(&info.id)
                .is_some_and(|method| method.sig_hash != info.sig_hash)
        {
            drop(state);
            let left = self.deadline.map(|deadline| deadline.since(now));
            self.stage = Stage::Comparing(compare(link, self.spec, info, left));
            return Poll::Ready(Ok(()));
        }
        // All or nothing: a request whose streams cannot be opened would have its handler wait.
        if !ports.is_empty() && state.core.is_ready() {
            let limit = state.core.channels_max();
            if ports.len() >= state.core.channels_left() {
                drop(state);
                return self.refused(OpenError::TooManyChannels { limit }, shared);
            }
        }
        let call = OpenCall {
            method_id: info.id,
            payload,
            metadata: self.metadata.clone(),
            deadline: self.deadline,
            oneway: self.spec.oneway,
            ports: &info.ports,
        };
        match state.core.open_call(now, call) {
            Ok(channel) => {
                if !self.spec.oneway {
                    let slot = CallSlot {
                        waker: cx.waker().clone(),
                        outcome: None,
                    };
                    state.calls.insert(channel, slot);
                }
                let opened = (!ports.is_empty()).then(|| ports.open(&mut state, now, channel));
                shared.settle(state, now);
                if let Some(opened) = opened {
                    opened.start(link.shared());
                }
                self.timer = None;
                self.stage = Stage::Waiting(Waiting {
                    link,
                    call: channel,
                    has_ports: !info.ports.is_empty(),
                });
                Poll::Ready(Ok(()))
            }
            Err((OpenError::NotReady, call)) => {
                drop(state);
                // Row 21: what is called before the handshake waits for it.
                let session = link.shared().clone();
                let ready: Ready = Box::pin(async move { session.ready().await });
                let payload = call.payload;
                let loaded = Loaded {
                    link,
                    payload,
                    ports,
                    info,
                    ready: Some(ready),
                };
                self.stage = Stage::Loaded(loaded);
                Poll::Ready(Ok(()))
            }
            Err((error, _)) => {
                drop(state);
                let shared = shared.clone();
                self.refused(error, &shared)
            }
        }
    }

    /// Waits, loaded, for room in the send queue.
    fn wait_loaded(
        &mut self,
        cx: &mut Context<'_>,
        link: Link,
        payload: Payload,
        ports: PortAttach,
        info: &'static MethodInfo,
    ) -> Poll<Result<(), CallError>> {
        if self.poll_deadline(cx).is_ready() {
            return Poll::Ready(Err(CallError::DeadlineExceeded));
        }
        self.stage = Stage::Loaded(Loaded {
            link,
            payload,
            ports,
            info,
            ready: None,
        });
        Poll::Pending
    }

    fn refused(&mut self, error: OpenError, shared: &Arc<Shared>) -> Poll<Result<(), CallError>> {
        let error = match error {
            OpenError::NotReady | OpenError::Draining => CallError::NotSent(NotSent::Draining),
            OpenError::Closed(reason) => {
                let end = shared.end().unwrap_or_else(|| {
                    let link_error = shared.lock().link_error.clone();
                    SessionEnd::new(&reason, link_error.as_ref())
                });
                CallError::NotSent(NotSent::Ended(end))
            }
            OpenError::TooManyCalls { limit } => {
                CallError::NotSent(NotSent::TooManyCalls { limit })
            }
            OpenError::TooManyChannels { limit } => {
                CallError::NotSent(NotSent::TooManyChannels { limit })
            }
            OpenError::TooLarge { bytes, limit } => CallError::TooLarge {
                bytes: bytes as u64,
                limit: u64::from(limit),
            },
            OpenError::DeadlineExpired => CallError::DeadlineExceeded,
            OpenError::BadMetadata(what) => CallError::NotSent(NotSent::BadMetadata(what)),
            OpenError::BadPort => CallError::Encode("a port is declared twice".into()),
        };
        if self.may_repeat(&error) {
            self.repeat_after(shared.clone());
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(error))
    }

    /// Goes back to the start, with the encoded arguments kept, as soon as the session that lost
    /// the call is over: until then the caller would only find the same one again.
    fn repeat_after(&mut self, lost: Arc<Shared>) {
        let caller = self.caller.clone();
        self.stage = Stage::Finding(Box::pin(async move {
            lost.closed().await;
            match caller.find() {
                Found::Now(link) => Ok(link),
                Found::Later(session) => Ok(Link::to(session.await?.shared())),
            }
        }));
    }

    /// Waits for the outcome.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, CallError>> {
        if let Stage::Comparing(comparing) = &mut self.stage {
            let error = ready!(comparing.as_mut().poll(cx));
            self.stage = Stage::Finished;
            return Poll::Ready(Err(error));
        }
        let Stage::Waiting(Waiting {
            link,
            call,
            has_ports,
        }) = &self.stage
        else {
            return Poll::Ready(Ok(Answer::Repeat));
        };
        let mut state = link.shared().lock();
        let Some(slot) = state.calls.get_mut(call) else {
            drop(state);
            let end = link.shared().end().unwrap_or(SessionEnd::RuntimeStopped);
            self.stage = Stage::Finished;
            return Poll::Ready(Err(CallError::lost(end)));
        };
        let Some(outcome) = slot.outcome.take() else {
            if !slot.waker.will_wake(cx.waker()) {
                slot.waker.clone_from(cx.waker());
            }
            return Poll::Pending;
        };
        // With ports it stays until they have been accepted, so that one that the peer opens at
        // this very moment is not taken for one of a call that is over.
        if !has_ports {
            state.calls.remove(call);
        }
        let link_error = match outcome {
            CallOutcome::Lost(_) | CallOutcome::NeverSent(_) => state.link_error.clone(),
            _ => None,
        };
        drop(state);
        let error = match outcome {
            CallOutcome::Response(envelope) => return Poll::Ready(Ok(Answer::Envelope(envelope))),
            CallOutcome::Cancelled(reason) => CallError::Cancelled(reason),
            CallOutcome::DeadlineExceeded => CallError::DeadlineExceeded,
            CallOutcome::Refused(why) => CallError::NotSent(NotSent::Refused(why)),
            CallOutcome::BadResponse(what) => CallError::Decode(what.into()),
            CallOutcome::NeverSent(reason) => {
                let end = SessionEnd::new(&reason, link_error.as_ref());
                CallError::NotSent(NotSent::Ended(end))
            }
            CallOutcome::Lost(reason) => {
                CallError::lost(SessionEnd::new(&reason, link_error.as_ref()))
            }
        };
        let shared = link.shared().clone();
        self.finish();
        if self.may_repeat(&error) {
            self.repeat_after(shared);
            return Poll::Ready(Ok(Answer::Repeat));
        }
        Poll::Ready(Err(error))
    }

    /// Whether to try again with the next session. Counts down.
    fn may_repeat(&mut self, error: &CallError) -> bool {
        let safe = error.is_safe_to_retry() || self.idempotent;
        let left = self.repeats_left.unwrap_or(0);
        if !(error.is_lost() && safe && left > 0 && self.kept.is_some()) {
            return false;
        }
        self.repeats_left = Some(left - 1);
        true
    }

    /// Ends a call that has its outcome: streams that the response did not mention are given up.
    pub(super) fn finish(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Finished);
        if let Stage::Waiting(Waiting {
            link,
            call,
            has_ports: true,
        }) = stage
        {
            let mut state = link.shared().lock();
            state.calls.remove(&call);
            if !state.arrivals.is_empty() {
                let now = link.shared().runtime.now();
                state.forget_arrivals(now, call);
                link.shared().settle(state, now);
            }
        }
    }
}

impl Drop for RawCall {
    fn drop(&mut self) {
        if let Stage::Waiting(Waiting { link, call, .. }) = &self.stage
            && !self.spec.oneway
        {
            link.shared().cancel(*call, CancelReason::ClientCancel);
        }
    }
}

/// Two handles on the same bytes.
///
/// What a link lent is frozen for that: it still travels as it is, and the next link, to which it is
/// foreign, copies it.
fn share(payload: Payload) -> (Payload, Option<Payload>) {
    let payload = match payload {
        Payload::Loan(loan) => Payload::Bytes(loan.freeze()),
        other => other,
    };
    let kept = match &payload {
        Payload::Inline(inline) => Some(Payload::Inline(*inline)),
        Payload::Bytes(bytes) => Some(Payload::Bytes(bytes.clone())),
        Payload::Chain(chunks) => Some(Payload::Chain(chunks.clone())),
        Payload::Loan(_) => None,
    };
    (payload, kept)
}

/// Asks the peer for its view of the method and finds the first difference (\[hello.compat\]).
fn compare(
    link: Link,
    spec: &'static MethodSpec,
    info: &'static MethodInfo,
    time_left: Option<Duration>,
) -> Pin<Box<dyn Future<Output = CallError> + Send>> {
    Box::pin(async move {
        let caller = Caller::to_shared(link.shared());
        let asks = !introspect::is_question(spec)
            && link
                .shared()
                .lock()
                .core
                .peer()
                .is_some_and(rapace_core::session::Peer::has_schema_text);
        let theirs = if asks {
            let question = introspect::ask(&caller, info.id.0);
            let question = question.deadline(time_left.unwrap_or(COMPARE_TIME_MAX));
            question.await.ok().flatten()
        } else {
            None
        };
        let difference = theirs.and_then(|theirs| introspect::difference(&info.schema, &theirs));
        CallError::SchemaMismatch {
            method: spec.full_name(),
            difference: difference
                .unwrap_or_else(|| "the signature hashes differ; rebuild both sides".to_owned()),
        }
    })
}
