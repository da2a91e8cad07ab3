//! Kills a plugin over and over while it receives and sends payloads of 8 MiB, beside a plugin that
//! is left alone: `cargo run --release -p rapace-plugin --example killed_mid_transfer -- 1000`.
//!
//! Exits with 1 when a descriptor, a mapping, a page of shared memory or private memory is left
//! behind, or when the 99th percentile of the other plugin's calls more than doubles. Linux only.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_plugin::{Backoff, Plugin, Restart};
use rapace_session::CallError;

const PAYLOAD: usize = 8 << 20;
/// Kills before the first look: what is allocated once is allocated by then.
const WARM_UP: u64 = 50;
const CALLS_QUIET: usize = 5_000;
/// How often the other plugin is called.
const CALL_EVERY: Duration = Duration::from_millis(1);
/// Private memory may differ by this much: allocators keep some.
const RSS_SLACK_KIB: u64 = 2 << 10;
/// The whole system's shared memory may: other programs use it, too.
const SHMEM_SLACK_KIB: u64 = 16 << 10;

/// What both plugins do.
#[rapace_macros::service(crate = "rapace_session")]
trait Store {
    /// Takes a payload and says how long it was.
    async fn put(&self, payload: Bytes) -> u64;
    /// Makes a payload.
    async fn take(&self, bytes: u64) -> Bytes;
    /// The same number.
    async fn echo(&self, number: u64) -> u64;
}

struct InPlugin;

impl Store for InPlugin {
    async fn put(&self, payload: Bytes) -> u64 {
        payload.len() as u64
    }

    async fn take(&self, bytes: u64) -> Bytes {
        Bytes::from(vec![7; bytes as usize])
    }

    async fn echo(&self, number: u64) -> u64 {
        number
    }
}

#[derive(Clone, Copy)]
struct Resources {
    descriptors: u64,
    mappings: u64,
    lanes: u64,
    lane_files_of_all_processes: u64,
    private_kib: u64,
    shared_kib: u64,
    system_shmem_kib: u64,
}

impl Resources {
    fn now() -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let lanes = |maps: &str| maps.lines().filter(|l| l.contains("memfd:rapace")).count();
        // Whoever else maps or holds one of this user's lanes.
        let mut everywhere = 0;
        for process in std::fs::read_dir("/proc")?.flatten() {
            let maps = std::fs::read_to_string(process.path().join("maps"));
            everywhere += maps.map_or(0, |maps| lanes(&maps));
            let held = std::fs::read_dir(process.path().join("fd")).into_iter();
            let held = held.flatten().flatten();
            let targets = held.filter_map(|fd| std::fs::read_link(fd.path()).ok());
            everywhere += targets
                .filter(|file| file.to_string_lossy().contains("memfd:rapace"))
                .count();
        }
        Ok(Resources {
            descriptors: std::fs::read_dir("/proc/self/fd")?.count() as u64,
            mappings: maps.lines().count() as u64,
            lanes: lanes(&maps) as u64,
            lane_files_of_all_processes: everywhere as u64,
            private_kib: kib(&status, "RssAnon:"),
            shared_kib: kib(&status, "RssShmem:"),
            system_shmem_kib: kib(&memory, "Shmem:"),
        })
    }

    /// Names, values and how much they may grow. The number of mappings is not bounded: allocators
    /// map and unmap.
    fn rows(self) -> [(&'static str, u64, Option<u64>); 7] {
        [
            ("descriptors", self.descriptors, Some(0)),
            ("mappings", self.mappings, None),
            ("mapped lanes", self.lanes, Some(0)),
            (
                "lanes in all processes",
                self.lane_files_of_all_processes,
                None,
            ),
            ("private memory, KiB", self.private_kib, Some(RSS_SLACK_KIB)),
            ("shared memory, KiB", self.shared_kib, Some(256)),
            (
                "system's Shmem, KiB",
                self.system_shmem_kib,
                Some(SHMEM_SLACK_KIB),
            ),
        ]
    }
}

fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or_default()
}

/// Of the latencies of calls.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: Duration,
    p99: Duration,
}

impl Percentiles {
    fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |percent| latencies[(latencies.len() - 1) * percent / 100];
        Percentiles {
            p50: at(50),
            p99: at(99),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:?}, p99 {:?}", self.p50, self.p99)
    }
}

/// Calls at a steady pace until told to stop, or `calls` times.
async fn latencies(store: StoreClient, calls: usize, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut taken = Vec::new();
    let mut pace = tokio::time::interval(CALL_EVERY);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while taken.len() < calls && !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let begin = Instant::now();
        let number = taken.len() as u64;
        match store.echo(number).await {
            Ok(same) if same == number => taken.push(begin.elapsed()),
            other => panic!("the plugin that is left alone answered {other:?}"),
        }
    }
    taken
}

