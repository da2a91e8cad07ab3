//! A link that its first user has to wait for: over shared memory both sides take part in setting
//! it up, and a host does not wait for its plugin before it goes on.
//!
//! The receiving half drives the set-up, since a session always waits on it; the sending half is
//! not ready until then. Afterwards both only pass on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use rapace_core::Frame;
use rapace_core::frame::Loan;
use rapace_transport::{FrameSink, FrameSource, Lender, LinkError, LinkInfo, Room, Transport};

type SetUp = Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, LinkError>> + Send>>;

/// A transport that is being set up.
pub(crate) struct PendingTransport {
    info: LinkInfo,
    set_up: SetUp,
    shared: Arc<Shared>,
}

impl PendingTransport {
    /// `set_up` makes a transport of which `info` is true.
    pub(crate) fn new<T: Transport>(
        info: LinkInfo,
        set_up: impl Future<Output = Result<T, LinkError>> + Send + 'static,
    ) -> Self {
        let set_up = Box::pin(async move {
            let transport: Box<dyn Transport> = Box::new(set_up.await?);
            Ok(transport)
        });
        PendingTransport {
            info,
            set_up,
            shared: Arc::default(),
        }
    }
}

/// What the halves and the lender know together.
#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    /// Apart, because a lender is asked often once the link stands.
    lender: OnceLock<Arc<dyn Lender>>,
}

#[derive(Default)]
struct Progress {
    outcome: Option<Result<Box<dyn FrameSink>, LinkError>>,
    /// The sending half was closed, or is gone, before there was a link.
    closed: bool,
    /// How the set-up failed, for those who come later than the sending half.
    error: Option<LinkError>,
    sink: Option<Waker>,
    source: Option<Waker>,
    loans: Vec<Waker>,
}

/// Tasks that wait for a loan before there is a link are woken when there is one; beyond this many
/// the oldest are woken early and ask again.
const WAITING_LOANS_MAX: usize = 64;

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Result<Box<dyn FrameSink>, LinkError>) {
        let mut progress = self.progress();
        progress.error = outcome.as_ref().err().cloned();
        progress.outcome = Some(outcome);
        let sink = progress.sink.take();
        let loans = std::mem::take(&mut progress.loans);
        drop(progress);
        for waker in sink.into_iter().chain(loans) {
            waker.wake();
        }
    }

    fn close(&self) {
        let mut progress = self.progress();
        progress.closed = true;
        let source = progress.source.take();
        drop(progress);
        if let Some(source) = source {
            source.wake();
        }
    }
}

impl Transport for PendingTransport {
    fn info(&self) -> LinkInfo {
        self.info.clone()
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        Some(Arc::new(PendingLender {
            shared: self.shared.clone(),
            payload_bytes_max: self.info.payload_bytes_max as usize,
        }))
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let PendingTransport { set_up, shared, .. } = *self;
        let sink = PendingSink {
            shared: shared.clone(),
            state: SinkState::Waiting,
        };
        let source = PendingSource {
            shared,
            state: SourceState::SettingUp(set_up),
            limit: None,
        };
        (Box::new(sink), Box::new(source))
    }
}

struct PendingSource {
    shared: Arc<Shared>,
    state: SourceState,
    limit: Option<u32>,
}

enum SourceState {
    SettingUp(SetUp),
    Up(Box<dyn FrameSource>),
    Failed(LinkError),
}

impl PendingSource {
    fn poll_set_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let SourceState::SettingUp(set_up) = &mut self.state else {
            return Poll::Ready(());
        };
        let outcome = {
            let mut progress = self.shared.progress();
            if progress.closed {
                Err(LinkError::Closed)
            } else {
                progress.source = Some(cx.waker().clone());
                drop(progress);
                ready!(set_up.as_mut().poll(cx))
            }
        };
        let (state, outcome) = match outcome {
            Ok(transport) => {
                if let Some(lender) = transport.lender() {
                    // Set once: this is the only place.
                    let _ = self.shared.lender.set(lender);
                }
                let (sink, mut source) = transport.split();
                if let Some(limit) = self.limit {
                    source.raise_payload_limit(limit);
                }
                (SourceState::Up(source), Ok(sink))
            }
            Err(error) => (SourceState::Failed(error.clone()), Err(error)),
        };
        self.state = state;
        self.shared.settle(outcome);
        Poll::Ready(())
    }
}

