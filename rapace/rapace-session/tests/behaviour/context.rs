//! What a handler knows of its call, and calling back.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use rapace_session::{Client as _, Session};

use crate::lab::{About, LabClient, Labs};
use crate::{quiet, until, within};

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_asks_with_what_and_until_when() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    assert_eq!(labs.host.peer_name().as_deref(), Some("plugin"));
    assert_eq!(labs.plugin.peer_name().as_deref(), Some("host"));
    let plain = within(labs.client().about()).await.expect("about");
    let nothing = About {
        peer: Some("host".to_owned()),
        tag: None,
        entries: 0,
        millis_left: None,
    };
    assert_eq!(plain, nothing);
    let call = labs
        .client()
        .about()
        .metadata("tag", "red")
        .deadline(Duration::from_secs(5))
        .with_response_metadata();
    let (about, trailers) = within(call).await.expect("about");
    assert_eq!(about.tag, Some(Bytes::from_static(b"red")));
    let left = about.millis_left.expect("a deadline");
    assert!((4_990..=5_000).contains(&left), "{left} ms are left");
    assert_eq!(
        trailers.get("seen").map(|seen| &seen[..]),
        Some(&b"yes"[..])
    );
    // And the other way round.
    let back: LabClient = labs.plugin.client();
    let about = within(back.about()).await.expect("about");
    assert_eq!(about.peer.as_deref(), Some("plugin"));
}

#[tokio::test]
async fn handlers_call_back_in_the_middle_of_serving_both_ways_at_once() {
    let labs = Labs::new();
    let from = |session: &Session| session.client::<LabClient>();
    assert_eq!(within(from(&labs.host).bounce(3)).await.expect("bounce"), 3);
    assert_eq!(
        within(from(&labs.plugin).bounce(3)).await.expect("bounce"),
        3
    );
    let mut bounces = tokio::task::JoinSet::new();
    for at in 0..50 {
        bounces.spawn(from(&labs.host).bounce(at % 9));
        bounces.spawn(from(&labs.plugin).bounce(at % 9));
    }
    let mut sum = 0;
    while let Some(bounce) = within(bounces.join_next()).await {
        sum += bounce.expect("task").expect("bounce");
    }
    assert_eq!(sum, 2 * (0..50).map(|at| at % 9).sum::<u32>());
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn the_cancellation_token_tells_of_the_end_of_a_call_and_of_nothing_else() {
    let labs = Labs::new();
    let call = tokio::spawn(labs.client().hold());
    until("it is held", || labs.at_plugin.holding() == 1).await;
    let answered = labs.at_plugin.tokens.lock().expect("tokens").remove(0);
    let answered_context = labs.at_plugin.contexts.lock().expect("contexts").remove(0);
    assert!(!answered.is_cancelled());
    labs.at_plugin.gate.open(1);
    within(call).await.expect("task").expect("answered");

    let call = tokio::spawn(labs.client().hold());
    until("it is held", || labs.at_plugin.holding() == 1).await;
    let cancelled = labs.at_plugin.tokens.lock().expect("tokens").remove(0);
    let cancelled_context = labs.at_plugin.contexts.lock().expect("contexts").remove(0);
    call.abort();
    within(cancelled.cancelled()).await;
    until("it is dropped", || labs.at_plugin.holding() == 0).await;

    assert!(answered.cancelled().now_or_never().is_none());
    // Tokens that are asked for afterwards say the same, and leave nothing in the tables.
    assert!(!answered_context.cancellation().is_cancelled());
    assert!(cancelled_context.cancellation().is_cancelled());
    within(cancelled_context.cancellation().cancelled()).await;
    // Calling back from what outlives the call goes on working.
    let back = LabClient::from_caller(answered_context.caller());
    assert_eq!(within(back.quick(5)).await.expect("back"), 5);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_context_that_is_kept_does_not_keep_the_session_open() {
    let labs = Labs::new();
    labs.at_plugin.gate.open(1);
    within(labs.client().hold()).await.expect("held");
    let crate::lab::Labs {
        host,
        plugin,
        at_plugin,
        ..
    } = labs;
    drop(plugin);
    let end = within(host.closed()).await;
    assert!(end.is_clean(), "{end:?}");
    let context = at_plugin.contexts.lock().expect("contexts").remove(0);
    let back = LabClient::from_caller(context.caller());
    assert!(within(back.quick(1)).await.is_err());
    assert!(context.time_left().is_none());
}

#[tokio::test]
async fn without_a_subscriber_a_call_carries_no_metadata() {
    let labs = Labs::new();
    assert_eq!(
        within(labs.client().about()).await.expect("about").entries,
        0
    );
}