/// Keeps two payloads on their way in each direction.
async fn transfer(store: StoreClient, payload: Bytes, moved: Arc<AtomicU64>) {
    loop {
        let put = store.put(payload.clone()).await.map(|bytes| bytes as usize);
        check(put, &moved);
        let taken = store.take(PAYLOAD as u64).await;
        check(taken.map(|taken| taken.len()), &moved);
    }
}

fn check(done: Result<usize, CallError>, moved: &AtomicU64) {
    match done {
        Ok(bytes) => {
            assert_eq!(bytes, PAYLOAD, "a payload was cut");
            moved.fetch_add(1, Ordering::Relaxed);
        }
        Err(CallError::PeerDied(_)) => {}
        Err(other) => panic!("a death looked like this: {other}"),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<ExitCode, Failure> {
    let arg = std::env::args().nth(1);
    if arg.as_deref() == Some("--plugin") {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let plugin = rapace_plugin::run(StoreServer::new(InPlugin));
        runtime.enable_all().build()?.block_on(plugin)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Copying a payload takes a millisecond of a thread, which must not be the one that the other
    // plugin's calls need.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build()?;
    runtime.block_on(runtime.spawn(host(arg)))?
}

async fn host(arg: Option<String>) -> Result<ExitCode, Failure> {
    let kills: u64 = arg.as_deref().unwrap_or("1000").parse()?;
    let at_once = Restart::Always(Backoff {
        initial: Duration::ZERO,
        max: Duration::ZERO,
        limit: None,
        ..Backoff::default()
    });
    let plugin = |name| Plugin::current_exe().arg("--plugin").name(name);
    let victim = plugin("victim").restart(at_once).spawn().await?;
    let other = plugin("other").spawn().await?;
    victim.ready().await?;
    other.ready().await?;

    let stop = Arc::new(AtomicBool::new(false));
    latencies(other.client(), 500, stop.clone()).await;
    let quiet = Percentiles::of(latencies(other.client(), CALLS_QUIET, stop.clone()).await);

    // Made once: an allocator that frees megabytes over and over keeps some of them.
    let payload = Bytes::from(vec![1; PAYLOAD]);
    // How much of it is the transfers alone.
    let moved = Arc::new(AtomicU64::new(0));
    let transfers =
        [0, 1].map(|_| tokio::spawn(transfer(victim.client(), payload.clone(), moved.clone())));
    let busy = Percentiles::of(latencies(other.client(), CALLS_QUIET, stop.clone()).await);
    for transfer in transfers {
        transfer.abort();
    }

    let mut calls = None;
    let mut before = None;
    let started = Instant::now();
    for kill in 0..WARM_UP + kills {
        if kill == WARM_UP {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            before = Some(Resources::now()?);
            let (client, stop) = (other.client(), stop.clone());
            calls = Some(tokio::spawn(latencies(client, usize::MAX, stop)));
        }
        let session = victim.session().ok_or("the victim is down")?;
        let transfers =
            [0, 1].map(|_| tokio::spawn(transfer(victim.client(), payload.clone(), moved.clone())));
        // From the first byte of the first payload to well into the second.
        tokio::time::sleep(Duration::from_micros(500 + kill * 7_919 % 8_000)).await;
        victim.kill();
        session.closed().await;
        for transfer in transfers {
            transfer.abort();
            if let Err(end) = transfer.await
                && end.is_panic()
            {
                std::panic::resume_unwind(end.into_panic());
            }
        }
        victim.client::<StoreClient>().echo(kill).await?;
    }
    let took = started.elapsed();
    stop.store(true, Ordering::Relaxed);
    let disturbed = Percentiles::of(calls.ok_or("no kills")?.await?);
    // Memory beyond the first lane is given back when it was idle for a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let before = before.ok_or("no kills")?;
    let after = Resources::now()?;

    println!(
        "{kills} kills, {:?} each; {} payloads of 8 MiB arrived",
        took / (kills + WARM_UP) as u32,
        moved.load(Ordering::Relaxed)
    );
    let mut kept = true;
    println!("{:<24} {:>12} {:>12}", "", "before", "after");
    for ((name, before, slack), (_, after, _)) in before.rows().into_iter().zip(after.rows()) {
        let ok = slack.is_none_or(|slack| after <= before + slack);
        let verdict = if ok { "" } else { "  LEFT BEHIND" };
        kept &= ok;
        println!("{name:<24} {before:>12} {after:>12}{verdict}");
    }
    println!("the other plugin's calls, nothing else going on: {quiet}");
    println!("                          transfers and no kills: {busy}");
    println!("                             transfers and kills: {disturbed}");
    if disturbed.p99 > quiet.p99 * 2 {
        println!("its p99 more than doubled");
        kept = false;
    }
    victim.shutdown().await;
    other.shutdown().await;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
