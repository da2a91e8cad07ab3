//! Deadlines, in paused time.

use std::time::Duration;

use rapace_session::{CallError, Session};

use crate::lab::{LabClient, Labs};
use crate::{quiet, until, within};

const MS: Duration = Duration::from_millis(1);

fn passed(error: &CallError) -> bool {
    matches!(error, CallError::DeadlineExceeded)
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_before_sending_sends_nothing() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let call = labs.client().hold().deadline(Duration::ZERO);
    assert!(passed(&within(call).await.expect_err("passed")));
    tokio::time::sleep(5 * MS).await;
    assert_eq!(
        labs.at_plugin.tokens.lock().expect("tokens").len(),
        0,
        "it was sent"
    );
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_on_both_sides() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let before = tokio::time::Instant::now();
    let call = labs.client().hold().deadline(50 * MS);
    assert!(passed(&within(call).await.expect_err("passed")));
    let waited = before.elapsed();
    assert!(waited >= 50 * MS && waited <= 52 * MS, "{waited:?}");
    until("the handler is dropped", || labs.at_plugin.holding() == 0).await;
    let token = labs.at_plugin.tokens.lock().expect("tokens")[0].clone();
    assert!(token.is_cancelled());
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_later_deadline_does_not_hide_an_earlier_one() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let before = tokio::time::Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for millis in [500_u32, 20, 300, 10, 400, 15] {
        let call = labs.client().hold().deadline(millis * MS);
        calls.spawn(async move { (millis, call.await) });
        tokio::task::yield_now().await;
    }
    let mut order = Vec::new();
    while let Some(done) = within(calls.join_next()).await {
        let (millis, outcome) = done.expect("task");
        assert!(passed(&outcome.expect_err("passed")));
        let late = before.elapsed().saturating_sub(millis * MS);
        assert!(late <= 2 * MS, "{millis} ms took {late:?} longer");
        order.push(millis);
    }
    assert_eq!(order, [10, 15, 20, 300, 400, 500]);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_while_the_session_is_not_ready() {
    let (a, _b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let client: LabClient = host.client();
    let before = tokio::time::Instant::now();
    let call = client.quick(1).deadline(100 * MS);
    assert!(passed(&within(call).await.expect_err("passed")));
    let waited = before.elapsed();
    assert!(waited >= 100 * MS && waited <= 102 * MS, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_with_the_response_and_streams_outlive_it() {
    let labs = Labs::new();
    let call = labs.client().feed().deadline(50 * MS);
    let mut items = within(call).await.expect("feed");
    let sender = labs
        .at_plugin
        .feed
        .lock()
        .expect("feed")
        .take()
        .expect("a sender");
    tokio::time::sleep(200 * MS).await;
    within(sender.send(1)).await.expect("still open");
    let item = within(futures_util::StreamExt::next(&mut items)).await;
    assert_eq!(item.expect("more").expect("whole"), 1);
    // A stream of a call whose deadline passes goes with it.
    let (sender, numbers) = rapace_session::Streaming::channel(1);
    let call = labs.client().total(numbers).deadline(50 * MS);
    assert!(passed(&within(call).await.expect_err("passed")));
    within(sender.closed()).await;
    drop(items);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_disarms_the_deadline() {
    let labs = Labs::new();
    for n in 0..100 {
        let call = labs.client().quick(n).deadline(10 * MS);
        assert_eq!(within(call).await.expect("in time"), n);
    }
    tokio::time::sleep(50 * MS).await;
    assert_eq!(within(labs.client().quick(1)).await.expect("alive"), 1);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_set_while_serving_counts_from_then_however_long_the_session_was_idle() {
    let labs = Labs::new();
    let client = labs.client();
    // The first call of a method is measured, and so reads the clock; later ones may not.
    for _ in 0..3 {
        let left = within(client.ask_back(50)).await.expect("answered");
        assert!(left.is_some_and(|millis| millis <= 50), "{left:?} ms left");
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    quiet([&labs.host, &labs.plugin]).await;
}
