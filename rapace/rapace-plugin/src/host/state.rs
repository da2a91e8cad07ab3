//! What a plugin is doing, and what its handle, its supervisor and its clients share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rapace_session::{Runtime, Session};
use rapace_transport::ExitReason;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::error::PluginError;
use crate::process::Signaller;

/// States that a [`PluginStates`] may lag behind before it skips some.
const STATES_MAX: usize = 64;

/// What a plugin is doing.
///
/// ```text
///            ┌──────── restart ────────┐
///            ▼                         │
/// Starting ──► Ready ──► Stopping ──► Down ──► Failed
///            │              ▲    └──► Stopped
///            └──────────────┘
/// ```
///
/// `life` counts the processes of one plugin, from 0.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PluginState {
    /// The process is being started, or has not completed the handshake.
    Starting {
        /// Which life of the plugin.
        life: u64,
    },
    /// It answers calls.
    Ready {
        /// Which life of the plugin.
        life: u64,
        /// Its process id.
        pid: u32,
    },
    /// It answers no new calls, and the process is on its way out.
    Stopping {
        /// Which life of the plugin.
        life: u64,
        /// Its process id.
        pid: u32,
    },
    /// The process is gone and will be started again.
    Down {
        /// Why.
        reason: PluginError,
        /// When, counted from the beginning of this state.
        restart_in: Duration,
    },
    /// It will not be started again.
    Failed {
        /// Why.
        error: PluginError,
    },
    /// The host has stopped it.
    Stopped(Stopped),
}

impl PluginState {
    /// Whether nothing will change any more.
    pub fn is_final(&self) -> bool {
        matches!(self, PluginState::Failed { .. } | PluginState::Stopped(_))
    }
}

/// How a plugin was stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stopped {
    /// How the process ended; `None` when there was none, or the system did not tell.
    pub exit: Option<ExitReason>,
    /// Whether all calls under way were finished first.
    pub drained: bool,
    /// Whether the process had to be signalled.
    pub forced: bool,
}

/// Every state of a plugin, in order: for metrics and progress displays. See
/// [`PluginHost::states`](super::PluginHost::states).
#[derive(Debug)]
pub struct PluginStates {
    receiver: broadcast::Receiver<PluginState>,
}

impl PluginStates {
    /// The next state; `None` after the last. A receiver that lags more than 64 states behind
    /// skips the oldest. Cancel safe.
    pub async fn next(&mut self) -> Option<PluginState> {
        loop {
            match self.receiver.recv().await {
                Ok(state) => return Some(state),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Shared by the handle, the supervisor and all clients of one plugin.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    /// The clock of all lives: deadlines of calls that wait for the next life are measured by it.
    pub(super) runtime: Arc<dyn Runtime>,
    state: watch::Sender<PluginState>,
    /// Dropped with the last state, so that receivers see the end.
    states: Mutex<Option<broadcast::Sender<PluginState>>>,
    session: RwLock<Option<Session>>,
    signaller: Mutex<Signaller>,
    restarts: AtomicU64,
}

impl Shared {
    pub(super) fn new(name: Arc<str>, runtime: Arc<dyn Runtime>) -> Self {
        Shared {
            name,
            runtime,
            state: watch::Sender::new(PluginState::Starting { life: 0 }),
            states: Mutex::new(Some(broadcast::Sender::new(STATES_MAX))),
            session: RwLock::new(None),
            signaller: Mutex::new(Signaller::default()),
            restarts: AtomicU64::new(0),
        }
    }

    /// The session of the present life, while it is ready and has not ended.
    pub(super) fn session(&self) -> Option<Session> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        session
            .as_ref()
            .filter(|session| session.end().is_none())
            .cloned()
    }

    /// The session comes before the state that says so, and goes before it.
    pub(super) fn publish(&self, state: PluginState, session: Option<Session>) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
        self.log(&state);
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*states {
            // Nobody needs to listen.
            let _ = sender.send(state.clone());
        }
        if state.is_final() {
            *states = None;
        }
        drop(states);
        self.state.send_replace(state);
    }

    pub(super) fn state(&self) -> watch::Receiver<PluginState> {
        self.state.subscribe()
    }

    pub(super) fn states(&self) -> PluginStates {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match &*states {
            Some(sender) => sender.subscribe(),
            // Closed at once.
            None => broadcast::channel(1).1,
        };
        PluginStates { receiver }
    }

    pub(super) fn signaller(&self) -> Signaller {
        self.signaller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_signaller(&self, signaller: Signaller) {
        *self
            .signaller
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = signaller;
    }

    pub(super) fn count_restart(&self) -> u64 {
        self.restarts.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn log(&self, state: &PluginState) {
        let plugin = &*self.name;
        match state {
            PluginState::Starting { life } => {
                tracing::debug!(target: "rapace::plugin", plugin, life, "starting");
            }
            PluginState::Ready { life, pid } => {
                tracing::debug!(target: "rapace::plugin", plugin, life, pid, "ready");
            }
            PluginState::Stopping { life, pid } => {
                tracing::debug!(target: "rapace::plugin", plugin, life, pid, "stopping");
            }
            PluginState::Down { reason, restart_in } => {
                tracing::warn!(target: "rapace::plugin", plugin, ?restart_in, "{reason}");
            }
            PluginState::Failed { error } => {
                tracing::error!(target: "rapace::plugin", plugin, "{error}");
            }
            PluginState::Stopped(how) => {
                tracing::debug!(target: "rapace::plugin", plugin, ?how, "stopped");
            }
        }
    }
}
