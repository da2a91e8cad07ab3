//! Row 19: what an idle session costs. Alone in its process, because it looks at the process.
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rapace_core::Time;
use rapace_session::runtime::Task;
use rapace_session::{Runtime, Session, Timer, TokioRuntime};
use rapace_stream::StreamTransport;
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

/// Tokio, with a count of how often the session's tasks are polled.
struct Counting {
    tokio: TokioRuntime,
    polls: Arc<AtomicU64>,
}

struct Counted {
    task: Task,
    polls: Arc<AtomicU64>,
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.task.as_mut().poll(cx)
    }
}

impl Runtime for Counting {
    fn now(&self) -> Time {
        self.tokio.now()
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.tokio.timer()
    }

    fn spawn(&self, task: Task) {
        let polls = self.polls.clone();
        self.tokio.spawn(Box::pin(Counted { task, polls }));
    }

    fn random(&self) -> u64 {
        self.tokio.random()
    }
}

/// What all threads of this process have spent on a processor.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    let spent = threads.filter_map(|thread| {
        let times = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn row_19_an_idle_session_uses_no_cpu() {
    let polls = Arc::new(AtomicU64::new(0));
    let runtime = || {
        Arc::new(Counting {
            tokio: TokioRuntime::current().expect("inside tokio"),
            polls: polls.clone(),
        })
    };
    let limits = || rapace_session::Limits {
        window_bytes: 4096,
        ..rapace_session::Limits::default()
    };
    let mut sessions = Vec::new();
    for _ in 0..50 {
        let (a, b) = tokio::net::UnixStream::pair().expect("socket pair");
        let (c, d) = rapace_mem::pair();
        let ends: [(
            Box<dyn rapace_transport::Transport>,
            Box<dyn rapace_transport::Transport>,
        ); 2] = [
            (
                Box::new(StreamTransport::from(a)),
                Box::new(StreamTransport::from(b)),
            ),
            (Box::new(c), Box::new(d)),
        ];
        for (here, there) in ends {
            let plugin = Session::builder()
                .serve(TestbedServer::new(Subject))
                .limits(limits())
                .runtime(runtime())
                .accept(there)
                .expect("plugin");
            let host = Session::builder()
                .limits(limits())
                .runtime(runtime())
                .connect(here)
                .expect("host");
            let client: TestbedClient = host.client();
            assert_eq!(client.add(1, 2).await.expect("add"), 3);
            // A call that waits, a stream that nobody reads, a deadline far away.
            let waiting = tokio::spawn(client.nap(3_600_000).deadline(Duration::from_hours(1)));
            let unread = client.count(10_000_000).await.expect("count");
            sessions.push((host, plugin, waiting, unread));
        }
    }
    // Until the streams have filled their windows.
    let mut before = polls.load(Ordering::SeqCst);
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = polls.load(Ordering::SeqCst);
        if now == before {
            break;
        }
        before = now;
    }
    let spent = processor_time();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = processor_time().saturating_sub(spent);
    assert_eq!(
        polls.load(Ordering::SeqCst),
        before,
        "tasks of idle sessions were woken"
    );
    assert!(
        spent < Duration::from_millis(10),
        "100 idle sessions used {spent:?} in a second"
    );
}
