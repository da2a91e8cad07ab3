//! Kills and restarts a plugin over and over and shows what is left behind:
//! `cargo run --release -p rapace-plugin --example restart_storm -- 1000`.
//!
//! Exits with 1 when descriptors, threads, tasks or memory grow.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rapace_plugin::{Backoff, Plugin, Restart};

/// What the plugin does.
#[rapace_macros::service(crate = "rapace_session")]
trait Echo {
    /// The same number.
    async fn echo(&self, number: u64) -> u64;
}

struct InPlugin;

impl Echo for InPlugin {
    async fn echo(&self, number: u64) -> u64 {
        number
    }
}

/// Memory may differ by this much: allocators keep some.
const RSS_SLACK_KIB: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Resources {
    fds: usize,
    threads: usize,
    tasks: usize,
    rss_kib: usize,
}

impl Resources {
    /// Linux only.
    fn now() -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse().ok());
        Ok(Resources {
            fds: std::fs::read_dir("/proc/self/fd")?.count(),
            threads: std::fs::read_dir("/proc/self/task")?.count(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            rss_kib: rss.unwrap_or_default(),
        })
    }

    fn has_grown_since(self, before: Self) -> bool {
        self.fds > before.fds
            || self.threads > before.threads
            || self.tasks > before.tasks
            || self.rss_kib > before.rss_kib + RSS_SLACK_KIB
    }
}

impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Resources {
            fds,
            threads,
            tasks,
            rss_kib,
        } = self;
        write!(
            f,
            "{fds} fds, {threads} threads, {tasks} tasks, {rss_kib} KiB resident"
        )
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arg = std::env::args().nth(1);
    if arg.as_deref() == Some("--plugin") {
        rapace_plugin::run(EchoServer::new(InPlugin)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let restarts: u64 = arg.as_deref().unwrap_or("1000").parse()?;
    let at_once = Backoff {
        initial: Duration::ZERO,
        limit: None,
        ..Backoff::default()
    };
    let at_once = Restart::Always(Backoff {
        max: Duration::ZERO,
        ..at_once
    });
    let plugin = Plugin::current_exe()
        .arg("--plugin")
        .restart(at_once)
        .spawn()
        .await?;
    plugin.ready().await?;
    let client: EchoClient = plugin.client();
    // What is allocated once is allocated by then.
    let warm_up = (restarts / 10).min(100);
    let mut before = Resources::now()?;
    let started = Instant::now();
    for life in 0..restarts {
        if life == warm_up {
            before = Resources::now()?;
        }
        let session = plugin.session().ok_or("the plugin is down")?;
        plugin.kill();
        session.closed().await;
        client.echo(life).await?;
    }
    let took = started.elapsed();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = Resources::now()?;
    println!("after {warm_up:>6} restarts: {before}");
    println!("after {restarts:>6} restarts: {after}");
    println!(
        "{:?} per restart, from SIGKILL to the next answer",
        took / restarts.max(1) as u32
    );
    plugin.shutdown().await;
    Ok(if after.has_grown_since(before) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
