//! What many restarts and long silences cost.
//!
//! Apart from the other tests, which run in the same process under `cargo test`: this looks at
//! what the whole process holds and uses.

#[path = "plugins/lab.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod lab;

use std::time::{Duration, Instant};

use rapace_plugin::{Backoff, PluginHost, Restart};
use tokio::sync::Mutex;

use crate::lab::{LabClient, cpu_micros, lab, ready, soon};

/// One test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The example `restart_storm` does any number.
const RESTARTS: u64 = 1000;

#[derive(Clone, Copy, Debug)]
struct Resources {
    fds: usize,
    threads: usize,
    tasks: usize,
    rss_kib: usize,
}

impl Resources {
    fn now() -> Self {
        let entries = |dir| std::fs::read_dir(dir).expect("a directory").count();
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a size");
        Resources {
            fds: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            rss_kib: rss
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .expect("a number"),
        }
    }
}

async fn restart(plugin: &PluginHost, client: &LabClient) {
    let session = plugin.session().expect("a session");
    let life = plugin.restarts();
    assert!(plugin.kill());
    soon(session.closed()).await;
    soon(client.pid())
        .await
        .expect("an answer from the next life");
    assert_eq!(plugin.restarts(), life + 1);
}

#[tokio::test]
async fn row_13_a_thousand_restarts_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let at_once = Backoff {
        initial: Duration::ZERO,
        limit: None,
        ..Backoff::default()
    };
    let (plugin, client) = ready(lab().restart(Restart::Always(at_once))).await;
    for _ in 0..100 {
        restart(&plugin, &client).await;
    }
    let before = Resources::now();
    let started = Instant::now();
    for _ in 100..RESTARTS {
        restart(&plugin, &client).await;
    }
    let each = started.elapsed() / (RESTARTS - 100) as u32;
    // The pipes of the last life but one may be on their way out.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = Resources::now();
    println!("{before:?} -> {after:?}, {each:?} per restart");
    assert_eq!(after.fds, before.fds, "descriptors");
    assert_eq!(after.threads, before.threads, "threads");
    assert_eq!(after.tasks, before.tasks, "tasks");
    assert!(
        after.rss_kib < before.rss_kib + 1024,
        "memory: {before:?} -> {after:?}"
    );
}

#[tokio::test]
async fn row_19_an_idle_link_uses_no_cpu() {
    let _alone = ALONE.lock().await;
    let (_plugin, client) = ready(lab()).await;
    let plugin_before = soon(client.cpu_micros()).await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let host_before = cpu_micros();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let host = cpu_micros() - host_before;
    let plugin = soon(client.cpu_micros()).await.expect("an answer") - plugin_before;
    println!("in a second: host {host} µs, plugin {plugin} µs");
    // A timer every 10 ms would cost ten times this.
    assert!(host < 2_000, "the host used {host} µs in an idle second");
    // Two calls are part of this.
    assert!(
        plugin < 5_000,
        "the plugin used {plugin} µs in an idle second"
    );
}
