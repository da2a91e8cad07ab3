//! Why a plugin is not there.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rapace_session::{BuildError, SessionEnd};
use rapace_transport::ExitReason;

/// Why a plugin is down, or will never be up. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PluginError {
    /// The process could not be started.
    NotStarted {
        /// The plugin's name.
        plugin: Arc<str>,
        /// What was to be executed.
        program: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// What the host offers to the plugin cannot be served, or there is no tokio runtime.
    Build(BuildError),
    /// The plugin went down.
    Ended(Arc<LifeEnd>),
    /// The plugin went down more often than its [`Restart`](crate::Restart) policy allows.
    GaveUp {
        /// The plugin's name.
        plugin: Arc<str>,
        /// How often it was restarted within `window`.
        restarts: u32,
        /// See [`Backoff::window`](crate::Backoff::window).
        window: Duration,
        /// Why it was down the last time.
        last: Box<PluginError>,
    },
    /// The host has stopped it.
    Stopped {
        /// The plugin's name.
        plugin: Arc<str>,
    },
}

impl PluginError {
    /// How the plugin's last life ended, if it had one.
    pub fn life_end(&self) -> Option<&LifeEnd> {
        match self {
            PluginError::Ended(end) => Some(end),
            PluginError::GaveUp { last, .. } => last.life_end(),
            _ => None,
        }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginError::NotStarted {
                plugin,
                program,
                error,
            } => {
                write!(
                    f,
                    "plugin `{plugin}` cannot be started: {}: {error}",
                    program.display()
                )
            }
            PluginError::Build(error) => write!(f, "{error}"),
            PluginError::Ended(end) => write!(f, "{end}"),
            PluginError::GaveUp {
                plugin,
                restarts,
                window,
                last,
            } => write!(
                f,
                "plugin `{plugin}` is given up after {restarts} restarts within {window:?}; {last}"
            ),
            PluginError::Stopped { plugin } => write!(f, "plugin `{plugin}` was stopped"),
        }
    }
}

impl std::error::Error for PluginError {}

/// How one life of a plugin ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifeEnd {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// Why the session ended. The process may have been killed *because* of it.
    pub session: SessionEnd,
    /// How the process ended; `None` when the system did not tell.
    pub exit: Option<ExitReason>,
    /// The last lines that it wrote to its standard error, oldest first.
    pub stderr: Arc<[String]>,
    /// How long it lived, from its start to the end of its session.
    pub uptime: Duration,
    /// Whether the handshake was completed.
    pub was_ready: bool,
}

impl fmt::Display for LifeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.was_ready {
            "went down"
        } else {
            "did not become ready"
        };
        let session = self.session.to_string();
        write!(f, "plugin `{}` {what}: {session}", self.plugin)?;
        // A death that the session saw is told with all of this.
        if let Some(exit) = &self.exit
            && !session.contains(&exit.to_string())
        {
            write!(f, "; the process {exit}")?;
            if let Some(last) = self.stderr.last() {
                write!(f, " (last stderr line: {last:?})")?;
            }
        }
        Ok(())
    }
}
