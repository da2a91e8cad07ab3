//! Callers that survive restarts of their peer.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rapace_session::{
    CallError, Caller, Client as _, NotSent, Reconnect, Runtime, Session, TokioRuntime,
};
use tokio::sync::Notify;

use crate::lab::{LabClient, Labs};
use crate::{until, within};

/// A plugin that is brought back when the test says so.
struct Supervisor {
    lives: Mutex<Vec<Arc<Labs>>>,
    changed: Notify,
    waiting: AtomicU32,
}

impl Supervisor {
    fn new() -> Arc<Self> {
        Arc::new(Supervisor {
            lives: Mutex::default(),
            changed: Notify::new(),
            waiting: AtomicU32::new(0),
        })
    }

    fn start(&self) -> Arc<Labs> {
        let labs = Arc::new(Labs::new());
        self.lives.lock().expect("lives").push(labs.clone());
        self.changed.notify_waiters();
        labs
    }

    fn live(&self) -> Option<Session> {
        let lives = self.lives.lock().expect("lives");
        let session = &lives.last()?.host;
        session.end().is_none().then(|| session.clone())
    }
}

/// A handle whose calls wait while the plugin is down.
struct Waiting(Arc<Supervisor>);

/// A handle whose calls fail then.
struct FailFast(Arc<Supervisor>);

impl Reconnect for FailFast {
    fn current(&self) -> Option<Session> {
        self.0.live()
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let down = CallError::NotSent(NotSent::Down("restarting".into()));
        Box::pin(std::future::ready(Err(down)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(TokioRuntime::current().expect("inside tokio"))
    }
}

impl Reconnect for Waiting {
    fn current(&self) -> Option<Session> {
        self.0.live()
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let supervisor = self.0.clone();
        Box::pin(async move {
            supervisor.waiting.fetch_add(1, Ordering::SeqCst);
            loop {
                let changed = supervisor.changed.notified();
                if let Some(session) = supervisor.live() {
                    return Ok(session);
                }
                changed.await;
            }
        })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(TokioRuntime::current().expect("inside tokio"))
    }

    fn retries_max(&self) -> u32 {
        2
    }
}

fn waiting_client(supervisor: &Arc<Supervisor>) -> LabClient {
    LabClient::from_caller(Caller::supervised(Arc::new(Waiting(supervisor.clone()))))
}

fn loads(labs: &Labs) -> u32 {
    labs.at_plugin.loads.load(Ordering::SeqCst)
}

#[tokio::test]
async fn an_idempotent_call_that_was_lost_is_repeated_and_others_are_not() {
    let supervisor = Supervisor::new();
    let client = waiting_client(&supervisor);
    let first = supervisor.start();
    let load = tokio::spawn(client.load());
    let hold = tokio::spawn(client.hold());
    let marked = tokio::spawn(client.hold().idempotent(true));
    let unmarked = tokio::spawn(client.load().idempotent(false));
    until("all are under way", || {
        loads(&first) == 2 && first.at_plugin.holding() == 2
    })
    .await;
    first.kill.kill();
    for lost in [within(hold).await, within(unmarked).await] {
        let error = lost.expect("task").expect_err("lost");
        assert!(matches!(error, CallError::PeerDied(_)), "{error:?}");
        assert!(!error.is_safe_to_retry());
    }
    assert!(!load.is_finished() && !marked.is_finished());
    let second = supervisor.start();
    until("they are repeated", || {
        loads(&second) == 1 && second.at_plugin.holding() == 1
    })
    .await;
    second.at_plugin.gate.open(2);
    within(load).await.expect("task").expect("repeated");
    within(marked).await.expect("task").expect("repeated");
}

#[tokio::test]
async fn a_call_is_repeated_as_often_as_the_supervisor_allows() {
    let supervisor = Supervisor::new();
    let call = tokio::spawn(waiting_client(&supervisor).load());
    for life in 0..3 {
        let labs = supervisor.start();
        until("it arrives", || loads(&labs) == 1).await;
        assert!(!call.is_finished(), "life {life}");
        labs.kill.kill();
        within(labs.host.closed()).await;
    }
    let error = within(call)
        .await
        .expect("task")
        .expect_err("lost three times");
    assert!(matches!(error, CallError::PeerDied(_)), "{error:?}");
}

#[tokio::test]
async fn calls_made_while_the_peer_is_down_wait_or_fail_fast() {
    let supervisor = Supervisor::new();
    let client = waiting_client(&supervisor);
    let early: Vec<_> = (0..5).map(|n| tokio::spawn(client.quick(n))).collect();
    until("they wait", || {
        supervisor.waiting.load(Ordering::SeqCst) == 5
    })
    .await;
    supervisor.start();
    for (n, call) in early.into_iter().enumerate() {
        assert_eq!(
            within(call).await.expect("task").expect("quick") as usize,
            n
        );
    }
    let down = Arc::new(FailFast(Supervisor::new()));
    let client = LabClient::from_caller(Caller::supervised(down));
    let error = within(client.quick(1)).await.expect_err("down");
    assert!(
        matches!(error, CallError::NotSent(NotSent::Down(_))),
        "{error:?}"
    );
    assert!(error.is_safe_to_retry());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_while_a_call_waits_for_the_peer_and_across_its_repeats() {
    let supervisor = Supervisor::new();
    let client = waiting_client(&supervisor);
    let before = tokio::time::Instant::now();
    let call = client.quick(1).deadline(Duration::from_millis(100));
    let error = within(call).await.expect_err("nobody is there");
    assert!(matches!(error, CallError::DeadlineExceeded), "{error:?}");
    assert!((100..103).contains(&before.elapsed().as_millis()));
    let first = supervisor.start();
    let before = tokio::time::Instant::now();
    let call = tokio::spawn(client.load().deadline(Duration::from_millis(100)));
    until("it arrives", || loads(&first) == 1).await;
    first.kill.kill();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = supervisor.start();
    let error = within(call).await.expect("task").expect_err("too late");
    assert!(matches!(error, CallError::DeadlineExceeded), "{error:?}");
    assert!(
        (100..103).contains(&before.elapsed().as_millis()),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(loads(&second), 1);
    // The second life knows how little was left.
    let context = second
        .at_plugin
        .contexts
        .lock()
        .expect("contexts")
        .remove(0);
    assert!(
        context
            .time_left()
            .is_some_and(|left| left <= Duration::from_millis(50))
    );
}

#[tokio::test]
async fn a_call_that_was_certainly_not_sent_goes_to_the_next_session() {
    let supervisor = Supervisor::new();
    let client = waiting_client(&supervisor);
    let first = supervisor.start();
    within(first.host.ready()).await.expect("ready");
    // Held open by a call under way, and draining: it takes no new calls.
    let held = tokio::spawn(first.client().hold());
    until("it is held", || first.at_plugin.holding() == 1).await;
    let closing = tokio::spawn({
        let host = first.host.clone();
        async move { host.close().await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let call = tokio::spawn(client.quick(9));
    tokio::time::sleep(Duration::from_millis(20)).await;
    first.at_plugin.gate.open(1);
    within(held).await.expect("task").expect("held");
    within(closing).await.expect("task");
    supervisor.start();
    assert_eq!(within(call).await.expect("task").expect("the next life"), 9);
}
