//! What the limits refuse, and that nothing else suffers from it.

use bytes::Bytes;
use rapace_session::{CallError, Code, Limits, NotSent, Session, Streaming};

use crate::lab::{Bench, LabClient, LabServer, Labs};
use crate::{quiet, until, within};

#[tokio::test]
async fn row_17_a_payload_over_16_mb_travels_and_one_over_the_limit_is_a_clear_error() {
    let (a, b) = tokio::net::UnixStream::pair().expect("socket pair");
    let host = Session::builder()
        .connect(rapace_stream::StreamTransport::from(a))
        .expect("host");
    let plugin = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .accept(rapace_stream::StreamTransport::from(b))
        .expect("plugin");
    let labs = Labs::new();
    for client in [labs.client(), host.client::<LabClient>()] {
        let len = 20_000_000;
        let data = Bytes::from(vec![1; len]);
        assert_eq!(
            within(client.weigh(data)).await.expect("there") as usize,
            len
        );
        let back = within(client.zeros(len as u32)).await.expect("back");
        assert_eq!(back.len(), len);
    }
    quiet([&host, &plugin]).await;

    let small = Limits {
        max_payload_size: 1 << 20,
        ..Limits::default()
    };
    for (here, there) in [
        (Limits::default(), small.clone()),
        (small, Limits::default()),
    ] {
        let labs = Labs::with(here, there);
        let client = labs.client();
        let error = within(client.weigh(Bytes::from(vec![1; 2 << 20]))).await;
        let error = error.expect_err("too large");
        let CallError::TooLarge { bytes, limit } = error else {
            panic!("{error:?}")
        };
        assert_eq!((bytes, limit), ((2 << 20) + 4, 1 << 20));
        assert!(error.is_safe_to_retry());
        assert!(error.to_string().contains("max_payload_size"), "{error}");
        let error = within(client.zeros(2 << 20)).await.expect_err("too large");
        let CallError::Status(status) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(status.code, Code::RESOURCE_EXHAUSTED);
        assert!(status.message.contains("1048576"), "{}", status.message);
        assert_eq!(within(client.zeros(1000)).await.expect("small").len(), 1000);
        quiet([&labs.host, &labs.plugin]).await;
    }
}

#[tokio::test]
async fn an_item_over_the_limit_breaks_its_stream_and_nothing_else() {
    let small = Limits {
        max_payload_size: 100_000,
        ..Limits::default()
    };
    let labs = Labs::with(small.clone(), small);
    let mut items = within(labs.client().flood(200_000)).await.expect("flood");
    let first = within(futures_util::StreamExt::next(&mut items)).await;
    assert!(matches!(first, Some(Err(_))), "{first:?}");
    assert_eq!(within(labs.client().quick(1)).await.expect("quick"), 1);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn more_calls_than_the_peer_allows_are_not_sent() {
    let few = Limits {
        max_pending_calls: 4,
        ..Limits::default()
    };
    let labs = Labs::with(Limits::default(), few);
    within(labs.host.ready()).await.expect("ready");
    let held: Vec<_> = (0..4).map(|_| tokio::spawn(labs.client().hold())).collect();
    until("four are held", || labs.at_plugin.holding() == 4).await;
    let error = within(labs.client().quick(1))
        .await
        .expect_err("one too many");
    assert!(
        matches!(
            error,
            CallError::NotSent(NotSent::TooManyCalls { limit: 4 })
        ),
        "{error:?}"
    );
    assert_eq!(error.code(), Code::RESOURCE_EXHAUSTED);
    labs.at_plugin.gate.open(4);
    for call in held {
        within(call).await.expect("task").expect("held");
    }
    assert_eq!(within(labs.client().quick(1)).await.expect("quick"), 1);
}

#[tokio::test]
async fn more_channels_than_the_peer_allows_fail_the_call_that_needs_them() {
    let few = Limits {
        max_channels: 2,
        ..Limits::default()
    };
    let labs = Labs::with(Limits::default(), few);
    let client = labs.client();
    within(labs.host.ready()).await.expect("ready");
    // A call and two streams are three.
    let some = || Some(Streaming::from_iter(0..3_u32));
    let error = within(client.either(some(), some()))
        .await
        .expect_err("three");
    assert!(
        matches!(
            error,
            CallError::NotSent(NotSent::TooManyChannels { limit: 2 })
        ),
        "{error:?}"
    );
    assert_eq!(
        within(client.either(some(), None)).await.expect("two"),
        (3, -7)
    );
    // The callee opens the streams of its answers.
    let first = within(client.flood(1000)).await.expect("first");
    let second = within(client.flood(1000)).await.expect("second");
    let error = within(client.feed()).await.expect_err("third");
    assert_eq!(error.code(), Code::RESOURCE_EXHAUSTED, "{error}");
    let items = Streaming::from_iter(0..3_u32);
    let error = within(client.send_back(items)).await.expect_err("likewise");
    assert_eq!(error.code(), Code::RESOURCE_EXHAUSTED, "{error}");
    assert_eq!(within(client.quick(1)).await.expect("quick"), 1);
    drop((first, second));
    quiet([&labs.host, &labs.plugin]).await;
    within(client.feed()).await.expect("again");
}

#[tokio::test]
async fn metadata_beyond_the_limits_is_not_sent() {
    let labs = Labs::new();
    let client = labs.client();
    within(labs.host.ready()).await.expect("ready");
    let big = || Bytes::from(vec![0; 16 * 1024]);
    let mut many = client.about();
    for at in 0..129 {
        many = many.metadata(format!("k{at}"), "v");
    }
    let bad = [
        client.about().metadata("Upper", "v"),
        client.about().metadata("", "v"),
        client.about().metadata("twice", "v").metadata("twice", "v"),
        client.about().metadata("k".repeat(257), "v"),
        client.about().metadata("k", vec![0; 16 * 1024 + 1]),
        client
            .about()
            .metadata("a", big())
            .metadata("b", big())
            .metadata("c", big())
            .metadata("d", big()),
        many,
    ];
    for (at, call) in bad.into_iter().enumerate() {
        let error = within(call).await.expect_err("bad metadata");
        assert!(
            matches!(error, CallError::NotSent(NotSent::BadMetadata(_))),
            "{at}: {error:?}"
        );
        assert_eq!(error.code(), Code::INVALID_ARGUMENT);
    }
    let mut full = client.about();
    for at in 0..128 {
        full = full.metadata(format!("k{at}"), "v");
    }
    assert_eq!(within(full).await.expect("as many as allowed").entries, 128);
    quiet([&labs.host, &labs.plugin]).await;
}
