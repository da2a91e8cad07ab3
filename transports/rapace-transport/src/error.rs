//! How a link ends.

use std::fmt;
use std::sync::Arc;

/// Why a link does not carry frames any more.
///
/// Cheap to clone: every pending call gets one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed the link between two frames, or this side did.
    Closed,
    /// The process at the other end died, or its end of the link vanished in the middle of a
    /// frame.
    PeerDied(Death),
    /// The peer sent bytes that are no frames; the peer is at fault.
    Malformed(Arc<str>),
    /// The local system failed.
    Io(Arc<str>),
    /// The local system has refused memory for longer than the link waits for it.
    NoMemory(Arc<str>),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Closed => f.write_str("link closed"),
            LinkError::PeerDied(death) => write!(f, "peer died: {death}"),
            LinkError::Malformed(what) => write!(f, "peer sent malformed bytes: {what}"),
            LinkError::Io(what) => write!(f, "link failed: {what}"),
            LinkError::NoMemory(what) => write!(f, "no memory for the link: {what}"),
        }
    }
}

impl std::error::Error for LinkError {}

/// What is known about the death of a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// How the process ended, where this side could see it.
    pub exit: Option<ExitReason>,
    /// What the link saw, for example `connection reset`.
    pub seen: Arc<str>,
    /// The last lines that the process wrote to its standard error, oldest first; empty unless
    /// this side spawned it.
    pub stderr: Arc<[String]>,
}

impl Death {
    /// A death that only the link saw.
    pub fn seen(what: impl Into<Arc<str>>) -> Self {
        Death {
            exit: None,
            seen: what.into(),
            stderr: Arc::new([]),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.exit {
            Some(exit) => write!(f, "{exit}")?,
            None => f.write_str(&self.seen)?,
        }
        if let Some(last) = self.stderr.last() {
            write!(f, " (last stderr line: {last:?})")?;
        }
        Ok(())
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitReason {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Code(code) => write!(f, "exited with code {code}"),
            ExitReason::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}
