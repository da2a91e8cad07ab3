//! Calls: answered, failed, cancelled, early, raced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use rapace_session::{CallError, Code, NotSent, Session};

use crate::lab::{Bench, LabClient, LabServer, Labs};
use crate::{quiet, until, within};

fn status(result: Result<impl std::fmt::Debug, CallError>) -> (Code, String) {
    match result {
        Err(CallError::Status(status)) => (status.code, status.message),
        other => panic!("no status: {other:?}"),
    }
}

/// A service that the peer does not serve.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Nowhere {
    async fn method(&self) -> u32;
}

#[tokio::test(start_paused = true)]
async fn row_01_a_panic_and_an_unknown_method_answer_at_once() {
    let labs = Labs::new();
    let before = tokio::time::Instant::now();
    let (code, message) = status(within(labs.client().boom_later()).await);
    assert_eq!((code, message.as_str()), (Code::INTERNAL, "later"));
    let nowhere: NowhereClient = labs.host.client();
    let (code, message) = status(within(nowhere.method()).await);
    assert_eq!(code, Code::UNIMPLEMENTED, "{message}");
    assert_eq!(within(labs.client().quick(3)).await.expect("quick"), 3);
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "an answer waited for a timer"
    );
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn row_05_a_dropped_call_cancels_its_handler_and_tears_no_frame() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let client = labs.client();
    let mut calls: Vec<_> = (0..50).map(|_| Box::pin(client.hold())).collect();
    for call in &mut calls {
        assert!(call.as_mut().now_or_never().is_none());
    }
    until("the handlers run", || labs.at_plugin.holding() == 50).await;
    drop(calls);
    until("the handlers are dropped", || labs.at_plugin.holding() == 0).await;
    let tokens = std::mem::take(&mut *labs.at_plugin.tokens.lock().expect("tokens"));
    assert_eq!(tokens.len(), 50);
    assert!(
        tokens
            .iter()
            .all(rapace_session::Cancellation::is_cancelled)
    );
    // Large requests, given up at every stage of being sent.
    for at in 0..200_u32 {
        let data = Bytes::from(vec![1; 300_000]);
        let mut call = Box::pin(client.weigh(data));
        for _ in 0..at % 4 {
            let _ = call.as_mut().now_or_never();
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(within(client.quick(at)).await.expect("in step"), at);
    }
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_20_exactly_one_outcome() {
    let labs = Arc::new(Labs::new());
    within(labs.host.ready()).await.expect("ready");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16_u64 {
        let labs = labs.clone();
        tasks.spawn(async move {
            let client = labs.client();
            let mut outcomes = [0_u32; 3];
            for at in 0..300_u64 {
                let micros = (task * 7919 + at * 104_729) % 300;
                let call = client.quick(at as u32);
                // The deadline, the answer and the giving up all fall into the same moment.
                let outcome = match at % 3 {
                    0 => Some(call.deadline(Duration::from_micros(micros)).await),
                    1 => {
                        let give_up = Duration::from_micros(micros);
                        tokio::time::timeout(give_up, call).await.ok()
                    }
                    _ => {
                        let call = call.deadline(Duration::from_micros(micros));
                        let giving_up = tokio::time::sleep(Duration::from_micros(micros));
                        tokio::select! {
                            biased;
                            outcome = call => Some(outcome),
                            () = giving_up => None,
                        }
                    }
                };
                match outcome {
                    Some(Ok(answer)) => {
                        assert_eq!(u64::from(answer), at, "somebody else's answer");
                        outcomes[0] += 1;
                    }
                    Some(Err(CallError::DeadlineExceeded)) => outcomes[1] += 1,
                    None => outcomes[2] += 1,
                    Some(Err(other)) => panic!("{other}"),
                }
            }
            outcomes
        });
    }
    let mut sums = [0; 3];
    while let Some(outcomes) = within(tasks.join_next()).await {
        let outcomes = outcomes.expect("a task");
        sums.iter_mut()
            .zip(outcomes)
            .for_each(|(sum, one)| *sum += one);
    }
    assert_eq!(sums.iter().sum::<u32>(), 16 * 300);
    assert!(
        sums[0] > 0 && sums[1] > 0,
        "the race did not happen: {sums:?}"
    );
    quiet([&labs.host, &labs.plugin]).await;
    assert_eq!(
        within(labs.client().quick(1)).await.expect("still alive"),
        1
    );
}

#[tokio::test]
async fn row_21_calls_before_ready_wait() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let client: LabClient = host.client();
    let mut early: Vec<_> = (0..10).map(|n| Box::pin(client.quick(n))).collect();
    for call in &mut early {
        assert!(call.as_mut().now_or_never().is_none());
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(host.ready().now_or_never().is_none());
    let plugin = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .accept(b)
        .expect("plugin");
    for (n, call) in early.into_iter().enumerate() {
        assert_eq!(within(call).await.expect("answered") as usize, n);
    }
    within(plugin.ready()).await.expect("ready");
    // A second wait finds it ready at once.
    assert!(matches!(plugin.ready().now_or_never(), Some(Ok(()))));
}

#[tokio::test]
async fn row_22_one_bad_session_leaves_others_alone() {
    let good = Labs::new();
    let bad = Labs::new();
    within(good.host.ready()).await.expect("ready");
    within(bad.host.ready()).await.expect("ready");
    let mut pending = Box::pin(good.client().hold());
    assert!(pending.as_mut().now_or_never().is_none());
    until("both run", || good.at_plugin.holding() == 1).await;
    let lost = within(async {
        let mut call = Box::pin(bad.client().hold());
        assert!(call.as_mut().now_or_never().is_none());
        bad.kill.kill();
        call.await
    })
    .await;
    assert!(lost.expect_err("killed").is_lost());
    status(within(good.client().boom_later()).await);
    assert!(good.host.end().is_none());
    good.at_plugin.gate.open(1);
    assert_eq!(within(pending).await.expect("answered"), 1);
}

#[tokio::test]
async fn row_25_bytes_outlive_the_session() {
    let (a, b) = tokio::net::UnixStream::pair().expect("socket pair");
    let host = Session::builder()
        .connect(rapace_stream::StreamTransport::from(a))
        .expect("host");
    let plugin = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .accept(rapace_stream::StreamTransport::from(b))
        .expect("plugin");
    let client: LabClient = host.client();
    let bytes = within(client.zeros(100_000)).await.expect("zeros");
    drop(client);
    within(host.close()).await;
    within(plugin.closed()).await;
    drop((host, plugin));
    assert_eq!(bytes, vec![0; 100_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_computes_long_does_not_hold_up_the_others() {
    let labs = Labs::new();
    let client = labs.client();
    // The first one is measured where it arrives.
    within(client.compute(30)).await.expect("compute");
    let computing = tokio::spawn(client.compute(400));
    until("it computes", || labs.at_plugin.holding() == 1).await;
    let before = Instant::now();
    for n in 0..20 {
        assert_eq!(within(client.quick(n)).await.expect("quick"), n);
    }
    let others = before.elapsed();
    assert!(!computing.is_finished(), "too slow to tell");
    assert!(
        others < Duration::from_millis(300),
        "20 calls took {others:?}"
    );
    assert_eq!(
        within(computing).await.expect("task").expect("compute"),
        400
    );
}

#[tokio::test]
async fn a_call_that_is_never_polled_sends_nothing_and_one_polled_after_its_end_says_so() {
    let labs = Labs::new();
    let client = labs.client();
    drop(client.note(1));
    let mut call = client.quick(1);
    assert_eq!(within(&mut call).await.expect("quick"), 1);
    assert!(matches!(within(&mut call).await, Err(CallError::Encode(_))));
    assert_eq!(
        labs.at_plugin
            .notes
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test]
async fn a_call_on_a_session_that_is_over_was_not_sent() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    within(labs.host.close()).await;
    let error = within(labs.client().quick(1)).await.expect_err("closed");
    assert!(
        matches!(error, CallError::NotSent(NotSent::Ended(_))),
        "{error:?}"
    );
    assert!(error.is_safe_to_retry());
}
