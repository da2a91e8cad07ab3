//! A plugin streams gigabytes to its host in chunks of 1 MiB, written where the host reads them:
//! `cargo run --release -p rapace-plugin --example stream_of_gigabytes -- 16`.
//!
//! Exits with 1 when either process ever holds more than 64 MiB above what it held at the start.

use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use rapace_plugin::Plugin;
use rapace_session::{Caller, Streaming};

const CHUNK: usize = 1 << 20;
const BOUND_KIB: u64 = 64 << 10;

/// What the plugin does.
#[rapace_macros::service(crate = "rapace_session")]
trait Source {
    /// So many chunks. Chunk n begins with n, and every other byte is the low byte of n.
    async fn stream(&self, chunks: u64) -> Streaming<Bytes>;
    /// What the process holds: now, and the most it ever held.
    async fn held(&self) -> (u64, u64);
}

struct InPlugin {
    host: Caller,
}

impl Source for InPlugin {
    async fn stream(&self, chunks: u64) -> Streaming<Bytes> {
        let (sender, streaming) = Streaming::channel(2);
        let host = self.host.clone();
        tokio::spawn(async move {
            for number in 0..chunks {
                let Ok(mut chunk) = host.loan(CHUNK).await else {
                    return;
                };
                chunk.fill(number as u8);
                chunk[..8].copy_from_slice(&number.to_le_bytes());
                if sender.send(chunk.freeze()).await.is_err() {
                    return;
                }
            }
        });
        streaming
    }

    async fn held(&self) -> (u64, u64) {
        held()
    }
}

/// What this process holds in KiB, private and shared memory together: now, and at its peak.
fn held() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kib.unwrap_or_default()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arg = std::env::args().nth(1);
    if arg.as_deref() == Some("--plugin") {
        let service = |host| SourceServer::new(InPlugin { host });
        rapace_plugin::run_with(service).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let gibibytes: u64 = arg.as_deref().unwrap_or("16").parse()?;
    let chunks = gibibytes << 10;
    let plugin = Plugin::current_exe().arg("--plugin").spawn().await?;
    plugin.ready().await?;
    let source: SourceClient = plugin.client();
    let (host_before, _) = held();
    let (plugin_before, _) = source.held().await?;

    let started = Instant::now();
    let mut stream = source.stream(chunks).await?;
    let mut received = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let ends = [chunk[8], chunk[CHUNK / 2], chunk[CHUNK - 1]];
        let number = u64::from_le_bytes(chunk[..8].try_into()?);
        if chunk.len() != CHUNK || number != received || ends != [number as u8; 3] {
            return Err(format!("chunk {received} is not what was sent").into());
        }
        received += 1;
    }
    let took = started.elapsed().as_secs_f64();
    if received != chunks {
        return Err(format!("{received} chunks of {chunks} came").into());
    }
    let host = held().1.saturating_sub(host_before);
    let plugin_peak = source.held().await?.1.saturating_sub(plugin_before);
    println!(
        "{gibibytes} GiB in {took:.1} s, {:.2} GiB/s",
        gibibytes as f64 / took
    );
    println!(
        "{:>8} {:>14} {:>18}",
        "", "at start, KiB", "peak above it, KiB"
    );
    println!("{:>8} {host_before:>14} {host:>18}", "host");
    println!("{:>8} {plugin_before:>14} {plugin_peak:>18}", "plugin");
    plugin.shutdown().await;
    let bounded = host <= BOUND_KIB && plugin_peak <= BOUND_KIB;
    if !bounded {
        println!("more than {BOUND_KIB} KiB");
    }
    Ok(if bounded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
