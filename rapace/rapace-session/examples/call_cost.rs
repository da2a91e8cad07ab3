//! What a call costs in the session alone: both ends in one process, over a link that only moves
//! frames. Nanoseconds per call, medians of rounds.
//!
//! `cargo run --release -p rapace-session --example call_cost -- [rounds] [case]`
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock and owns its tasks"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_session::Session;
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

const CALLS: u32 = 20_000;

fn pair() -> (Session, Session) {
    let (a, b) = rapace_mem::pair();
    let serve = || Session::builder().serve(TestbedServer::new(Subject));
    let host = serve().connect(a).expect("host");
    let plugin = serve().accept(b).expect("plugin");
    (host, plugin)
}

async fn one_by_one(client: &TestbedClient) -> Duration {
    let started = Instant::now();
    for n in 0..CALLS as i32 {
        assert_eq!(client.add(n, 1).await.expect("add"), n + 1);
    }
    started.elapsed()
}

async fn echoes(client: &TestbedClient, data: &Bytes) -> Duration {
    let started = Instant::now();
    for _ in 0..CALLS {
        let same = client.echo(data.clone()).await.expect("echo");
        assert_eq!(same.len(), data.len());
    }
    started.elapsed()
}

async fn many_at_once(client: &TestbedClient, at_once: u32) -> Duration {
    let started = Instant::now();
    let callers: Vec<_> = (0..at_once)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for n in 0..(CALLS / at_once) as i32 {
                    assert_eq!(client.add(n, 1).await.expect("add"), n + 1);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("caller");
    }
    started.elapsed()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(21);
    let only = args.next();
    let cases = [
        "add, one by one",
        "echo of 64 B",
        "echo of 4 KiB",
        "add, 64 at once",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let (host, _plugin) = pair();
        host.ready().await.expect("ready");
        let client: TestbedClient = host.client();
        for case in cases {
            if only.as_ref().is_some_and(|only| !case.contains(only)) {
                continue;
            }
            let mut times = Vec::new();
            for _ in 0..rounds {
                times.push(match case {
                    "add, one by one" => one_by_one(&client).await,
                    "echo of 64 B" => echoes(&client, &Bytes::from(vec![1; 64])).await,
                    "echo of 4 KiB" => echoes(&client, &Bytes::from(vec![1; 4096])).await,
                    _ => many_at_once(&client, 64).await,
                });
            }
            times.sort_unstable();
            let ns = |time: Duration| time.as_nanos() / u128::from(CALLS);
            println!(
                "{case}: {} ns (best {})",
                ns(times[times.len() / 2]),
                ns(times[0])
            );
        }
    });
}
