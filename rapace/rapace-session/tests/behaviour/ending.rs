//! Sessions that end in good order, and those that do not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use rapace_session::{CallError, NotSent, Session, SessionEnd, StreamError, Streaming, Tunnel};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};
use tokio::io::AsyncReadExt as _;

use crate::lab::{Bench, LabClient, LabServer, Labs};
use crate::{until, within};

#[tokio::test(start_paused = true)]
async fn row_07_close_wakes_everyone() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let plugin = Session::builder()
        .serve(TestbedServer::new(Subject))
        .accept(b)
        .expect("plugin");
    let client: TestbedClient = host.client();
    let naps: Vec<_> = (0..5)
        .map(|_| tokio::spawn(client.nap(3_600_000)))
        .collect();
    let (sender, numbers) = Streaming::channel(1);
    let sum = tokio::spawn(client.sum(numbers));
    let (mut tunnel, remote) = Tunnel::pair();
    let pipe = tokio::spawn(client.pipe(remote));
    let (_kept, words) = Streaming::channel(1);
    let mut relayed = within(client.relay(words)).await.expect("relay");
    let closed_here = tokio::spawn({
        let host = host.clone();
        async move { host.closed().await }
    });
    let closed_there = tokio::spawn({
        let plugin = plugin.clone();
        async move { plugin.closed().await }
    });
    let mut buffer = [0; 1];
    assert!(tunnel.read(&mut buffer).now_or_never().is_none());
    assert!(relayed.next().now_or_never().is_none());

    let before = tokio::time::Instant::now();
    host.abort();
    for nap in naps {
        let error = within(nap).await.expect("task").expect_err("aborted");
        assert!(
            matches!(error, CallError::MaybeSent(SessionEnd::Local)),
            "{error:?}"
        );
    }
    assert!(within(sum).await.expect("task").is_err());
    assert!(within(pipe).await.expect("task").is_err());
    within(sender.closed()).await;
    within(tunnel.read(&mut buffer))
        .await
        .expect_err("no clean end");
    let error = within(relayed.next())
        .await
        .expect("no clean end")
        .expect_err("lost");
    assert!(
        matches!(error, StreamError::Lost(SessionEnd::Local)),
        "{error:?}"
    );
    assert!(matches!(
        within(closed_here).await.expect("task"),
        SessionEnd::Local
    ));
    assert!(matches!(
        within(closed_there).await.expect("task"),
        SessionEnd::Peer(None)
    ));
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "somebody waited for a timer"
    );
}

