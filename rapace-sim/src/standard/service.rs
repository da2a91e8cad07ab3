//! The service for nested callbacks.

use rapace_session::{Client as _, Context};

use crate::process::Process;

#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Bouncer {
    /// Calls the caller's `bounce` with one less, and so on; how often it went to and fro.
    async fn bounce(&self, cx: &Context, depth: u32) -> Result<u32, String>;
    /// Waits in virtual time before the answer; may be repeated.
    #[rapace(idempotent)]
    async fn later(&self, micros: u32, value: u64) -> u64;
    /// Nobody waits for this one.
    #[rapace(oneway)]
    async fn note(&self, value: u64);
}

pub(crate) struct Bouncing {
    process: Process,
}

impl Bouncing {
    pub(crate) fn new(process: &Process) -> Self {
        Bouncing {
            process: process.clone(),
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

    async fn note(&self, value: u64) {
        let _ = value;
    }
}
