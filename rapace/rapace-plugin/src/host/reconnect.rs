//! What clients call through: whichever life of the plugin answers now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rapace_session::{CallError, NotSent, Reconnect, Runtime, Session};

use super::state::{PluginState, Shared};

/// What a call does that is made while the plugin is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenDown {
    /// It waits for the next life, until its deadline, and fails with
    /// [`NotSent::Down`] once the plugin has failed for good.
    #[default]
    Wait,
    /// It fails with [`NotSent::Down`] at once. Only the very first start is waited for: until
    /// then the plugin is not down, it is coming up.
    FailFast,
}

/// One plugin as its clients see it. Does not keep it running.
pub(super) struct Lives {
    pub(super) shared: Arc<Shared>,
    pub(super) when_down: WhenDown,
    pub(super) repeats_max: u32,
}

impl Reconnect for Lives {
    fn current(&self) -> Option<Session> {
        self.shared.session()
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let shared = self.shared.clone();
        let when_down = self.when_down;
        Box::pin(async move {
            let mut state = shared.state();
            loop {
                // The state first: a session that is published after this look wakes `changed`.
                let now = state.borrow_and_update().clone();
                if let Some(session) = shared.session() {
                    return Ok(session);
                }
                let down = |why: String| Err(CallError::NotSent(NotSent::Down(why.into())));
                let fails = when_down == WhenDown::FailFast;
                match now {
                    PluginState::Failed { error } => return down(error.to_string()),
                    PluginState::Stopped(_) => {
                        return down(format!("plugin `{}` was stopped", shared.name));
                    }
                    PluginState::Down { reason, .. } if fails => return down(reason.to_string()),
                    PluginState::Starting { life: 0 } => {}
                    _ if fails => return down(format!("plugin `{}` is restarting", shared.name)),
                    _ => {}
                }
                // The sender lives in `shared`, so this only ends with a new state.
                let _ = state.changed().await;
            }
        })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        self.shared.runtime.clone()
    }

    fn retries_max(&self) -> u32 {
        self.repeats_max
    }
}
