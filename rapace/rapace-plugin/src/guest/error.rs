//! Why a plugin did not serve, or stopped serving.

use std::fmt;
use std::io;
use std::sync::Arc;

use rapace_session::{BuildError, SessionEnd};

use crate::handover::TakeError;

/// Why [`run`](crate::run) ended other than by the host's closing the link.
///
/// `Debug` prints what `Display` does, because a `main` that returns it prints it that way.
#[derive(Clone)]
#[non_exhaustive]
pub enum RunError {
    /// The program was started by hand, or by a process that is not its host.
    NotStartedByHost,
    /// The link to the host was taken before in this process.
    AlreadyRunning,
    /// The host hands its link over in a way that this version does not know: the two were built
    /// from different versions.
    UnknownHandover(Arc<str>),
    /// The service cannot be served, or there is no tokio runtime.
    Build(BuildError),
    /// The host did not get as far as the end of the handshake.
    NotReady(SessionEnd),
    /// The link ended in disorder.
    Ended(SessionEnd),
    /// The local system failed.
    Io(Arc<io::Error>),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NotStartedByHost => f.write_str(
                "this program is a rapace plugin: it is started by its host, which hands it a \
                 socket, and does nothing when started by hand",
            ),
            RunError::AlreadyRunning => {
                f.write_str("this process serves its host already; `run` can be called once")
            }
            RunError::UnknownHandover(value) => write!(
                f,
                "the host hands over its link as `{value}`, which this version of rapace-plugin \
                 does not know; rebuild host and plugin from the same version"
            ),
            RunError::Build(error) => write!(f, "{error}"),
            RunError::NotReady(end) => write!(f, "the host never became ready: {end}"),
            RunError::Ended(end) => write!(f, "the link to the host ended: {end}"),
            RunError::Io(error) => write!(f, "the socket from the host cannot be used: {error}"),
        }
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RunError {}

impl From<TakeError> for RunError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::NotStartedByHost => RunError::NotStartedByHost,
            TakeError::AlreadyRunning => RunError::AlreadyRunning,
            TakeError::Unknown(value) => RunError::UnknownHandover(value),
        }
    }
}
