//! How far a session has come, and waking those who wait for it.
//!
//! Not a `tokio::sync::watch`: that spreads its waiters over lists that it picks at random, so who
//! wakes first would differ from run to run, also in simulations. Here they wake in the order in
//! which they came.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::SessionEnd;

/// A stage of a session's life. They follow each other in this order.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Connecting,
    Ready,
    Ended(SessionEnd),
}

/// The stage of one session.
pub(crate) struct Lifecycle {
    stage: Mutex<Stage>,
    changed: Notify,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Lifecycle {
            stage: Mutex::new(Stage::Connecting),
            changed: Notify::new(),
        }
    }

    /// The stage now. Nothing else may be locked while the guard is held.
    pub(crate) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the next stage and wakes whoever waits.
    pub(crate) fn enter(&self, stage: Stage) {
        *self.stage() = stage;
        self.changed.notify_waiters();
    }

    /// Waits for a stage that `pick` takes something from. Cancel safe.
    pub(crate) async fn reach<T>(&self, pick: impl Fn(&Stage) -> Option<T>) -> T {
        loop {
            // Before the look: from here on no change goes by unnoticed.
            let changed = self.changed.notified();
            if let Some(picked) = pick(&self.stage()) {
                return picked;
            }
            changed.await;
        }
    }
}
