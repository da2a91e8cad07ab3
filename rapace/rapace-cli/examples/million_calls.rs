//! A million calls on one session: does memory stay flat, are the tables empty at the end?
//!
//! `cargo run --release -p rapace-cli --example million_calls -- [CALLS] [IN_FLIGHT]`
//!
//! Both sessions live in this process, in tasks of their own, over a Unix socket pair; so the
//! memory is that of caller and callee together. Every 100th call is a stream in either direction,
//! every 250th is cancelled while its handler sleeps. Exits 1 if memory at the end is not within
//! 10 % of memory after 10,000 calls, or a table is not empty.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use rapace_session::{Session, Streaming, TableSizes};
use rapace_stream::StreamTransport;
use rapace_testbed::{Subject, TestbedClient, TestbedServer};
use tokio::task::JoinSet;

/// Calls after which memory is taken for settled.
const WARM_UP_CALLS: u64 = 10_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        let given = arguments
            .next()
            .map(|text| text.parse().expect("a number of calls"));
        given.unwrap_or(default)
    };
    let (calls, in_flight) = (number(1_000_000), number(64));

    let (here, there) = tokio::net::UnixStream::pair().expect("a socket pair");
    let builder = || Session::builder().serve(TestbedServer::new(Subject));
    let caller = builder()
        .connect(StreamTransport::from(here))
        .expect("the caller starts");
    let callee = builder()
        .accept(StreamTransport::from(there))
        .expect("the callee starts");

    let started = Instant::now();
    let warm = run(&caller, WARM_UP_CALLS.min(calls), in_flight).await;
    println!("{warm:>9} calls: {} KiB", rss_kib());
    let settled = rss_kib();
    let mut done = warm;
    while done < calls {
        done += run(&caller, (calls / 10).min(calls - done), in_flight).await;
        println!("{done:>9} calls: {} KiB", rss_kib());
    }
    let elapsed = started.elapsed();
    let growth = rss_kib() as f64 / settled as f64 * 100.0 - 100.0;
    println!(
        "{:.0} calls/s with {in_flight} in flight; {:.1} µs of CPU per call, both sides",
        calls as f64 / elapsed.as_secs_f64(),
        cpu_seconds() * 1e6 / calls as f64
    );

    // Cancelled handlers and the last frames take a moment.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let napping = caller
        .client::<TestbedClient>()
        .naps_running()
        .await
        .expect("an answer");
    let sizes = [caller.table_sizes(), callee.table_sizes()];
    let empty = sizes == [TableSizes::default(); 2];
    println!("memory since {warm} calls: {growth:+.1} %; handlers left: {napping}");
    println!("tables of caller and callee: {sizes:?}");
    if growth <= 10.0 && empty && napping == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Makes `calls` calls, `in_flight` at a time.
async fn run(session: &Session, calls: u64, in_flight: u64) -> u64 {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (client, next) = (session.client::<TestbedClient>(), next.clone());
        callers.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= calls {
                    return;
                }
                call(&client, at).await;
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("every call gave what it should");
    }
    calls
}

async fn call(client: &TestbedClient, at: u64) {
    let small = (at % 1000) as i32;
    if at % 250 == 7 {
        // Dropping the future at the end of this block cancels the call.
        let nap = client.nap(60_000);
        assert!(
            tokio::time::timeout(Duration::from_millis(2), nap)
                .await
                .is_err()
        );
    } else if at % 200 == 3 {
        let counted = client.count(50).await.expect("count").count().await;
        assert_eq!(counted, 50);
    } else if at % 200 == 103 {
        let sum = client.sum(Streaming::from_iter(0..50)).await.expect("sum");
        assert_eq!(sum, 1225);
    } else {
        assert_eq!(client.add(small, 1).await.expect("add"), small + 1);
    }
}

/// Resident memory of this process.
fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line for it");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

/// CPU time of this process, in user and kernel mode.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the state of this process");
    // After the name in parentheses; the times are the 14th and 15th field, in hundredths.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum::<f64>()
        / 100.0
}
