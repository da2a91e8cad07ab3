//! The service for nested callbacks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rapace_session::{Client as _, Context};

use crate::process::Process;

#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Bouncer {
    /// Calls the caller's `bounce` with one less, and so on; how often it went to and fro.
    async fn bounce(&self, cx: &Context, depth: u32) -> Result<u32, String>;
    /// Waits in virtual time before the answer; may be repeated.
    #[rapace(idempotent)]
    async fn later(&self, micros: u32, value: u64) -> u64;
    /// Must not run twice for one token; whether it has not.
    async fn once(&self, token: u64) -> bool;
    /// Ends this process's session with the caller in good order, soon after the answer.
    async fn retire(&self, cx: &Context);
    /// Nobody waits for this one.
    #[rapace(oneway)]
    async fn note(&self, value: u64);
}

/// The tokens that [`Bouncer::once`] was given, over all lives of all processes of a world.
#[derive(Clone, Default)]
pub(crate) struct Once {
    tokens: Arc<Mutex<BTreeSet<u64>>>,
}

impl Once {
    fn is_first(&self, token: u64) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token)
    }

    pub(crate) fn forget(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }
}

pub(crate) struct Bouncing {
    process: Process,
    once: Once,
}

impl Bouncing {
    pub(crate) fn new(process: &Process, once: Once) -> Self {
        Bouncing {
            process: process.clone(),
            once,
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
        let first = self.once.is_first(token);
        self.process
            .sleep(std::time::Duration::from_micros(token % 512))
            .await;
        first
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
