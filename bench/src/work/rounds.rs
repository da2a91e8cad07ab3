//! The loops that measure.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;

use super::{CHUNKS_PER_STREAM, FLOOD_DEPTH, ITEMS_PER_STREAM, Latency, Sample, Work};
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

/// Calls one after another, each timed; the end of one is the start of the next.
async fn one_by_one<F>(budget: Duration, mut call: impl FnMut() -> F) -> Result<Sample>
where
    F: Future<Output = Result<()>>,
{
    let mut times = Histogram::<u32>::new_with_bounds(1, LONGEST_CALL_NS, 3)?;
    let start = Instant::now();
    let mut last = start;
    while last - start < budget {
        call().await?;
        let now = Instant::now();
        times.saturating_record((now - last).as_nanos() as u64);
        last = now;
    }
    let latency = Latency {
        p50_ns: times.value_at_quantile(0.5),
        p99_ns: times.value_at_quantile(0.99),
    };
    Ok(sample(times.len(), last - start, Some(latency)))
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

fn sample(operations: u64, elapsed: Duration, latency: Option<Latency>) -> Sample {
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
fn payload(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8 ^ 0x5a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::channel;

    #[tokio::test]
    async fn every_work_counts_what_it_did() {
        let client = channel::start();
        for work in Work::ALL {
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