impl FrameSource for PendingSource {
    #[inline]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        if let SourceState::Up(source) = &mut self.state {
            return source.poll_recv(cx);
        }
        ready!(self.poll_set_up(cx));
        match &mut self.state {
            SourceState::Up(source) => source.poll_recv(cx),
            SourceState::Failed(error) => Poll::Ready(Err(error.clone())),
            SourceState::SettingUp(_) => Poll::Pending,
        }
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        match &mut self.state {
            SourceState::Up(source) => source.raise_payload_limit(bytes),
            _ => self.limit = Some(bytes),
        }
    }
}

impl Drop for PendingSource {
    fn drop(&mut self) {
        // Nobody will finish the set-up any more.
        if let SourceState::SettingUp(_) = self.state {
            self.shared.settle(Err(LinkError::Closed));
        }
    }
}

struct PendingSink {
    shared: Arc<Shared>,
    state: SinkState,
}

enum SinkState {
    Waiting,
    Up(Box<dyn FrameSink>),
    Failed(LinkError),
}

impl PendingSink {
    #[inline]
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut dyn FrameSink, LinkError>> {
        if let SinkState::Waiting = self.state {
            let mut progress = self.shared.progress();
            self.state = match progress.outcome.take() {
                Some(Ok(sink)) => SinkState::Up(sink),
                Some(Err(error)) => SinkState::Failed(error),
                None => {
                    progress.sink = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
        }
        match &mut self.state {
            SinkState::Up(sink) => Poll::Ready(Ok(&mut **sink)),
            SinkState::Failed(error) => Poll::Ready(Err(error.clone())),
            SinkState::Waiting => Poll::Pending,
        }
    }
}

impl FrameSink for PendingSink {
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_up(cx))?.poll_ready(cx)
    }

    #[inline]
    fn send(&mut self, frame: Frame) {
        // `poll_ready` has said ready, so the link stands, or stood.
        if let SinkState::Up(sink) = &mut self.state {
            sink.send(frame);
        }
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if let SinkState::Up(sink) = &mut self.state {
            return sink.poll_flush(cx);
        }
        match self.poll_up(cx) {
            Poll::Ready(sink) => sink?.poll_flush(cx),
            // Nothing was accepted yet.
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match self.poll_up(cx) {
            Poll::Ready(Ok(sink)) => sink.poll_close(cx),
            Poll::Ready(Err(LinkError::Closed)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.state = SinkState::Failed(LinkError::Closed);
                self.shared.close();
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Drop for PendingSink {
    fn drop(&mut self) {
        if let SinkState::Waiting = self.state {
            self.shared.close();
        }
    }
}

struct PendingLender {
    shared: Arc<Shared>,
    payload_bytes_max: usize,
}

impl Lender for PendingLender {
    #[inline]
    fn try_loan(&self, room: Room) -> Option<Loan> {
        self.shared.lender.get()?.try_loan(room)
    }

    fn poll_loan(&self, cx: &mut Context<'_>, room: Room) -> Poll<Result<Loan, LinkError>> {
        if let Some(lender) = self.shared.lender.get() {
            return lender.poll_loan(cx, room);
        }
        let mut progress = self.shared.progress();
        // The link may have come up since; the lender is there before the outcome is.
        if let Some(lender) = self.shared.lender.get() {
            drop(progress);
            return lender.poll_loan(cx, room);
        }
        if let Some(error) = &progress.error {
            return Poll::Ready(Err(error.clone()));
        }
        if progress.loans.len() >= WAITING_LOANS_MAX {
            progress.loans.remove(0).wake();
        }
        progress.loans.push(cx.waker().clone());
        Poll::Pending
    }

    fn loan_bytes_max(&self) -> usize {
        match self.shared.lender.get() {
            Some(lender) => lender.loan_bytes_max(),
            None => self.payload_bytes_max,
        }
    }

    #[inline]
    fn owns(&self, bytes: &[u8]) -> bool {
        self.shared
            .lender
            .get()
            .is_some_and(|lender| lender.owns(bytes))
    }
}

#[cfg(test)]
mod tests;
