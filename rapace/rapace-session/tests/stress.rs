//! Everything at once, on many threads, over sockets: random calls, cancellations, streams and
//! tunnels, with a seed that a failure prints.

#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use rapace_session::{CallError, Session, Streaming, TableSizes, Tunnel};
use rapace_testbed::TestbedClient;
use support::{socket_pair, testbed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const RUN: Duration = Duration::from_secs(5);
const TASKS: u64 = 64;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One random call; what it gives is checked when it gives something.
async fn one(client: &TestbedClient, random: &mut Random) {
    match random.below(10) {
        0 | 1 => {
            let (a, b) = (random.next() as i32, random.next() as i32);
            assert_eq!(client.add(a, b).await.expect("add"), a.wrapping_add(b));
        }
        2 => {
            let len = [0, 10, 100, 5000, 70_000, 400_000][random.below(6) as usize];
            let data = Bytes::from(vec![random.next() as u8; len]);
            assert_eq!(client.echo(data.clone()).await.expect("echo"), data);
        }
        3 => {
            let error = client.boom("bang".to_owned()).await.expect_err("boom");
            assert!(matches!(error, CallError::Status(_)), "{error:?}");
        }
        4 => {
            let deadline = Duration::from_micros(random.below(3000));
            match client.nap(1).deadline(deadline).await {
                Ok(1) | Err(CallError::DeadlineExceeded) => {}
                other => panic!("{other:?}"),
            }
        }
        5 => {
            let n = random.below(3000) as i32;
            let sum: i64 = (0..i64::from(n)).sum();
            let got = client.sum(Streaming::from_iter(0..n)).await.expect("sum");
            assert_eq!(got, sum);
        }
        6 => {
            let n = random.below(3000) as u32;
            let read = random.below(u64::from(n) + 1) as usize;
            let items = client.count(n).await.expect("count");
            // Often only a part is read.
            let some: Vec<_> = items
                .take(read)
                .map(|item| item.expect("whole"))
                .collect()
                .await;
            assert!(some.iter().copied().eq(0..read as u32));
        }
        7 => {
            let n = random.below(300);
            let words = Streaming::from_iter((0..n).map(|at| format!("word {at}")));
            let items = client.relay(words).await.expect("relay");
            let words: Vec<_> = items.map(|item| item.expect("whole")).collect().await;
            assert_eq!(words.len() as u64, n);
            assert!(
                words
                    .iter()
                    .enumerate()
                    .all(|(at, word)| *word == format!("WORD {at}"))
            );
        }
        8 => tunnel(client, random).await,
        _ => {
            // Given up at a random moment.
            let after = Duration::from_micros(random.below(1500));
            let n = random.below(5000) as u32;
            let items = Streaming::from_iter(0..n as i32);
            let _ = match random.below(4) {
                0 => tokio::time::timeout(after, client.nap(1000))
                    .await
                    .map(drop),
                1 => tokio::time::timeout(after, client.sum(items))
                    .await
                    .map(drop),
                2 => tokio::time::timeout(after, client.count(n)).await.map(drop),
                _ => tokio::time::timeout(after, client.echo(vec![1; 100_000].into()))
                    .await
                    .map(drop),
            };
        }
    }
}

async fn tunnel(client: &TestbedClient, random: &mut Random) {
    let (tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(client.pipe(remote));
    let len = random.below(200_000) as usize;
    let fill = random.next() as u8;
    if random.below(4) == 0 {
        // Hung up without a goodbye.
        let mut tunnel = tunnel;
        let _ = tunnel.write(&vec![fill; len]).await;
        drop(tunnel);
        let _ = call.await.expect("task");
        return;
    }
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let writing = tokio::spawn(async move {
        writer.write_all(&vec![fill; len]).await.expect("write");
        writer.shutdown().await.expect("shutdown");
    });
    let mut echoed = Vec::new();
    reader.read_to_end(&mut echoed).await.expect("read");
    writing.await.expect("task");
    assert!(echoed.len() == len && echoed.iter().all(|&byte| byte == fill));
    assert_eq!(call.await.expect("task").expect("pipe"), len as u64);
}

/// Bytes of this process that are in memory; 0 where that cannot be seen.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

async fn storm(host: &Session, plugin: &Session, seed: u64, until: Instant) -> u64 {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        // Both sides call.
        let client = testbed(if task % 4 == 3 { plugin } else { host });
        tasks.spawn(async move {
            let mut random = Random(seed ^ (task << 32));
            let mut calls = 0;
            while Instant::now() < until {
                let step = tokio::time::timeout(Duration::from_secs(20), one(&client, &mut random));
                assert!(step.await.is_ok(), "a call of task {task} hangs");
                calls += 1;
            }
            calls
        });
    }
    let mut calls = 0;
    while let Some(done) = tasks.join_next().await {
        calls += done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn everything_at_once_leaves_nothing_behind() {
    let seed = match std::env::var("RAPACE_SEED") {
        Ok(seed) => seed.parse().expect("RAPACE_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH
            .elapsed()
            .map_or(1, |now| now.as_nanos() as u64),
    };
    eprintln!("RAPACE_SEED={seed}");
    // Handlers that are asked to panic need not tell anybody.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("bang") {
            loud(panic);
        }
    }));
    let (host, plugin) = socket_pair();
    storm(&host, &plugin, seed, Instant::now() + RUN / 4).await;
    let before = resident();
    let calls = storm(&host, &plugin, !seed, Instant::now() + RUN).await;
    eprintln!("{calls} calls");
    assert!(host.end().is_none() && plugin.end().is_none());
    let is_quiet = || {
        [&host, &plugin]
            .into_iter()
            .all(|session| session.table_sizes() == TableSizes::default())
    };
    let give_up = Instant::now() + Duration::from_secs(20);
    while !is_quiet() && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        is_quiet(),
        "seed {seed} left {:?} and {:?}",
        host.table_sizes(),
        plugin.table_sizes()
    );
    assert_eq!(testbed(&host).add(1, 1).await.expect("alive"), 2);
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "seed {seed}: {grown} bytes more in memory after {calls} calls"
    );
    assert!(host.close().await.is_clean());
    assert!(plugin.closed().await.is_clean());
}
