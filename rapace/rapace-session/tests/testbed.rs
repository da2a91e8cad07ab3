//! The whole testbed, both ways, over every transport of this workspace.

#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rapace_session::{CallError, Code, Limits, NotSent, Session, Streaming, TableSizes, Tunnel};
use support::{pair, pair_with, socket_pair, testbed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn everything(session: &Session) {
    let testbed = testbed(session);
    assert_eq!(testbed.add(1, -2).await.expect("add"), -1);
    for len in [0, 1, 15, 16, 17, 100, 65_536, 1_000_000] {
        let data: Bytes = (0..len).map(|at| at as u8).collect::<Vec<u8>>().into();
        assert_eq!(
            testbed.echo(data.clone()).await.expect("echo"),
            data,
            "{len} bytes"
        );
    }
    assert_eq!(testbed.divide(7, 2).await.expect("divide"), Ok(3));
    assert_eq!(
        testbed.divide(7, 0).await.expect("divide"),
        Err("division by zero".to_owned())
    );
    match testbed.boom("ouch".to_owned()).await {
        Err(CallError::Status(status)) => {
            assert_eq!(
                (status.code, status.message.as_str()),
                (Code::INTERNAL, "ouch")
            );
        }
        other => panic!("boom gave {other:?}"),
    }
    assert_eq!(testbed.nap(5).await.expect("nap"), 5);
    let sum = testbed
        .sum(Streaming::from_iter(0..1000))
        .await
        .expect("sum");
    assert_eq!(sum, 499_500);
    let counted: Vec<u32> = testbed
        .count(2000)
        .await
        .expect("count")
        .map(|item| item.expect("item"))
        .collect()
        .await;
    assert_eq!(counted, (0..2000).collect::<Vec<u32>>());
    let words = ["a", "bc", "ä"].map(str::to_owned);
    let relayed: Vec<String> = testbed
        .relay(Streaming::from_iter(words))
        .await
        .expect("relay")
        .map(|item| item.expect("item"))
        .collect()
        .await;
    assert_eq!(relayed, ["A", "BC", "Ä"]);
    pipe(session, 3_000_000).await;
}

async fn pipe(session: &Session, len: usize) {
    let testbed = testbed(session);
    let (tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(testbed.pipe(remote));
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let sent: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.expect("write");
        writer.shutdown().await.expect("shutdown");
        writer
    });
    let mut echoed = Vec::new();
    reader.read_to_end(&mut echoed).await.expect("read");
    writing.await.expect("writer");
    assert!(
        echoed == expected,
        "{} bytes came back for {len}",
        echoed.len()
    );
    assert_eq!(call.await.expect("task").expect("pipe"), len as u64);
}

/// Row 10: memory of the link goes back when the last byte was read, not when the next ones come,
/// for which there may be no memory until then.
#[tokio::test]
async fn row_10_a_tunnel_keeps_no_memory_of_what_was_read() {
    let (host, plugin) = pair();
    let (mut tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(testbed(&host).pipe(remote));
    let lent = Arc::new(vec![7; 20_000]);
    let mut sent = Bytes::from_owner(Lent(lent.clone()));
    tunnel.send(&mut sent).await.expect("send");
    drop(sent);
    let mut echoed = vec![0; 20_000];
    tunnel.read_exact(&mut echoed).await.expect("read");
    assert_eq!(Arc::strong_count(&lent), 1, "the plugin has read all of it");
    tunnel.shutdown().await.expect("shutdown");
    assert_eq!(call.await.expect("task").expect("pipe"), 20_000);
    drop(plugin);
}

/// Memory that somebody waits to have back.
struct Lent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[tokio::test]
async fn the_testbed_answers_in_process_and_both_ways() {
    let (host, plugin) = pair();
    host.ready().await.expect("ready");
    everything(&host).await;
    everything(&plugin).await;
}

#[tokio::test]
async fn the_testbed_answers_over_a_socket_and_both_ways() {
    let (host, plugin) = socket_pair();
    everything(&host).await;
    everything(&plugin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn many_callers_on_many_threads() {
    let (host, _plugin) = socket_pair();
    let client = testbed(&host);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let client = client.clone();
        callers.spawn(async move {
            for at in 0..500 {
                assert_eq!(client.add(caller, at).await.expect("add"), caller + at);
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("caller");
    }
    assert_eq!(host.table_sizes(), TableSizes::default());
}

#[tokio::test]
async fn a_closed_session_ends_in_good_order_on_both_sides() {
    let (host, plugin) = pair();
    assert_eq!(testbed(&host).add(1, 1).await.expect("add"), 2);
    let end = host.close().await;
    assert!(end.is_clean(), "{end:?}");
    let end = plugin.closed().await;
    assert!(end.is_clean(), "{end:?}");
}

#[tokio::test]
async fn the_kept_end_of_a_tunnel_fails_when_its_call_was_not_sent() {
    let limits = Limits {
        max_pending_calls: 1,
        ..Limits::default()
    };
    let (host, _plugin) = pair_with(Limits::default(), limits);
    host.ready().await.expect("ready");
    let napping = tokio::spawn(testbed(&host).nap(60_000));
    tokio::task::yield_now().await;
    let (mut kept, remote) = Tunnel::pair();
    match testbed(&host).pipe(remote).await {
        Err(CallError::NotSent(NotSent::TooManyCalls { limit: 1 })) => {}
        other => panic!("pipe gave {other:?}"),
    }
    kept.read_u8()
        .await
        .expect_err("nobody is there to read from");
    kept.write_all(b"x").await.expect_err("nor to write to");
    napping.abort();
}
