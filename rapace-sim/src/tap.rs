//! A transport around a real one that writes down what goes through.

use std::sync::Arc;
use std::task::{Context, Poll};

use rapace_core::frame::{DESCRIPTOR_LEN, Frame};
use rapace_transport::{
    Death, ExitReason, FrameSink, FrameSource, Lender, LinkError, LinkInfo, Transport,
};

use crate::engine::Engine;
use crate::engine::process::LifeCell;
use crate::link::{Carrier, Gate};
use crate::report::Oracle;
use crate::time::Nanos;
use crate::trace::LinkChange;
use crate::trace::record::{Entry, Recorder, Route};

/// One end of a link, watched.
pub(crate) struct Tapped {
    pub(crate) inner: Box<dyn Transport>,
    pub(crate) tap: Tap,
    pub(crate) gate: Arc<Gate>,
    /// What carries the bytes that this end reads, if anything does.
    pub(crate) incoming: Option<Carrier>,
    /// The process at the other end, if this one started it.
    pub(crate) child: Option<Arc<LifeCell>>,
}

/// How long a session may take to end after it was told that its link has, in nanoseconds.
const ENDING_NS_MAX: u64 = 1_000_000;

/// The number of SIGKILL.
const SIGKILL: i32 = 9;

/// What a host hears of the end of a link: when it was the plugin that was killed, its exit says so,
/// as `rapace-plugin` finds out in production.
fn explained(seen: LinkError, child: Option<&Arc<LifeCell>>) -> LinkError {
    if !child.is_some_and(|child| child.was_killed()) {
        return seen;
    }
    let exit = Some(ExitReason::Signal(SIGKILL));
    match seen {
        LinkError::Closed => LinkError::PeerDied(Death {
            exit,
            ..Death::seen("connection closed")
        }),
        LinkError::PeerDied(death) => LinkError::PeerDied(Death { exit, ..death }),
        other => other,
    }
}

/// Who watches, and what is watched.
#[derive(Clone)]
pub(crate) struct Tap {
    pub(crate) engine: Arc<Engine>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) life: Arc<LifeCell>,
    /// What this end sends.
    pub(crate) sends: Route,
    /// What it receives.
    pub(crate) receives: Route,
    /// Its process's name.
    pub(crate) name: Arc<str>,
}

impl Transport for Tapped {
    fn info(&self) -> LinkInfo {
        self.inner.info()
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        self.inner.lender()
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let (sink, source) = self.inner.split();
        let sink = TappedSink {
            inner: sink,
            tap: self.tap.clone(),
            child: self.child.clone(),
        };
        let source = TappedSource {
            inner: source,
            tap: self.tap,
            gate: self.gate,
            incoming: self.incoming,
            child: self.child,
            taken_bytes: 0,
            ended_at: None,
        };
        (Box::new(sink), Box::new(source))
    }
}

struct TappedSink {
    inner: Box<dyn FrameSink>,
    tap: Tap,
    child: Option<Arc<LifeCell>>,
}

impl TappedSink {
    fn explained(&self, polled: Poll<Result<(), LinkError>>) -> Poll<Result<(), LinkError>> {
        polled.map_err(|error| explained(error, self.child.as_ref()))
    }
}

impl FrameSink for TappedSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let polled = self.inner.poll_ready(cx);
        self.explained(polled)
    }

    fn send(&mut self, frame: Frame) {
        let tap = &self.tap;
        if tap.life.is_dead() {
            return;
        }
        let verdict = tap.recorder.sent(tap.engine.now(), tap.sends, &frame);
        if verdict.swallowed {
            // Only a death comes before a frame; the rest of it follows when this poll ends.
            tap.life.become_ghost();
            return;
        }
        self.inner.send(frame);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.tap.life.is_dead() {
            return Poll::Ready(Ok(()));
        }
        let polled = self.inner.poll_flush(cx);
        self.explained(polled)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.tap.life.is_dead() {
            return Poll::Ready(Ok(()));
        }
        let polled = self.inner.poll_close(cx);
        self.explained(polled)
    }
}

struct TappedSource {
    inner: Box<dyn FrameSource>,
    tap: Tap,
    gate: Arc<Gate>,
    incoming: Option<Carrier>,
    child: Option<Arc<LifeCell>>,
    /// What the frames received so far took on a stream.
    taken_bytes: u64,
    /// When it was told that the link has ended.
    ended_at: Option<u64>,
}

impl TappedSource {
    fn is_corrupted(&self) -> bool {
        self.incoming.as_ref().is_some_and(Carrier::is_corrupted)
    }

    /// A link that ends within a frame was not closed in good order, and must not be called so.
    fn check_end(&self, error: &LinkError) {
        let read = self.incoming.as_ref().and_then(Carrier::read_to_end);
        let (LinkError::Closed, Some(read)) = (error, read) else {
            return;
        };
        if read != self.taken_bytes && !self.is_corrupted() {
            let torn = read - self.taken_bytes;
            let name = &self.tap.name;
            self.tap.recorder.problem(
                Oracle::Delivery,
                format!("{torn} bytes of a frame end what {name} receives, and it counts as closed in good order"),
            );
        }
    }
}

/// What a frame takes on a stream (PROTOCOL.md \[stream.frame\]), in bytes.
fn stream_bytes(frame: &Frame) -> u64 {
    let length = (DESCRIPTOR_LEN + frame.payload.len()) as u64;
    let prefix = (64 - length.leading_zeros()).div_ceil(7);
    u64::from(prefix) + length
}

impl FrameSource for TappedSource {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        if self.tap.life.is_dead() || !self.gate.pass(cx.waker()) {
            return Poll::Pending;
        }
        let polled = self.inner.poll_recv(cx);
        let polled = polled.map_err(|error| explained(error, self.child.as_ref()));
        if let Poll::Ready(Ok(frame)) = &polled {
            self.taken_bytes += stream_bytes(frame);
        }
        let tap = &self.tap;
        match &polled {
            Poll::Ready(Ok(frame)) => {
                let corrupted = self.is_corrupted();
                tap.recorder
                    .received(tap.engine.now(), tap.receives, frame, corrupted);
            }
            Poll::Ready(Err(error)) if self.ended_at.is_none() => {
                self.ended_at = Some(tap.engine.now());
                self.check_end(error);
                let change = LinkChange::Ended {
                    at: tap.name.to_string(),
                    reason: error.to_string(),
                };
                let (link, life) = (tap.receives.link, tap.receives.life);
                tap.recorder
                    .note(tap.engine.now(), Entry::Link { link, life, change });
            }
            _ => {}
        }
        polled
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.inner.raise_payload_limit(bytes);
    }
}

impl Drop for TappedSource {
    /// The session is over. Since nothing more could come, it had no reason to wait.
    fn drop(&mut self) {
        let Some(ended_at) = self.ended_at.filter(|_| !self.tap.life.is_dead()) else {
            return;
        };
        let late = self.tap.engine.now().saturating_sub(ended_at);
        if late > ENDING_NS_MAX {
            let (name, late) = (&self.tap.name, Nanos(late));
            self.tap.recorder.problem(
                Oracle::Progress,
                format!("the session of {name} goes on for {late} after its link has ended"),
            );
        }
    }
}
