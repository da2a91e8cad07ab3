//! What the figures were measured on, and the CPU time of this process.
//!
//! Only facts that explain figures; nothing that names the machine.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::Serialize;

/// CPU time that this process has used so far, in user and kernel mode.
pub(crate) fn cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("ask for the CPU time used")?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
}

/// The machine, as the JSON tells it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) rustc: &'static str,
    /// The load average over the last minute, before anything was measured: with more than a
    /// fraction of a core busy, the figures are another program's as well.
    pub(crate) load_before: Option<f64>,
}

impl Machine {
    pub(crate) fn read() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            rustc: env!("BENCH_RUSTC"),
            load_before: load(),
        }
    }
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn load() -> Option<f64> {
    read("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

fn processor() -> Option<String> {
    let info = read("/proc/cpuinfo")?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_time() {
        let before = cpu_time().unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(start);
        }
        let spent = cpu_time().unwrap().saturating_sub(before);
        assert!(spent > Duration::from_millis(20), "only {spent:?}");
    }
}