#[tokio::test]
async fn close_finishes_what_is_under_way_and_starts_nothing_new() {
    let labs = Labs::new();
    let held = tokio::spawn(labs.client().hold());
    let back: LabClient = labs.plugin.client();
    let held_here = tokio::spawn(back.hold());
    until("both are held", || {
        labs.at_plugin.holding() == 1 && labs.at_host.holding() == 1
    })
    .await;
    let closing = tokio::spawn({
        let host = labs.host.clone();
        async move { host.close().await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!closing.is_finished(), "it did not wait");
    for client in [labs.client(), back] {
        let error = within(client.quick(1)).await.expect_err("draining");
        assert!(
            matches!(
                error,
                CallError::NotSent(NotSent::Draining | NotSent::Refused(_))
            ),
            "{error:?}"
        );
    }
    labs.at_plugin.gate.open(1);
    labs.at_host.gate.open(1);
    assert_eq!(within(held).await.expect("task").expect("finished"), 1);
    assert_eq!(within(held_here).await.expect("task").expect("finished"), 1);
    let end = within(closing).await.expect("task");
    assert!(end.is_clean(), "{end:?}");
    let end = within(labs.plugin.closed()).await;
    assert!(end.is_clean(), "{end:?}");
    // Closing what is closed says the same.
    assert!(within(labs.host.close()).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_longer_than_the_grace() {
    let short = rapace_session::Limits {
        grace: Duration::from_secs(3),
        ..rapace_session::Limits::default()
    };
    let labs = Labs::with(short.clone(), short);
    let held = tokio::spawn(labs.client().hold());
    until("it is held", || labs.at_plugin.holding() == 1).await;
    let before = tokio::time::Instant::now();
    within(labs.host.close()).await;
    let waited = before.elapsed();
    assert!((2990..3100).contains(&waited.as_millis()), "{waited:?}");
    assert!(within(held).await.expect("task").is_err());
    until("the handler is dropped", || labs.at_plugin.holding() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_never_came_do_not_hold_up_the_closing() {
    let labs = Labs::new();
    let _ = within(labs.client().either(None, None))
        .await
        .expect("either");
    let (first, _) = within(labs.client().one_of(false)).await.expect("one of");
    assert_eq!(within(first.expect("first").count()).await, 10);
    let before = tokio::time::Instant::now();
    assert!(within(labs.host.close()).await.is_clean());
    assert!(within(labs.plugin.closed()).await.is_clean());
    assert!(
        before.elapsed() < Duration::from_millis(10),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_drop_of_the_last_handle_drains_the_session() {
    let labs = Labs::new();
    let crate::lab::Labs {
        host,
        plugin,
        at_plugin,
        at_host,
        ..
    } = labs;
    let client: LabClient = host.client();
    drop(host);
    // The client holds it open.
    assert_eq!(within(client.quick(1)).await.expect("quick"), 1);
    let held = tokio::spawn(client.hold());
    drop(client);
    until("it is held", || at_plugin.holding() == 1).await;
    // So does the call. The peer's call, on the other hand, is answered before the end.
    let back: LabClient = plugin.client();
    let held_here = tokio::spawn(back.hold());
    until("it is held", || at_host.holding() == 1).await;
    at_plugin.gate.open(1);
    assert_eq!(within(held).await.expect("task").expect("held"), 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(plugin.end().is_none());
    at_host.gate.open(1);
    assert_eq!(within(held_here).await.expect("task").expect("held"), 1);
    let end = within(plugin.closed()).await;
    assert!(end.is_clean(), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn closing_and_aborting_before_the_handshake_end_at_once() {
    for abort in [false, true] {
        let (a, _b) = rapace_mem::pair();
        let host = Session::builder().connect(a).expect("host");
        let client: LabClient = host.client();
        let call = tokio::spawn(client.quick(1));
        tokio::task::yield_now().await;
        let before = tokio::time::Instant::now();
        if abort {
            host.abort();
        }
        within(host.close()).await;
        assert!(within(host.ready()).await.is_err());
        let error = within(call).await.expect("task").expect_err("never sent");
        assert!(error.is_safe_to_retry(), "{error:?}");
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_at_once_leaves_no_task() {
    let runtime = tokio::runtime::Handle::current();
    let before = runtime.metrics().num_alive_tasks();
    for _ in 0..50 {
        let (a, b) = rapace_mem::pair();
        let host = Session::builder().connect(a).expect("host");
        let plugin = Session::builder()
            .serve(LabServer::new(Bench::default()))
            .accept(b)
            .expect("plugin");
        let client: LabClient = host.client();
        assert_eq!(within(client.quick(1)).await.expect("quick"), 1);
        drop((host, plugin, client));
    }
    until("all tasks have ended", || {
        runtime.metrics().num_alive_tasks() == before
    })
    .await;
}

#[tokio::test]
async fn those_who_wait_for_a_session_wake_in_the_order_in_which_they_came() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..40)
        .map(|at| {
            let (host, order) = (host.clone(), order.clone());
            tokio::spawn(async move {
                host.ready().await.expect("ready");
                order.lock().expect("order").push(at);
                host.closed().await;
                order.lock().expect("order").push(at);
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let plugin = Session::builder().accept(b).expect("plugin");
    until("all are ready", || order.lock().expect("order").len() == 40).await;
    plugin.abort();
    for task in waiting {
        within(task).await.expect("task");
    }
    // The same in every run: simulations rely on it.
    let expected: Vec<u32> = (0..40).chain(0..40).collect();
    assert_eq!(*order.lock().expect("order"), expected);
}
