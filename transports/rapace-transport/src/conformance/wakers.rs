//! Who is woken, and when.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::join;

use super::pressure::fill;
use super::traffic::{check, close, frame, recv, recv_all, send, send_all, yield_once};
use super::{Pair, PairConfig};
use crate::LinkError;

/// A waker that counts, and passes the wake-up on to the task that runs the case.
struct Counter {
    wakes: AtomicU32,
    then: Waker,
}

impl Counter {
    async fn new() -> Arc<Self> {
        poll_fn(|cx| {
            Poll::Ready(Arc::new(Counter {
                wakes: AtomicU32::new(0),
                then: cx.waker().clone(),
            }))
        })
        .await
    }

    fn wakes(&self) -> u32 {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Waits for the first wake-up.
    async fn woken(&self) {
        poll_fn(|_| {
            if self.wakes() > 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.then.wake_by_ref();
    }
}

/// A receive that moved from one task to another wakes the second.
pub async fn receive_wakes_the_last_task(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    // A first frame, so that sockets know their readiness.
    send_all(&mut *sink, 0..1, |_| 32).await;
    recv_all(&mut *source, 0..1, |_| 32).await;

    let (first, last) = (Counter::new().await, Counter::new().await);
    for counter in [&first, &last] {
        let waker = Waker::from(Arc::clone(counter));
        // Pending more than once: readiness that is only now found out wakes for nothing.
        for _ in 0..3 {
            let polled = source.poll_recv(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "nothing was sent: {polled:?}");
            yield_once().await;
        }
    }
    last.wakes.store(0, Ordering::SeqCst);
    join(
        async { send(&mut *sink, frame(1, 32)).await.expect("sending") },
        last.woken(),
    )
    .await;
    check(&recv(&mut *source).await.expect("receiving"), 1, 32);
}

/// A sender that moved from one task to another wakes the second when there is room.
pub async fn ready_wakes_the_last_task(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    let taken = fill(&mut *sink, 8_000).await;

    let (first, last) = (Counter::new().await, Counter::new().await);
    for counter in [&first, &last] {
        let waker = Waker::from(Arc::clone(counter));
        let polled = sink.poll_ready(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "the sink was full: {polled:?}");
    }
    let write = async {
        last.woken().await;
        close(&mut *sink).await.expect("closing");
    };
    let read = async {
        recv_all(&mut *source, 0..taken, |_| 8_000).await;
        let err = recv(&mut *source).await.expect_err("the peer closed");
        assert_eq!(err, LinkError::Closed);
    };
    join(write, read).await;
}

/// A receive that waits on an idle link is not woken (row 19: idle links use no CPU).
pub async fn an_idle_link_wakes_nobody(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    send_all(&mut *sink, 0..1, |_| 32).await;
    recv_all(&mut *source, 0..1, |_| 32).await;

    let counter = Counter::new().await;
    let waker = Waker::from(Arc::clone(&counter));
    let mut seen = None;
    let mut polls = 0;
    // Polls whenever it is woken, as a task would.
    for _ in 0..500 {
        if seen != Some(counter.wakes()) {
            seen = Some(counter.wakes());
            polls += 1;
            let polled = source.poll_recv(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "nothing was sent: {polled:?}");
        }
        yield_once().await;
    }
    // Sockets may wake once or twice while their readiness becomes known.
    assert!(polls <= 5, "an idle link woke its receiver {polls} times");
}
