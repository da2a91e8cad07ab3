//! What plugins serve beside the testbed, for what that does not ask: nested callbacks, calls that
//! must run once, deadlines as handlers see them, streams that outlive their call, retiring.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rapace_session::{Client as _, Context, Streaming};

use crate::process::Process;

/// Nobody serves it.
#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Absent {
    /// Never runs.
    async fn nothing(&self);
}

#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Bouncer {
    /// Calls the caller's `bounce` with one less, and so on; how often it went to and fro.
    async fn bounce(&self, cx: &Context, depth: u32) -> Result<u32, String>;
    /// Waits in virtual time before the answer; may be repeated.
    #[rapace(idempotent)]
    async fn later(&self, micros: u32, value: u64) -> u64;
    /// Must not run twice for one token; whether it has not.
    async fn once(&self, token: u64) -> bool;
    /// What is left of the call's deadline when its handler starts, in nanoseconds; 0 without one.
    async fn time_left(&self, cx: &Context) -> u64;
    /// Answers at once and reads on: `total` items, unless some may be lost.
    async fn collect(&self, total: u32, lost_allowed: bool, items: Streaming<String>);
    /// Has the caller `collect` so many items of this side.
    async fn hand_over(&self, cx: &Context, total: u32, lost_allowed: bool) -> Result<(), String>;
    /// Ends this process's session with the caller in good order, soon after the answer.
    async fn retire(&self, cx: &Context);
    /// Nobody waits for this one.
    #[rapace(oneway)]
    async fn note(&self, value: u64);
}

/// What is known of all lives of all processes of a world.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// The tokens that [`Bouncer::once`] was given.
    tokens: Arc<Mutex<BTreeSet<u64>>>,
    /// Streams that [`Bouncer::collect`] has not read to their end.
    readers: Arc<AtomicUsize>,
}

impl Known {
    fn is_first(&self, token: u64) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token)
    }

    /// How many streams are being read by nobody's handler; those of dead processes do not count.
    pub(crate) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    pub(crate) fn forget(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }
}

/// Counts a reader for as long as its task lives.
struct Reading(Arc<AtomicUsize>);

impl Reading {
    fn begin(known: &Known) -> Self {
        known.readers.fetch_add(1, Ordering::Relaxed);
        Reading(known.readers.clone())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Bouncing {
    process: Process,
    known: Known,
}

impl Bouncing {
    pub(crate) fn new(process: &Process, known: Known) -> Self {
        Bouncing {
            process: process.clone(),
            known,
        }
    }
}

impl Bouncer for Bouncing {
    async fn bounce(&self, cx: &Context, depth: u32) -> Result<u32, String> {
        if depth == 0 {
            return Ok(0);
        }
        let back = BouncerClient::from_caller(cx.caller());
        match back.bounce(depth - 1).await {
            Ok(Ok(depth)) => Ok(depth + 1),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn later(&self, micros: u32, value: u64) -> u64 {
        let span = std::time::Duration::from_micros(u64::from(micros));
        self.process.sleep(span).await;
        value
    }

    async fn once(&self, token: u64) -> bool {
        let first = self.known.is_first(token);
        self.process
            .sleep(std::time::Duration::from_micros(token % 512))
            .await;
        first
    }

    async fn time_left(&self, cx: &Context) -> u64 {
        cx.time_left().map_or(0, |left| left.as_nanos() as u64)
    }

    async fn hand_over(&self, cx: &Context, total: u32, lost_allowed: bool) -> Result<(), String> {
        let back = BouncerClient::from_caller(cx.caller());
        let items = (0..total).map(|at| format!("item {at}"));
        let collected = back.collect(total, lost_allowed, Streaming::from_iter(items));
        collected.await.map_err(|error| error.to_string())
    }

    async fn collect(&self, total: u32, lost_allowed: bool, mut items: Streaming<String>) {
        let reading = Reading::begin(&self.known);
        // It dies with its process, and outlives its session.
        self.process.spawn(async move {
            let mut seen = 0;
            let ended = loop {
                match items.next().await {
                    Some(Ok(_)) => seen += 1,
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            };
            let whole = ended.is_ok() && seen == total;
            assert!(
                whole || lost_allowed,
                "{seen} of {total} items collected: {ended:?}"
            );
            drop(reading);
        });
    }

    async fn retire(&self, cx: &Context) {
        let _ = cx;
        if let Some(session) = self.process.session("host") {
            self.process.spawn(async move { session.close().await });
        }
    }

    async fn note(&self, value: u64) {
        let _ = value;
    }
}
