//! How streams end before their end, and who hears of it.

use futures_util::FutureExt as _;
use rapace_session::{CallError, StreamError, Streaming, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::Labs;
use crate::{quiet, until, within};

#[tokio::test]
async fn a_reader_that_drops_its_stream_stops_the_sender() {
    let labs = Labs::new();
    // Callee reads: the handler goes on without the stream.
    let (sender, items) = Streaming::channel(1);
    let call = tokio::spawn(labs.client().take(2, items));
    within(sender.send(1)).await.expect("sent");
    within(sender.send(2)).await.expect("sent");
    within(sender.closed()).await;
    assert!(within(sender.send(3)).await.is_err());
    labs.at_plugin.gate.open(1);
    // The loss of a required port is the loss of the call ([stream.life]).
    let outcome = within(call).await.expect("task");
    assert!(
        matches!(outcome, Ok(2) | Err(CallError::Cancelled(_))),
        "{outcome:?}"
    );
    // Caller reads.
    let items = within(labs.client().feed()).await.expect("feed");
    let sender = labs
        .at_plugin
        .feed
        .lock()
        .expect("feed")
        .take()
        .expect("a sender");
    within(sender.send(1)).await.expect("sent");
    assert!(sender.closed().now_or_never().is_none());
    drop(items);
    within(sender.closed()).await;
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_sender_is_told_even_if_the_end_comes_while_its_stream_starts() {
    for _ in 0..500 {
        let labs = Labs::new();
        let (sender, items) = Streaming::<u32>::channel(1);
        let mut call = Box::pin(labs.client().total(items));
        let _ = call.as_mut().now_or_never();
        drop(call);
        within(sender.closed()).await;
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_the_streams_of_both_directions() {
    let labs = Labs::new();
    let (sender, items) = Streaming::channel(1);
    let call = tokio::spawn(labs.client().total(items));
    within(sender.send(1)).await.expect("sent");
    call.abort();
    within(sender.closed()).await;
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_source_that_panics_breaks_its_stream() {
    let labs = Labs::new();
    let mut items = within(labs.client().panics_after(5))
        .await
        .expect("the answer");
    let mut whole = 0;
    let error = loop {
        match within(items.next()).await {
            Some(Ok(item)) => {
                assert_eq!(item, whole);
                whole += 1;
            }
            Some(Err(error)) => break error,
            None => panic!("a clean end after {whole} items"),
        }
    };
    assert!(matches!(error, StreamError::Cancelled(_)), "{error:?}");
    // On the caller's side likewise: the callee must not take it for the end.
    let items =
        Streaming::from_iter((0..9_u32).inspect(|&at| assert!(at < 5, "the source panics")));
    let outcome = within(labs.client().total(items)).await;
    assert!(matches!(outcome, Ok(-1) | Err(_)), "{outcome:?}");
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_stream_that_is_passed_on_breaks_where_its_source_breaks() {
    let labs = Labs::new();
    let broken = within(labs.client().panics_after(5))
        .await
        .expect("the answer");
    let outcome = within(labs.client().total(broken)).await;
    assert!(
        matches!(outcome, Ok(-1) | Err(_)),
        "taken for all of it: {outcome:?}"
    );
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_stream_can_be_sent_once() {
    let labs = Labs::new();
    let (first, _) = within(labs.client().one_of(false)).await.expect("one of");
    let items = first.expect("first");
    let call = labs.client().total(Streaming::from_iter(0..3));
    assert_eq!(within(call).await.expect("total"), 3);
    drop(items);
    // An end of a tunnel that was not passed fails instead of waiting.
    let (mut kept, passed) = Tunnel::pair();
    drop(passed);
    let mut buffer = [0; 4];
    within(kept.read(&mut buffer))
        .await
        .expect_err("nobody is there");
    within(kept.write_all(b"x"))
        .await
        .expect_err("nobody is there");
    let (kept, mut passed) = Tunnel::pair();
    within(passed.read(&mut buffer))
        .await
        .expect_err("the wrong end");
    drop(kept);
}

#[tokio::test]
async fn a_stream_outlives_its_call_and_the_last_client() {
    let labs = Labs::new();
    let client = labs.client();
    let mut items = within(client.feed()).await.expect("feed");
    let sender = labs
        .at_plugin
        .feed
        .lock()
        .expect("feed")
        .take()
        .expect("a sender");
    let crate::lab::Labs { host, plugin, .. } = labs;
    drop((client, host));
    for n in 0..1000 {
        within(sender.send(n)).await.expect("sent");
        assert_eq!(within(items.next()).await.expect("more").expect("whole"), n);
    }
    assert!(plugin.end().is_none(), "the stream holds the session");
    drop(sender);
    assert!(within(items.next()).await.is_none());
    drop(items);
    let end = within(plugin.closed()).await;
    assert!(end.is_clean(), "{end:?}");
}

#[tokio::test]
async fn an_item_larger_than_the_window_passes() {
    let narrow = rapace_session::Limits {
        window_bytes: 1000,
        ..rapace_session::Limits::default()
    };
    let labs = Labs::with(narrow.clone(), narrow);
    let mut items = within(labs.client().flood(100_000)).await.expect("flood");
    for _ in 0..20 {
        assert_eq!(
            within(items.next())
                .await
                .expect("more")
                .expect("whole")
                .len(),
            100_000
        );
    }
    drop(items);
    until("the flood stops", || labs.plugin.table_sizes().ports == 0).await;
}
