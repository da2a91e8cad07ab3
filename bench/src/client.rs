//! What every peer must be able to do.
//!
//! The loops that measure are written once against [`Client`] and compiled for each peer, so none
//! pays for a virtual call that another does not; [`Subject`] hides the type only around a whole
//! round.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use crate::work::{self, Sample, Work};

/// The client side of one connection; clones share it.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Whether the peer has server streams at all.
    const STREAMS: bool;
    /// Whether it can [`read`](Client::read).
    const READS: bool = false;

    /// Sends `payload`, gets it back, and passes what came to [`check_echo`].
    fn echo(&self, payload: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Sends `payload`, gets its length back, and passes that to [`check_sunk`].
    fn sink(&self, payload: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Sends `payload`, of which the server reads every byte, and passes the sum that it returns,
    /// with the one it must be, to [`check_read`].
    fn read(&self, payload: Bytes, sum: u64) -> impl Future<Output = Result<()>> + Send {
        drop(payload);
        async move { bail!("this peer does not read, so nothing has the sum {sum}") }
    }

    /// Whether it can [`fill`](Client::fill).
    fn lends(&self) -> bool {
        false
    }

    /// Writes a payload of `len` bytes of this `value` where the server reads it, has it read, and
    /// passes the sum that it returns to [`check_read`].
    fn fill(&self, len: usize, value: u64) -> impl Future<Output = Result<()>> + Send {
        async move { bail!("this peer lends no memory for {len} bytes of {value}") }
    }

    /// Has the server stream the integers below `count`, and passes their sum to [`check_items`].
    fn items(&self, count: u64) -> impl Future<Output = Result<()>> + Send;

    /// Has the server stream `count` chunks of `len` bytes; passes the total to [`check_chunks`].
    fn chunks(&self, count: u64, len: u64) -> impl Future<Output = Result<()>> + Send;

    /// Echoes with `depth` calls in flight for `budget`; returns how many were answered.
    ///
    /// As a program with many things going on does it: `depth` tasks, each waiting for its own.
    fn flood(
        &self,
        payload: Bytes,
        depth: usize,
        budget: Duration,
    ) -> impl Future<Output = Result<u64>> + Send {
        let client = self.clone();
        async move {
            let stop = Arc::new(AtomicBool::new(false));
            let mut tasks = Vec::with_capacity(depth);
            for _ in 0..depth {
                let (client, payload, stop) = (client.clone(), payload.clone(), Arc::clone(&stop));
                tasks.push(tokio::spawn(async move {
                    let mut calls = 0;
                    while !stop.load(Ordering::Relaxed) {
                        client.echo(payload.clone()).await?;
                        calls += 1;
                    }
                    Ok::<u64, anyhow::Error>(calls)
                }));
            }
            tokio::time::sleep(budget).await;
            stop.store(true, Ordering::Relaxed);
            let mut calls = 0;
            for task in tasks {
                calls += task.await.context("a calling task panicked")??;
            }
            Ok(calls)
        }
    }
}

/// A connected peer of any kind.
pub(crate) trait Subject {
    fn can(&self, work: Work) -> bool;

    /// Whether both sides poll, so that they need a core each.
    fn polls(&self) -> bool {
        false
    }

    /// One round of `work`, about `budget` long.
    fn round(&self, work: Work, budget: Duration) -> RoundFuture;
}

/// One round in progress.
pub(crate) type RoundFuture = Pin<Box<dyn Future<Output = Result<Sample>> + Send>>;

impl<C: Client> Subject for C {
    fn can(&self, work: Work) -> bool {
        if work.is_of_link() {
            C::READS && work.is_copied_in() || self.lends() && work.is_filled()
        } else {
            C::STREAMS || !work.streams()
        }
    }

    fn round(&self, work: Work, budget: Duration) -> RoundFuture {
        Box::pin(work::round(self.clone(), work, budget))
    }
}

/// Every peer's echo passes here, so that no one is fast by not answering.
///
/// The length and both ends are compared: a full comparison of 1 MiB would be measured as well.
pub(crate) fn check_echo(sent: &[u8], received: &[u8]) -> Result<()> {
    ensure!(
        sent.len() == received.len()
            && sent.first() == received.first()
            && sent.last() == received.last(),
        "echoed {} bytes came back as {} other ones",
        sent.len(),
        received.len()
    );
    Ok(())
}

/// The receipt must name the length that was sent.
pub(crate) fn check_sunk(sent: &[u8], receipt: u64) -> Result<()> {
    ensure!(
        sent.len() as u64 == receipt,
        "the receipt for {} bytes says {receipt}",
        sent.len()
    );
    Ok(())
}

/// The sum of all words that were sent, against the sum of what the other side read.
pub(crate) fn check_read(sent: u64, read: u64) -> Result<()> {
    ensure!(sent == read, "other bytes were read than were sent");
    Ok(())
}

/// The sum of a stream of `count` integers from 0.
pub(crate) fn check_items(count: u64, sum: u64) -> Result<()> {
    let expected = count * count.saturating_sub(1) / 2;
    ensure!(
        sum == expected,
        "{count} items sum to {sum}, not {expected}"
    );
    Ok(())
}

/// The bytes of a stream of `count` chunks of `len`.
pub(crate) fn check_chunks(count: u64, len: u64, total: u64) -> Result<()> {
    ensure!(
        total == count * len,
        "{count} chunks of {len} bytes came as {total} bytes"
    );
    Ok(())
}
