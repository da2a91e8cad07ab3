//! What the plugins did: one row each.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counts the calls to one plugin.
pub(crate) struct Meter {
    name: &'static str,
    state: Mutex<PluginSummary>,
}

/// What one plugin did during one build.
#[derive(Clone, Debug, Default)]
pub(crate) struct PluginSummary {
    /// Its name.
    pub(crate) name: &'static str,
    /// Payload bytes that the host sent.
    pub(crate) bytes_in: u64,
    /// Payload bytes that came back.
    pub(crate) bytes_out: u64,
    /// How often it had to be started again.
    pub(crate) restarts: u64,
    /// How long each call took. One entry per call of one build, then handed on.
    latencies: Vec<Duration>,
}

/// What all plugins did.
pub(crate) struct Summary {
    /// A row for each.
    pub(crate) plugins: Vec<PluginSummary>,
    /// How many processes were killed on purpose; nothing when that was not asked for.
    pub(crate) kills: Option<u64>,
}

impl Meter {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::new(PluginSummary {
                name,
                ..PluginSummary::default()
            }),
        }
    }

    /// Notes a finished call.
    pub(crate) fn record(&self, bytes_in: u64, bytes_out: u64, latency: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes_in += bytes_in;
        state.bytes_out += bytes_out;
        state.latencies.push(latency);
    }

    /// Hands over what was counted, with the `restarts` of the same time, and starts again from
    /// nothing.
    pub(crate) fn take(&self, restarts: u64) -> PluginSummary {
        let fresh = PluginSummary {
            name: self.name,
            ..PluginSummary::default()
        };
        let mut taken = std::mem::replace(
            &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner),
            fresh,
        );
        taken.restarts = restarts;
        taken.latencies.sort_unstable();
        taken
    }
}

impl PluginSummary {
    /// Calls that were answered.
    pub(crate) fn calls(&self) -> usize {
        self.latencies.len()
    }

    /// The latency that `percent` of the calls did not exceed; nothing without calls.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<10} {:>6} {:>10} {:>10} {:>9} {:>9} {:>8}",
            "plugin", "calls", "in", "out", "p50", "p99", "restarts"
        )?;
        for plugin in &self.plugins {
            writeln!(
                formatter,
                "{:<10} {:>6} {:>10} {:>10} {:>9} {:>9} {:>8}",
                plugin.name,
                plugin.calls(),
                size(plugin.bytes_in),
                size(plugin.bytes_out),
                plugin.percentile(50).map_or_else(|| "-".to_owned(), time),
                plugin.percentile(99).map_or_else(|| "-".to_owned(), time),
                plugin.restarts,
            )?;
        }
        match self.kills {
            Some(kills) => writeln!(formatter, "chaos: {kills} kills"),
            None => Ok(()),
        }
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time for people.
fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1e3 {
        format!("{micros:.0} µs")
    } else if micros < 1e6 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let meter = Meter::new("x");
        for millis in (1..=200).rev() {
            meter.record(1, 2, Duration::from_millis(millis));
        }
        let summary = meter.take(3);
        assert_eq!((summary.calls(), summary.restarts), (200, 3));
        assert_eq!((summary.bytes_in, summary.bytes_out), (200, 400));
        assert_eq!(summary.percentile(50), Some(Duration::from_millis(100)));
        assert_eq!(summary.percentile(99), Some(Duration::from_millis(198)));
        assert_eq!(meter.take(0).percentile(50), None);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
        assert_eq!(time(Duration::from_micros(900)), "900 µs");
        assert_eq!(time(Duration::from_micros(2500)), "2.5 ms");
    }
}
