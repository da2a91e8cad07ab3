//! Running handlers: where the request arrives while that is quick, else in a task of their own;
//! panics stay inside, and cancellation drops the future.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use rapace_core::envelope::Code;
use rapace_core::{ChannelId, MethodId, Time};
use tokio::sync::Notify;

use crate::router::Route;
use crate::service::{Handler, Request, Responder};
use crate::shared::Shared;
use crate::trace::{self, ServeSpan};

/// A method whose first poll has lately taken longer than this, in nanoseconds, starts in a task
/// of its own. Spawning costs about a microsecond; a driver that is busy for longer than a few of
/// them delays every other frame of its session.
const INLINE_NS_MAX: u32 = 20_000;

/// Stops a handler from outside.
#[derive(Default)]
pub(crate) struct HandlerControl {
    aborted: AtomicBool,
    /// Nobody waits for an answer.
    oneway: AtomicBool,
    /// The task that polls the handler.
    task: Mutex<Option<Waker>>,
    /// For those who hold the call's [`crate::Cancellation`].
    notify: Notify,
}

impl HandlerControl {
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.notify.notify_waiters();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(crate) fn is_oneway(&self) -> bool {
        self.oneway.load(Ordering::Relaxed)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Resolves when the handler was aborted.
    pub(crate) async fn aborted(&self) {
        loop {
            let notified = self.notify.notified();
            let mut notified = std::pin::pin!(notified);
            // Registers before looking, so that an abort in between is not missed.
            notified.as_mut().enable();
            if self.is_aborted() {
                return;
            }
            notified.await;
        }
    }

    fn watch(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &*task {
            Some(known) if known.will_wake(waker) => {}
            _ => *task = Some(waker.clone()),
        }
    }
}

/// Starts the handler of one request; returns the time afterwards, as far as it is known.
pub(crate) fn start(
    shared: &Arc<Shared>,
    method: MethodId,
    request: Request,
    cx: &mut Context<'_>,
    started: Time,
) -> Time {
    let Some(route) = shared.router.route(method) else {
        // The core answers methods that are not in its table.
        request
            .responder
            .fail(Code::UNIMPLEMENTED, "no such method");
        return started;
    };
    let call = request.responder.call;
    let mut running = Running {
        span: trace::serve_span(route, &request.metadata),
        work: Work::Unstarted(request),
        call,
    };
    let pace = route.pace();
    if pace.mean_ns() > INLINE_NS_MAX {
        spawn(shared, route, running);
        return started;
    }
    let measured = pace.is_due();
    let from = if measured {
        shared.runtime.now()
    } else {
        started
    };
    let done = running.poll(cx, shared, route).is_ready();
    let mut now = from;
    if measured {
        now = shared.runtime.now();
        pace.record(now.since(from).as_nanos() as u64);
    }
    if !done {
        spawn(shared, route, running);
    }
    now
}

fn spawn(shared: &Arc<Shared>, route: &Route, running: Running) {
    let control = {
        let mut state = shared.lock();
        let control = state.handlers.entry(running.call).or_default().clone();
        // Written and read under the session's lock.
        control.oneway.store(route.is_oneway(), Ordering::Relaxed);
        control
    };
    shared.runtime.spawn(Box::pin(HandlerTask {
        shared: shared.clone(),
        route: route.clone(),
        running: Some(running),
        control,
    }));
}

/// A handler in a task of its own.
struct HandlerTask {
    shared: Arc<Shared>,
    route: Route,
    running: Option<Running>,
    control: Arc<HandlerControl>,
}

impl Future for HandlerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        task.control.watch(cx.waker());
        if task.control.is_aborted() {
            task.running = None;
            return Poll::Ready(());
        }
        let Some(running) = &mut task.running else {
            return Poll::Ready(());
        };
        let (shared, route) = (&task.shared, &task.route);
        let poll = match &running.work {
            // A method that was slow is measured here too, so that it can come back inline.
            Work::Unstarted(_) => {
                let started = shared.runtime.now();
                let poll = running.poll(cx, shared, route);
                let took = shared.runtime.now().since(started);
                route.pace().record(took.as_nanos() as u64);
                poll
            }
            Work::Started(_) => running.poll(cx, shared, route),
        };
        if poll.is_ready() {
            task.running = None;
        }
        poll
    }
}

/// A handler on its way.
struct Running {
    work: Work,
    call: ChannelId,
    span: ServeSpan,
}

enum Work {
    Unstarted(Request),
    Started(Handler),
}

impl Running {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Arc<Shared>, route: &Route) -> Poll<()> {
        let Running { work, call, span } = self;
        let step = || {
            if let Work::Unstarted(_) = work {
                let Work::Unstarted(request) =
                    std::mem::replace(work, Work::Started(Handler::Done))
                else {
                    return Poll::Ready(());
                };
                *work = Work::Started(route.serve(request));
            }
            match work {
                Work::Started(Handler::Running(future)) => future.as_mut().poll(cx),
                _ => Poll::Ready(()),
            }
        };
        match span.enter(|| catch_unwind(AssertUnwindSafe(step))) {
            Ok(poll) => poll,
            Err(panic) => {
                let message = panic_message(&*panic);
                tracing::error!(target: "rapace", method = %route.full_name(), message, "handler panicked");
                // The future is broken; dropping it can panic again, which is no news.
                let broken = std::mem::replace(work, Work::Started(Handler::Done));
                let _ = catch_unwind(AssertUnwindSafe(move || drop(broken)));
                let responder = Responder {
                    shared: shared.clone(),
                    call: *call,
                };
                responder.fail(Code::INTERNAL, &message);
                Poll::Ready(())
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "handler panicked".to_owned())
}
