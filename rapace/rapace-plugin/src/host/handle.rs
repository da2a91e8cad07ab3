//! The handle to a running plugin.

use std::fmt;
use std::sync::Arc;

use rapace_session::{Caller, Client, Session};
use tokio::sync::watch;

use super::error::PluginError;
use super::reconnect::{Lives, WhenDown};
use super::state::{PluginState, PluginStates, Shared, Stopped};
use super::supervisor::Wish;
use crate::process::Wanted;

/// A plugin, in whatever life it is. Made by [`Plugin::spawn`](super::Plugin::spawn).
///
/// Dropping it kills the plugin; see [`PluginHost::shutdown`] for a gentler end. Clients do not
/// keep it running: their calls fail with [`NotSent::Down`](rapace_session::NotSent::Down) once it
/// is stopped.
#[must_use = "dropping the handle kills the plugin"]
pub struct PluginHost {
    pub(super) shared: Arc<Shared>,
    pub(super) wish: watch::Sender<Wish>,
    pub(super) when_down: WhenDown,
    pub(super) repeats_max: u32,
}

impl PluginHost {
    /// Waits until the plugin answers calls.
    ///
    /// Calls may be made before: they wait for the same moment. Restarts are waited for, too, as
    /// long as the policy goes on trying. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the plugin will never be ready: the first start failed, the policy gave up, or the
    /// plugin was stopped. When the process ended, the error says how and has its last words.
    pub async fn ready(&self) -> Result<(), PluginError> {
        let mut state = self.shared.state();
        let reached = state
            .wait_for(|state| matches!(state, PluginState::Ready { .. }) || state.is_final())
            .await;
        match reached.as_deref() {
            Ok(PluginState::Ready { .. }) => Ok(()),
            Ok(PluginState::Failed { error }) => Err(error.clone()),
            _ => Err(PluginError::Stopped {
                plugin: self.shared.name.clone(),
            }),
        }
    }

    /// A client of one of the plugin's services that survives restarts:
    /// `plugin.client::<FooClient>()`.
    ///
    /// A call in flight when the plugin dies fails with
    /// [`CallError::PeerDied`](rapace_session::CallError::PeerDied), and may have run. If its
    /// method is marked `#[rapace(idempotent)]` it is repeated with the next life instead, as often
    /// as [`Plugin::repeats_max`](super::Plugin::repeats_max) says. What a call does that is made
    /// while the plugin is down says [`WhenDown`].
    pub fn client<C: Client>(&self) -> C {
        C::from_caller(self.caller())
    }

    /// What [`PluginHost::client`] calls through.
    pub fn caller(&self) -> Caller {
        self.caller_when_down(self.when_down)
    }

    /// The same, with another choice than the plugin's:
    /// `FooClient::from_caller(plugin.caller_when_down(WhenDown::FailFast))`.
    pub fn caller_when_down(&self, when_down: WhenDown) -> Caller {
        Caller::supervised(Arc::new(Lives {
            shared: self.shared.clone(),
            when_down,
            repeats_max: self.repeats_max,
        }))
    }

    /// The session of the present life, while the plugin is ready. What is made from it does not
    /// survive a restart.
    pub fn session(&self) -> Option<Session> {
        self.shared.session()
    }

    /// The plugin's name, for people.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The process id of the present life, while the plugin is ready or stopping.
    pub fn pid(&self) -> Option<u32> {
        match self.state() {
            PluginState::Ready { pid, .. } | PluginState::Stopping { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// How often the plugin was started again.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts()
    }

    /// What the plugin is doing now.
    pub fn state(&self) -> PluginState {
        self.shared.state().borrow().clone()
    }

    /// Every state from now on, in order: for metrics and progress displays.
    pub fn states(&self) -> PluginStates {
        self.shared.states()
    }

    /// Kills the present process, as a crash would end it: the restart policy decides what comes
    /// next. For tests and chaos. Says whether there was a process to kill.
    pub fn kill(&self) -> bool {
        self.shared.signaller().want(Wanted::Kill)
    }

    /// Ends the plugin in good order: no new calls, those under way are finished, the link is
    /// closed, the process ends by itself. What takes too long is forced, by SIGTERM and at last
    /// SIGKILL; see [`Plugin::shutdown_timeouts`](super::Plugin::shutdown_timeouts).
    ///
    /// When this returns the process is gone and waited for. Cancel safe: the shutdown goes on.
    pub async fn shutdown(&self) -> Stopped {
        self.wish(Wish::Stop);
        let mut state = self.shared.state();
        match state.wait_for(PluginState::is_final).await.as_deref() {
            Ok(PluginState::Stopped(how)) => *how,
            // It had failed before, so there was nothing left to stop.
            _ => Stopped::default(),
        }
    }

    fn wish(&self, wish: Wish) {
        self.wish.send_if_modified(|current| {
            let raised = wish > *current;
            *current = wish.max(*current);
            raised
        });
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.wish(Wish::Kill);
    }
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost")
            .field("name", &self.shared.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
