//! Streams and tunnels: backpressure, order, forwarding, places that may be empty.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rapace_session::ports::{EncodedPort, EncodedStream};
use rapace_session::{CallError, Client as _, Limits, Streaming, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::{LabClient, Labs};
use crate::{quiet, within};

const WINDOW: u32 = 256 * 1024;

fn narrow() -> Limits {
    Limits {
        window_bytes: WINDOW,
        ..Limits::default()
    }
}

/// How many items the flood has made when it has come to a stop.
async fn settle(labs: &Labs) -> u32 {
    let mut settled = 0;
    within(async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = labs.at_plugin.flooded.load(Ordering::SeqCst);
            if now == settled {
                return now;
            }
            settled = now;
        }
    })
    .await
}

#[tokio::test]
async fn row_04_one_unread_stream_stops_only_itself() {
    let labs = Labs::with(narrow(), narrow());
    let client = labs.client();
    let chunk = 16 * 1024;
    let mut unread = within(client.flood(chunk)).await.expect("flood");
    let settled = settle(&labs).await;
    // The window, and one batch that the sender has taken from the source.
    let in_flight = settled * (chunk + 3);
    assert!(in_flight >= WINDOW, "stopped early: {in_flight} bytes");
    assert!(
        in_flight <= WINDOW + 100 * 1024,
        "not bounded: {in_flight} bytes"
    );
    for n in 0..100 {
        assert_eq!(within(client.quick(n)).await.expect("quick"), n);
    }
    let total = within(client.total(Streaming::from_iter(0..100_000))).await;
    assert_eq!(total.expect("total"), 4_999_950_000);
    let mut read = within(client.one_of(false))
        .await
        .expect("one")
        .0
        .expect("first");
    assert_eq!(
        within(read.next()).await.expect("an item").expect("whole"),
        0
    );
    assert_eq!(labs.at_plugin.flooded.load(Ordering::SeqCst), settled);
    // Reading one item lets about one more be sent.
    for _ in 0..64 {
        within(unread.next())
            .await
            .expect("an item")
            .expect("whole");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let more = labs.at_plugin.flooded.load(Ordering::SeqCst) - settled;
    assert!((30..=90).contains(&more), "{more} more after 64 were read");
    drop((unread, read));
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_stream_of_many_small_items_is_bounded_by_the_window_too() {
    let labs = Labs::with(narrow(), narrow());
    let _unread = within(labs.client().flood(0)).await.expect("flood");
    let sent = settle(&labs).await;
    assert!(sent >= WINDOW, "stopped early: {sent}");
    assert!(
        sent <= WINDOW + 1024,
        "{sent} items of one byte in a window of {WINDOW}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_08_a_tunnel_is_exact_under_backpressure() {
    let narrow = Limits {
        window_bytes: 4096,
        ..Limits::default()
    };
    let (a, b) = rapace_mem::pair();
    let host = rapace_session::Session::builder()
        .limits(narrow.clone())
        .connect(a)
        .expect("host");
    let plugin = rapace_session::Session::builder()
        .serve(rapace_testbed::TestbedServer::new(rapace_testbed::Subject))
        .limits(narrow)
        .accept(b)
        .expect("plugin");
    let client: rapace_testbed::TestbedClient = host.client();
    let (tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(client.pipe(remote));
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let total = 1_000_003;
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    let writing = tokio::spawn(async move {
        let mut at = 0;
        let mut round = 0;
        while at < total {
            round += 1;
            let len = (round * 7919 % 9001).clamp(1, total - at);
            let bytes: Vec<u8> = (at..at + len).map(byte).collect();
            // A write is given up now and then: what it took is gone, what it did not take is not.
            let written = tokio::select! {
                biased;
                written = writer.write(&bytes) => written.expect("write"),
                () = tokio::task::yield_now() => 0,
            };
            at += written;
        }
        writer.shutdown().await.expect("shutdown");
    });
    let mut at = 0;
    let mut buffer = vec![0; 3000];
    loop {
        let len = within(reader.read(&mut buffer)).await.expect("read");
        if len == 0 {
            break;
        }
        for &got in &buffer[..len] {
            assert_eq!(got, byte(at), "at {at}");
            at += 1;
        }
        if at % 11 == 0 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    assert_eq!(at, total);
    within(writing).await.expect("writer");
    assert_eq!(
        within(call).await.expect("task").expect("pipe"),
        total as u64
    );
    drop(reader);
    quiet([&host, &plugin]).await;
}

#[tokio::test]
async fn a_received_stream_can_be_passed_on() {
    let labs = Labs::new();
    // Host -> plugin -> host, item by item.
    let items = Streaming::from_iter(0..50_000);
    let sum = within(labs.client().forward(items)).await.expect("forward");
    assert_eq!(sum, 1_249_975_000);
    let items = Streaming::from_iter(0..5000);
    let back = within(labs.client().send_back(items))
        .await
        .expect("send back");
    assert_eq!(within(back.count()).await, 5000);
    // A stream from an answer is passed to another call.
    let (first, _) = within(labs.client().one_of(false)).await.expect("one of");
    let sum = within(labs.client().total(first.expect("first"))).await;
    assert_eq!(sum.expect("total"), 45);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn streams_that_are_not_there_leave_the_others_their_places() {
    let labs = Labs::new();
    let client = labs.client();
    let some = || Some(Streaming::from_iter(1..=3_u32));
    assert_eq!(
        within(client.either(None, None)).await.expect("none"),
        (-7, -7)
    );
    assert_eq!(
        within(client.either(some(), None)).await.expect("first"),
        (6, -7)
    );
    assert_eq!(
        within(client.either(None, some())).await.expect("second"),
        (-7, 6)
    );
    assert_eq!(
        within(client.either(some(), some())).await.expect("both"),
        (6, 6)
    );
    let (first, second) = within(client.one_of(true)).await.expect("second");
    assert!(first.is_none());
    assert_eq!(within(second.expect("second").count()).await, 10);
    let (first, second) = within(client.one_of(false)).await.expect("first");
    assert!(second.is_none());
    assert_eq!(within(first.expect("first").count()).await, 10);
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn streams_that_nobody_takes_or_finishes_leave_nothing_behind() {
    let labs = Labs::new();
    let client = labs.client();
    for at in 0..200 {
        // Read in full.
        let items = within(client.one_of(at % 2 == 0)).await.expect("one of");
        let items = items.0.or(items.1).expect("one");
        assert_eq!(within(items.count()).await, 10);
        // Dropped unread.
        drop(within(client.one_of(true)).await.expect("one of"));
        // The call itself is dropped while its streams are on their way.
        let mut call = Box::pin(client.one_of(true));
        let _ = futures_util::FutureExt::now_or_never(call.as_mut());
        tokio::task::yield_now().await;
        drop(call);
        let mut call = Box::pin(client.total(Streaming::from_iter(0..100_000)));
        let _ = futures_util::FutureExt::now_or_never(call.as_mut());
        tokio::task::yield_now().await;
    }
    quiet([&labs.host, &labs.plugin]).await;
}

/// Calls that are known by their schema only: `either` and `one_of` with one of their two places
/// filled, items and values encoded by hand.
#[tokio::test]
async fn calls_by_schema_carry_streams_both_ways() {
    let labs = Labs::new();
    let method = |name: &str| {
        let mut methods = LabClient::descriptor().methods().iter();
        *methods
            .find(|method| method.spec().name == name)
            .expect("Lab has it")
    };
    let caller = labs.host.caller();

    let request = Bytes::from_static(&[0, 1, 2]);
    let items = futures_util::stream::iter([5_u8, 7, 9]).map(|n| Bytes::from(vec![n]));
    let call = caller.call_encoded(method("either"), request);
    let call = call.port(2, EncodedPort::Stream(EncodedStream::new(items)));
    let reply = within(call).await.expect("either");
    // −7 for the stream that is not there, and 21: zigzag varints.
    assert_eq!(reply.body()[..], [13, 42]);
    drop(reply);

    let call = caller.call_encoded(method("one_of"), Bytes::from_static(&[1]));
    let mut reply = within(call).await.expect("one_of");
    assert_eq!(reply.body()[..], [0, 1, 102]);
    assert!(reply.port(1).is_err(), "a port of the arguments");
    let EncodedPort::Stream(mut items) = reply.port(102).expect("the second stream") else {
        panic!("a tunnel");
    };
    drop(reply);
    let first = within(items.next()).await.expect("an item").expect("whole");
    assert_eq!(first[..], [0]);
    drop(items);

    let (_, passed) = Tunnel::pair();
    let call = caller.call_encoded(method("total"), Bytes::from_static(&[1]));
    let refused = within(call.port(1, EncodedPort::Tunnel(passed))).await;
    assert!(matches!(refused, Err(CallError::Encode(_))), "{refused:?}");
    quiet([&labs.host, &labs.plugin]).await;
}
