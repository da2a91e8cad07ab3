//! Calls without an answer ([call.oneway]).

use std::sync::atomic::Ordering;

use crate::lab::Labs;
use crate::{quiet, until, within};

#[tokio::test]
async fn a_oneway_call_is_done_when_it_is_sent_and_arrives() {
    let labs = Labs::new();
    let client = labs.client();
    for _ in 0..500 {
        within(client.note(2)).await.expect("sent");
    }
    until("all have arrived", || {
        labs.at_plugin.notes.load(Ordering::SeqCst) == 1000
    })
    .await;
    quiet([&labs.host, &labs.plugin]).await;
    // Closing takes along what was sent before.
    for _ in 0..500 {
        within(client.note(2)).await.expect("sent");
    }
    assert!(within(labs.host.close()).await.is_clean());
    assert!(within(labs.plugin.closed()).await.is_clean());
    assert_eq!(labs.at_plugin.notes.load(Ordering::SeqCst), 2000);
    let error = within(client.note(1)).await.expect_err("over");
    assert!(error.is_safe_to_retry(), "{error:?}");
}

#[tokio::test]
async fn oneway_calls_are_not_cancelled_by_the_drop_of_their_future() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    for _ in 0..100 {
        let mut call = Box::pin(labs.client().note(1));
        assert!(futures_util::FutureExt::now_or_never(call.as_mut()).is_some());
        drop(call);
    }
    until("all have arrived", || {
        labs.at_plugin.notes.load(Ordering::SeqCst) == 100
    })
    .await;
}
