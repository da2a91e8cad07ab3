//! Medians of the rounds.

use std::time::Duration;

use serde::Serialize;

use crate::args::Runtime;
use crate::cores::Placement;
use crate::work::{Latency, Sample, Work};

/// One figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None without figures. With an even number of them, the median is the lower middle one's
    /// mean with its neighbour.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            min,
            max,
        })
    }
}

/// One peer's figures for one work.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) peer: &'static str,
    pub(crate) work: Work,
    /// Operations per second.
    pub(crate) rate: Spread,
    /// Latency of single calls in µs, where one is in flight.
    pub(crate) p50_us: Option<Spread>,
    pub(crate) p99_us: Option<Spread>,
    /// CPU time per operation in µs: of the client's process, or of both sides if in one process.
    pub(crate) client_cpu_us: Spread,
    /// CPU time per operation in µs of the server's process, zero if there is none.
    pub(crate) server_cpu_us: Spread,
    /// Both together, per round, and then the median.
    pub(crate) cpu_us: Spread,
    /// System calls of both processes per operation, of a round of its own; where they are counted.
    pub(crate) system_calls: Option<f64>,
}

impl Outcome {
    /// `samples` must not be empty.
    pub(crate) fn of(peer: &'static str, work: Work, samples: &[Sample]) -> Self {
        let spread = |figure: &dyn Fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(figure)).expect("there is at least one round")
        };
        let latency = |figure: fn(&Latency) -> u64| {
            let ns = samples
                .iter()
                .filter_map(|sample| sample.latency.as_ref().map(figure));
            Spread::of(ns.map(|ns| ns as f64 / 1e3))
        };
        let per_operation = |cpu: Duration, sample: &Sample| {
            cpu.as_secs_f64() * 1e6 / sample.operations.max(1) as f64
        };
        Self {
            peer,
            work,
            rate: spread(&|sample| sample.operations as f64 / sample.elapsed.as_secs_f64()),
            p50_us: latency(|latency| latency.p50_ns),
            p99_us: latency(|latency| latency.p99_ns),
            client_cpu_us: spread(&|sample| per_operation(sample.client_cpu, sample)),
            server_cpu_us: spread(&|sample| per_operation(sample.server_cpu, sample)),
            cpu_us: spread(&|sample| per_operation(sample.client_cpu + sample.server_cpu, sample)),
            system_calls: None,
        }
    }

    /// Millions of payload bytes per second, counted once also where they travel both ways.
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.rate.median * self.work.payload_len() as f64 / 1e6
    }
}

/// What holds for a whole table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) runtime: Runtime,
    pub(crate) placement: Placement,
    /// Both sides in one process; otherwise two processes and a Unix socket.
    pub(crate) in_process: bool,
}

impl Setting {
    pub(crate) fn title(self) -> String {
        let place = match (self.in_process, self.placement) {
            (false, Placement::Shared) => "two processes on one core",
            (false, Placement::Apart) => "two processes on a core each",
            (false, Placement::Free) => "two processes on any cores",
            (true, Placement::Shared | Placement::Apart) => "one process on one core",
            (true, Placement::Free) => "one process on any cores",
        };
        format!("{place}, {}", self.runtime.name())
    }
}

/// Everything measured in one setting.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) setting: Setting,
    /// In the order of the works, then of the peers.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Table {
    pub(crate) fn find(&self, peer: &str, work: Work) -> Option<&Outcome> {
        self.outcomes
            .iter()
            .find(|outcome| outcome.peer == peer && outcome.work == work)
    }
}

#[cfg(test)]
// The figures are chosen so that no step rounds.
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_outliers() {
        let spread = Spread::of([5.0, 1.0, 1000.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                median: 5.0,
                min: 1.0,
                max: 1000.0
            }
        );
        assert_eq!(Spread::of([1.0, 2.0, 4.0, 100.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn figures_are_per_operation() {
        let sample = Sample {
            operations: 1000,
            elapsed: Duration::from_millis(100),
            latency: Some(Latency {
                p50_ns: 90_000,
                p99_ns: 200_000,
            }),
            client_cpu: Duration::from_millis(30),
            server_cpu: Duration::from_millis(20),
        };
        let outcome = Outcome::of("raw", Work::In1M, &[sample]);
        assert_eq!(outcome.rate.median, 10_000.0);
        assert_eq!(outcome.p50_us.unwrap().median, 90.0);
        assert_eq!(outcome.client_cpu_us.median, 30.0);
        assert_eq!(outcome.cpu_us.median, 50.0);
        assert_eq!(outcome.megabytes_per_second().round(), 10_486.0);
    }
}
