//! A link that knows the process at its other end: when either ends, the other is asked why.
//!
//! | the link sees | the process | reported |
//! |---|---|---|
//! | its end | exits within 500 ms | [`LinkError::PeerDied`] with how it exited and its last words |
//! | its end | lives on | the same, without an exit |
//! | its end while the host is stopping the plugin | any | [`LinkError::Closed`] |
//! | nothing: a grandchild holds the socket | exits | the same as in the first line, 50 ms later |
//!
//! So the receive side sees a death at once, even when nothing is being sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rapace_transport::{Death, FrameSink, FrameSource, Lender, LinkError, LinkInfo, Transport};
use tokio::time::{Sleep, sleep, timeout};

use crate::process::ExitWatch;

/// How long after the end of the link its cause is waited for.
const EXIT_WAIT: Duration = Duration::from_millis(500);
/// How long after the exit what the process has sent is still read, when the link does not end.
const DRAIN: Duration = Duration::from_millis(50);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A link to a process of ours.
pub(crate) struct WatchedTransport {
    pub(crate) inner: Box<dyn Transport>,
    pub(crate) exit: ExitWatch,
    /// Set when the host has asked the plugin to end.
    pub(crate) stopping: Arc<AtomicBool>,
}

impl Transport for WatchedTransport {
    fn info(&self) -> LinkInfo {
        self.inner.info()
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        self.inner.lender()
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let WatchedTransport {
            inner,
            exit,
            stopping,
        } = *self;
        let (sink, source) = inner.split();
        let coroner = Coroner {
            exit: exit.clone(),
            stopping,
        };
        let exited: Boxed<()> = {
            let mut exit = exit;
            Box::pin(async move {
                exit.wait().await;
            })
        };
        let sink = WatchedSink {
            inner: sink,
            coroner: coroner.clone(),
            state: Ending::No,
        };
        let source = WatchedSource {
            inner: source,
            coroner,
            exited: Some(exited),
            drain: None,
            state: Ending::No,
        };
        (Box::new(sink), Box::new(source))
    }
}

/// Finds out why a link ended.
#[derive(Clone)]
struct Coroner {
    exit: ExitWatch,
    stopping: Arc<AtomicBool>,
}

impl Coroner {
    fn verdict(&self, seen: LinkError) -> Boxed<LinkError> {
        let Coroner { mut exit, stopping } = self.clone();
        Box::pin(async move {
            let seen = match seen {
                // Relaxed: the flag guards no other data.
                LinkError::Closed if stopping.load(Ordering::Relaxed) => return LinkError::Closed,
                LinkError::Closed => "connection closed".into(),
                LinkError::PeerDied(death) => death.seen,
                other => return other,
            };
            match timeout(EXIT_WAIT, exit.wait()).await {
                Ok(exit) => LinkError::PeerDied(Death {
                    exit: exit.reason,
                    seen,
                    stderr: exit.stderr,
                }),
                Err(_) => LinkError::PeerDied(Death {
                    exit: None,
                    seen,
                    stderr: exit.stderr(),
                }),
            }
        })
    }
}

/// How far one direction is on its way to its end.
enum Ending {
    No,
    Asking(Boxed<LinkError>),
    Yes(LinkError),
}

impl Ending {
    /// The error to report; pending while it is not known, and for ever when there is none.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkError> {
        match self {
            Ending::No => Poll::Pending,
            Ending::Yes(error) => Poll::Ready(error.clone()),
            Ending::Asking(verdict) => {
                let error = ready!(verdict.as_mut().poll(cx));
                *self = Ending::Yes(error.clone());
                Poll::Ready(error)
            }
        }
    }
}

struct WatchedSource {
    inner: Box<dyn FrameSource>,
    coroner: Coroner,
    /// Gone once the process is.
    exited: Option<Boxed<()>>,
    /// Set by the exit of the process: until when the link may still deliver.
    drain: Option<Pin<Box<Sleep>>>,
    state: Ending,
}

impl FrameSource for WatchedSource {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<rapace_core::Frame, LinkError>> {
        if let Ending::No = self.state {
            match self.inner.poll_recv(cx) {
                Poll::Ready(Ok(frame)) => return Poll::Ready(Ok(frame)),
                Poll::Ready(Err(seen)) => self.state = Ending::Asking(self.coroner.verdict(seen)),
                Poll::Pending => {
                    if let Some(exited) = &mut self.exited
                        && exited.as_mut().poll(cx).is_ready()
                    {
                        self.exited = None;
                        self.drain = Some(Box::pin(sleep(DRAIN)));
                    }
                    ready!(match &mut self.drain {
                        Some(drain) => drain.as_mut().poll(cx),
                        None => Poll::Pending,
                    });
                    let seen = Death::seen("process gone, its socket still open");
                    let verdict = self.coroner.verdict(LinkError::PeerDied(seen));
                    self.state = Ending::Asking(verdict);
                }
            }
        }
        self.state.poll(cx).map(Err)
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.inner.raise_payload_limit(bytes);
    }
}

/// Writing to a dead process fails before its last frames have been read and before its exit is
/// known, so the failure is held back until it can be explained.
struct WatchedSink {
    inner: Box<dyn FrameSink>,
    coroner: Coroner,
    state: Ending,
}

impl WatchedSink {
    fn explain<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<Result<T, LinkError>>,
    ) -> Poll<Result<T, LinkError>> {
        match result {
            Poll::Ready(Err(seen)) => {
                if let Ending::No = self.state {
                    self.state = Ending::Asking(self.coroner.verdict(seen));
                }
                self.state.poll(cx).map(Err)
            }
            other => other,
        }
    }
}

impl FrameSink for WatchedSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let result = self.inner.poll_ready(cx);
        self.explain(cx, result)
    }

    fn send(&mut self, frame: rapace_core::Frame) {
        self.inner.send(frame);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let result = self.inner.poll_flush(cx);
        self.explain(cx, result)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let result = self.inner.poll_close(cx);
        self.explain(cx, result)
    }
}
