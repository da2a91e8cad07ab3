//! Row 6: what a session keeps does not grow with the calls that it has made. Alone in its process,
//! because it looks at the process's memory.
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

mod support;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rapace_session::{Session, Streaming, TableSizes, Tunnel};
use support::{pair, socket_pair, testbed};

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    pages * 4096
}

/// Some calls of every kind.
async fn calls(session: &Session, rounds: u32) {
    let client = testbed(session);
    for round in 0..rounds {
        let adds = (0..90).map(|at| client.add(at, 1));
        for sum in futures_util::future::join_all(adds).await {
            sum.expect("add");
        }
        client.echo(Bytes::from(vec![0; 3000])).await.expect("echo");
        assert!(client.divide(1, 0).await.expect("divide").is_err());
        client.sum(Streaming::from_iter(0..10)).await.expect("sum");
        assert_eq!(client.count(10).await.expect("count").count().await, 10);
        // Given up, before and after the answer.
        let _ = futures_util::FutureExt::now_or_never(client.nap(1000));
        drop(client.count(1000).await.expect("count"));
        if round % 16 == 0 {
            let (tunnel, remote) = Tunnel::pair();
            let call = client.pipe(remote);
            drop(tunnel);
            let _ = call.await;
        }
    }
}

async fn quiet(session: &Session) {
    for _ in 0..5000 {
        if session.table_sizes() == TableSizes::default() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("left behind: {:?}", session.table_sizes());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn row_06_memory_is_flat_over_many_calls() {
    for (host, plugin) in [pair(), socket_pair()] {
        calls(&host, 150).await;
        quiet(&host).await;
        let before = resident();
        // About 100,000 calls.
        calls(&host, 1050).await;
        quiet(&host).await;
        quiet(&plugin).await;
        let after = resident();
        let grown = after.saturating_sub(before);
        assert!(
            grown < before / 10 + (1 << 20),
            "{before} bytes before and {after} after 100,000 calls"
        );
    }
}
