//! The host's side.
//!
//! | module | owns |
//! |---|---|
//! | `plugin` | [`Plugin`]: how a plugin is started and what it is offered |
//! | `handle` | [`PluginHost`]: the handle to a running plugin |
//! | `state` | [`PluginState`] and what is shared between handle, supervisor and clients |
//! | `supervisor` | the task that starts, watches, restarts and stops it |
//! | `reconnect` | what clients call through: [`WhenDown`] |
//! | `error` | [`PluginError`], [`LifeEnd`] |

mod error;
mod handle;
mod plugin;
mod reconnect;
mod state;
mod supervisor;

pub use error::{LifeEnd, PluginError};
pub use handle::PluginHost;
pub use plugin::Plugin;
pub use reconnect::WhenDown;
pub use state::{PluginState, PluginStates, Stopped};
