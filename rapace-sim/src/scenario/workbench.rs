//! The service of scenarios for what the testbed does not have: calls back into the caller, slow
//! readers and writers, methods that may be repeated or have no answer.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rapace_session::{Client as _, Context, Streaming};

use super::model::HOST;
use crate::process::Process;
use crate::time::Nanos;

/// What a process of a scenario can be asked to do, beside what
/// [`Testbed`](rapace_testbed::Testbed) offers.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Workbench {
    /// Which life of the process this is, from 1.
    async fn life(&self) -> u32;
    /// Sleeps so many milliseconds and returns the life; may be repeated.
    #[rapace(idempotent)]
    async fn steady(&self, millis: u32) -> u32;
    /// Remembers a number; there is no answer.
    #[rapace(oneway)]
    async fn remember(&self, number: u32);
    /// The sum of what was remembered in this life.
    async fn remembered(&self) -> u32;
    /// Calls `bounce` of the caller with one less, until `depth` is 0; how many calls that were.
    async fn bounce(&self, cx: &Context, depth: u32, data: Bytes) -> Result<u32, String>;
    /// As `bounce`, but calls back `width` times at once on each level.
    async fn fan(&self, cx: &Context, width: u32, depth: u32, data: Bytes) -> Result<u32, String>;
    /// So many items of so many bytes, with a pause of so many microseconds before each.
    async fn drip(&self, items: u32, bytes: u32, micros: u32) -> Streaming<Bytes>;
    /// Reads a stream with a pause of so many microseconds before each item; how many bytes came.
    async fn gulp(&self, items: Streaming<Bytes>, micros: u32) -> u64;
    /// Keeps a stream for so many milliseconds without reading, then drops it.
    async fn ignore(&self, items: Streaming<Bytes>, millis: u32) -> u32;
    /// Closes the session with the host in good order: what is under way is finished, nothing new is
    /// taken, then the process exits. Only plugins have one host to leave.
    async fn leave(&self);
    /// Ends the whole process at once, as `std::process::abort` would.
    async fn die(&self);
}

/// The one implementation.
pub(super) struct Bench {
    process: Process,
    sum: AtomicU32,
}

impl Bench {
    pub(super) fn new(process: &Process) -> Self {
        Bench {
            process: process.clone(),
            sum: AtomicU32::new(0),
        }
    }

    async fn pause(process: &Process, micros: u32) {
        if micros > 0 {
            process.sleep(Nanos::from_micros(u64::from(micros))).await;
        }
    }
}

impl Workbench for Bench {
    async fn life(&self) -> u32 {
        self.process.life()
    }

    async fn steady(&self, millis: u32) -> u32 {
        Self::pause(&self.process, millis.saturating_mul(1_000)).await;
        self.process.life()
    }

    async fn remember(&self, number: u32) {
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    async fn remembered(&self) -> u32 {
        self.sum.load(Ordering::Relaxed)
    }

    async fn bounce(&self, cx: &Context, depth: u32, data: Bytes) -> Result<u32, String> {
        if depth == 0 {
            return Ok(0);
        }
        let back = WorkbenchClient::from_caller(cx.caller());
        match back.bounce(depth - 1, data).await {
            Ok(below) => below.map(|calls| calls + 1),
            Err(error) => Err(format!("at depth {depth}: {error}")),
        }
    }

    async fn fan(&self, cx: &Context, width: u32, depth: u32, data: Bytes) -> Result<u32, String> {
        if depth == 0 {
            return Ok(0);
        }
        let back = WorkbenchClient::from_caller(cx.caller());
        let call = |_| back.fan(width, depth - 1, data.clone()).into_future();
        let mut calls: FuturesUnordered<_> = (0..width).map(call).collect();
        let mut total = 0;
        while let Some(result) = calls.next().await {
            match result {
                Ok(below) => total += 1 + below?,
                Err(error) => return Err(format!("at depth {depth}: {error}")),
            }
        }
        Ok(total)
    }

    async fn drip(&self, items: u32, bytes: u32, micros: u32) -> Streaming<Bytes> {
        let process = self.process.clone();
        let items = futures_util::stream::iter(0..items).then(move |n| {
            let process = process.clone();
            async move {
                Bench::pause(&process, micros).await;
                pattern(n, bytes)
            }
        });
        Streaming::new(items)
    }

    async fn gulp(&self, mut items: Streaming<Bytes>, micros: u32) -> u64 {
        let mut total = 0;
        while let Some(Ok(item)) = items.next().await {
            Self::pause(&self.process, micros).await;
            total += item.len() as u64;
        }
        total
    }

    async fn ignore(&self, items: Streaming<Bytes>, millis: u32) -> u32 {
        Self::pause(&self.process, millis.saturating_mul(1_000)).await;
        drop(items);
        millis
    }

    async fn leave(&self) {
        if let Some(session) = self.process.session(HOST) {
            // The close waits for this very call, so nobody can wait for the close here.
            self.process.spawn(async move {
                session.close().await;
            });
        }
    }

    async fn die(&self) {
        self.process.kill(self.process.name());
        std::future::pending::<()>().await;
    }
}

/// Bytes that tell which item they are and in which order they stand.
pub(super) fn pattern(item: u32, bytes: u32) -> Bytes {
    let byte = |at: u32| (at.wrapping_mul(31).wrapping_add(item.wrapping_mul(17)) >> 2) as u8;
    (0..bytes).map(byte).collect()
}

/// The testbed as it was before: its `add` took longer numbers.
pub(super) mod stale {
    /// As [`rapace_testbed::Testbed`] has it, with other types.
    #[rapace_macros::service(crate = "rapace_session")]
    pub(in crate::scenario) trait Testbed {
        /// The sum, wrapping.
        async fn add(&self, a: i32, b: i64) -> i64;
    }

    /// The implementation of a plugin that nobody has built anew.
    pub(in crate::scenario) struct Stale;

    impl Testbed for Stale {
        async fn add(&self, a: i32, b: i64) -> i64 {
            b.wrapping_add(i64::from(a))
        }
    }
}
