//! Plugin processes over rapace, on both sides: a host spawns, watches and restarts them, and the
//! `main` of a plugin is three lines.
//!
//! | module | owns |
//! |---|---|
//! | [`host`] | [`Plugin`] (the recipe), [`PluginHost`] (the running thing), its states and errors |
//! | [`guest`] | [`run`]: the plugin's `main` |
//! | [`restart`] | [`Restart`] and [`Backoff`]: whether and when a plugin comes back |
//! | `process` | one life of a process: started, signalled, reaped |
//! | `death` | the link that knows how the process at its other end died |
//! | `output` | what a plugin prints: to tracing, and the last lines to its obituary |
//! | `spawner` | the thread that forks, because the parent-death signal is bound to a thread |
//! | `handover` | how a plugin learns where its socket is |
//! | `wire` | [`Wire`]: which kind of link runs over that socket, shared memory or frames on it |
//! | `pending` | a link that is still being set up when its session begins |
//! | `os` | the unsafe part: between `fork` and `exec`, and descriptor numbers |
//!
//! # The plugin
//!
//! ```no_run
//! # #[rapace_macros::service(crate = "rapace_session")]
//! # trait Markdown { async fn render(&self, source: String) -> String; }
//! # struct Renderer;
//! # impl Markdown for Renderer { async fn render(&self, source: String) -> String { source } }
//! #[tokio::main]
//! async fn main() -> Result<(), rapace_plugin::RunError> {
//!     rapace_plugin::run(MarkdownServer::new(Renderer)).await
//! }
//! ```
//!
//! # The host
//!
//! ```no_run
//! # #[rapace_macros::service(crate = "rapace_session")]
//! # trait Markdown { async fn render(&self, source: String) -> String; }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rapace_plugin::Plugin;
//!
//! let plugin = Plugin::command("target/debug/markdown").spawn().await?;
//! plugin.ready().await?;
//! let markdown: MarkdownClient = plugin.client();
//! println!("{}", markdown.render("# Title".to_owned()).await?);
//! plugin.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to whom
//!
//! - **The plugin dies.** Calls and streams under way fail at once with
//!   [`CallError::PeerDied`](rapace_session::CallError::PeerDied), which says how: exit code or
//!   signal, and the last lines of its standard error. Calls of idempotent methods are repeated
//!   with the next life. New calls wait for it, or fail at once: [`WhenDown`].
//! - **The host dies**, however. The kernel kills its plugins (Linux), and the hang-up of the
//!   socket ends them wherever the kernel does not.
//! - **The host drops its [`PluginHost`]**: the plugin is killed. [`PluginHost::shutdown`] lets it
//!   finish first.
//!
//! # What this crate refuses to know
//!
//! What the services mean, how a session works, and anything about sandboxing: a plugin runs with
//! all rights of its host. Unix only.
#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("rapace-plugin hands sockets to child processes, which works on Unix only");

mod death;
pub mod guest;
mod handover;
pub mod host;
#[allow(unsafe_code)]
mod os;
mod output;
#[cfg(feature = "shm")]
mod pending;
mod process;
pub mod restart;
mod spawner;
mod wire;

pub use guest::{PluginBuilder, RunError, builder, run, run_with, started_by_host};
pub use host::{
    LifeEnd, Plugin, PluginError, PluginHost, PluginState, PluginStates, Stopped, WhenDown,
};
pub use rapace_transport::ExitReason;
pub use restart::{Backoff, Restart};
pub use wire::Wire;

#[cfg(feature = "shm")]
pub use rapace_shm::{ShmConfig, Spin};
