//! The loops that measure.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;

use super::{
    CHUNKS_PER_STREAM, FLOOD_DEPTH, ITEMS_PER_STREAM, Latency, ONE_WAY_DEPTH, Sample, Work,
};
use crate::client::Client;

/// One round of `work`, about `budget` long, in a task of its own.
///
/// In a task because a multi-threaded runtime runs the future given to `block_on` outside its
/// workers, where every wake-up crosses threads; programs call from tasks.
pub(crate) async fn round<C: Client>(client: C, work: Work, budget: Duration) -> Result<Sample> {
    tokio::spawn(measure(client, work, budget))
        .await
        .context("the measuring task panicked")?
}

/// Longer calls are recorded as this long.
const LONGEST_CALL_NS: u64 = 60_000_000_000;

/// What payloads that are written in place are full of; its words' sum is no round number.
const FILLING: u64 = 0x0123_4567_89ab_cdef;

async fn measure<C: Client>(client: C, work: Work, budget: Duration) -> Result<Sample> {
    let payload = payload(work.payload_len());
    match work {
        Work::Echo64 | Work::Echo64K | Work::Echo1M => {
            one_by_one(budget, || client.echo(payload.clone())).await
        }
        Work::In64K | Work::In1M => one_by_one(budget, || client.sink(payload.clone())).await,
        Work::Flood64 => {
            let start = Instant::now();
            let operations = client.flood(payload, FLOOD_DEPTH, budget).await?;
            Ok(sample(operations, start.elapsed(), None))
        }
        Work::Copy64K | Work::Copy1M | Work::Copy16M => {
            let sum = super::sum(&payload);
            one_way(budget, move || {
                let (client, payload) = (client.clone(), payload.clone());
                async move { client.read(payload, sum).await }
            })
            .await
        }
        Work::Fill64K | Work::Fill1M | Work::Fill16M => {
            let len = work.payload_len();
            one_way(budget, move || {
                let client = client.clone();
                async move { client.fill(len, FILLING).await }
            })
            .await
        }
        Work::Frame16 | Work::Frame64 | Work::Wake64 | Work::Batch16 => {
            bail!("{} is no work for callers", work.name())
        }
        Work::Items => repeat(budget, ITEMS_PER_STREAM, || client.items(ITEMS_PER_STREAM)).await,
        Work::Chunks => {
            let len = work.payload_len() as u64;
            repeat(budget, CHUNKS_PER_STREAM, || {
                client.chunks(CHUNKS_PER_STREAM, len)
            })
            .await
        }
    }
}

/// Calls one after another, each timed.
async fn one_by_one<F>(budget: Duration, mut call: impl FnMut() -> F) -> Result<Sample>
where
    F: Future<Output = Result<()>>,
{
    let mut timer = CallTimer::start()?;
    while timer.elapsed() < budget {
        call().await?;
        timer.answered();
    }
    Ok(timer.sample())
}

/// Times calls that follow one another: the end of one is the start of the next.
pub(crate) struct CallTimer {
    times: Histogram<u32>,
    start: Instant,
    last: Instant,
}

impl CallTimer {
    pub(crate) fn start() -> Result<Self> {
        let times = Histogram::new_with_bounds(1, LONGEST_CALL_NS, 3)?;
        let start = Instant::now();
        Ok(Self {
            times,
            start,
            last: start,
        })
    }

    pub(crate) fn answered(&mut self) {
        let now = Instant::now();
        self.times
            .saturating_record((now - self.last).as_nanos() as u64);
        self.last = now;
    }

    /// From the start to the last answer.
    pub(crate) fn elapsed(&self) -> Duration {
        self.last - self.start
    }

    pub(crate) fn sample(&self) -> Sample {
        let latency = Latency {
            p50_ns: self.times.value_at_quantile(0.5),
            p99_ns: self.times.value_at_quantile(0.99),
        };
        sample(self.times.len(), self.elapsed(), Some(latency))
    }
}

/// [`ONE_WAY_DEPTH`] tasks that each send one payload after another.
async fn one_way<S, F>(budget: Duration, send: S) -> Result<Sample>
where
    S: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(ONE_WAY_DEPTH);
    for _ in 0..ONE_WAY_DEPTH {
        let send = send.clone();
        tasks.push(tokio::spawn(async move {
            let mut sent = 0;
            while start.elapsed() < budget {
                send().await?;
                sent += 1;
            }
            Ok::<u64, anyhow::Error>(sent)
        }));
    }
    let mut operations = 0;
    for task in tasks {
        operations += task.await.context("a sending task panicked")??;
    }
    Ok(sample(operations, start.elapsed(), None))
}

/// Streams of `size` operations one after another.
async fn repeat<F>(budget: Duration, size: u64, mut stream: impl FnMut() -> F) -> Result<Sample>
where
    F: Future<Output = Result<()>>,
{
    let start = Instant::now();
    let mut operations = 0;
    while start.elapsed() < budget {
        stream().await?;
        operations += size;
    }
    Ok(sample(operations, start.elapsed(), None))
}

pub(crate) fn sample(operations: u64, elapsed: Duration, latency: Option<Latency>) -> Sample {
    let (client_cpu, server_cpu) = (Duration::ZERO, Duration::ZERO);
    Sample {
        operations,
        elapsed,
        latency,
        client_cpu,
        server_cpu,
    }
}

/// Bytes that differ from their neighbours, so that a shifted echo shows at its ends.
pub(crate) fn payload(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ 0x5a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Subject;
    use crate::peers::channel;

    #[tokio::test]
    async fn every_work_counts_what_it_did() {
        let client = channel::start();
        for work in Work::ALL.into_iter().filter(|work| client.can(*work)) {
            let sample = round(client.clone(), work, Duration::from_millis(5))
                .await
                .unwrap();
            assert!(sample.operations > 0, "{}", work.name());
            assert!(
                sample.elapsed >= Duration::from_millis(5),
                "{}",
                work.name()
            );
            let timed = !work.streams() && work != Work::Flood64;
            assert_eq!(sample.latency.is_some(), timed, "{}", work.name());
        }
    }
}
