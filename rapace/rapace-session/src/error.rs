//! What goes wrong, and whose fault it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rapace_codec::UnsupportedType;
use rapace_core::envelope::{Code, Status};
use rapace_core::session::{CancelReason, CloseReason, HandshakeFailure};
use rapace_transport::{Death, LinkError};

/// Why a session is over. Cheap to clone: every call that it ends carries one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEnd {
    /// This side closed it.
    Local,
    /// The peer closed it in good order, with its reason if it gave one.
    Peer(Option<String>),
    /// One side announced the end, and all calls were finished before it.
    Drained,
    /// The process at the other end died, or its link vanished.
    PeerDied(Death),
    /// The two sides could not agree to talk.
    Handshake(HandshakeFailure),
    /// The peer broke the protocol, or says that this side did.
    Protocol(Arc<str>),
    /// The peer did not answer a ping in time.
    PingTimeout,
    /// The local system failed.
    Io(Arc<str>),
    /// The runtime that drove the session was shut down.
    RuntimeStopped,
}

impl SessionEnd {
    /// Whether the session ended in good order.
    pub fn is_clean(&self) -> bool {
        matches!(
            self,
            SessionEnd::Local | SessionEnd::Peer(None) | SessionEnd::Drained
        )
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionEnd::Local => f.write_str("session closed by this side"),
            SessionEnd::Peer(None) => f.write_str("session closed by the peer"),
            SessionEnd::Peer(Some(reason)) => write!(f, "session closed by the peer: {reason}"),
            SessionEnd::Drained => f.write_str("session drained and closed"),
            SessionEnd::PeerDied(death) => write!(f, "peer died: {death}"),
            SessionEnd::Handshake(failure) => write!(f, "handshake failed: {failure}"),
            SessionEnd::Protocol(what) => write!(f, "protocol error: {what}"),
            SessionEnd::PingTimeout => f.write_str("peer did not answer a ping in time"),
            SessionEnd::Io(what) => write!(f, "link failed: {what}"),
            SessionEnd::RuntimeStopped => f.write_str("the runtime of the session was shut down"),
        }
    }
}

impl std::error::Error for SessionEnd {}

impl SessionEnd {
    /// What the session reports, sharpened by what the link saw.
    pub(crate) fn new(reason: &CloseReason, link: Option<&LinkError>) -> Self {
        match reason {
            CloseReason::Handshake(failure) => SessionEnd::Handshake(failure.clone()),
            CloseReason::LocalClose => SessionEnd::Local,
            CloseReason::PeerClosed(reason) => SessionEnd::Peer(reason.clone()),
            CloseReason::Drained => SessionEnd::Drained,
            CloseReason::ProtocolError(what) => SessionEnd::Protocol(what.clone()),
            CloseReason::PeerGoAway { message, .. } => {
                SessionEnd::Protocol(format!("the peer went away: {message}").into())
            }
            CloseReason::PingTimeout => SessionEnd::PingTimeout,
            CloseReason::Link(_) => match link {
                Some(LinkError::PeerDied(death)) => SessionEnd::PeerDied(death.clone()),
                Some(LinkError::Malformed(what)) => SessionEnd::Protocol(what.clone()),
                Some(LinkError::Io(what)) => SessionEnd::Io(what.clone()),
                Some(LinkError::Closed) => SessionEnd::PeerDied(Death::seen("connection closed")),
                Some(other) => SessionEnd::Io(other.to_string().into()),
                None => SessionEnd::RuntimeStopped,
            },
        }
    }
}

/// Why a call gave no result.
///
/// [`CallError::is_safe_to_retry`] tells whether the method can have run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The peer answered with an error status (\[call.codes\]). The method may have run.
    Status(Box<Status>),
    /// The session ended while the call was under way: the method may have run, wholly or in
    /// part. Not safe to repeat unless the method is idempotent.
    MaybeSent(SessionEnd),
    /// The peer process died while the call was under way; like [`CallError::MaybeSent`], with
    /// how it died.
    PeerDied(Death),
    /// The request never left this side, so it is safe to repeat.
    NotSent(NotSent),
    /// The deadline passed, here or at the peer. The method may have run.
    DeadlineExceeded,
    /// The peer cancelled the call.
    Cancelled(CancelReason),
    /// Both sides know the method, but with different types (\[hello.compat\]). Nothing was sent.
    SchemaMismatch {
        /// `Service.method`.
        method: String,
        /// The first difference, as a sentence.
        difference: String,
    },
    /// The request is larger than the peer accepts. Nothing was sent.
    TooLarge {
        /// Size of the request in bytes.
        bytes: u64,
        /// What the peer accepts, in bytes.
        limit: u64,
    },
    /// The arguments cannot be sent, for example a stream that was sent before. Nothing was sent.
    Encode(Arc<str>),
    /// The peer's answer does not decode: the peer is at fault, and the method has run.
    Decode(Arc<str>),
}

/// Why a request never left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotSent {
    /// The session was over already, or ended before the request left.
    Ended(SessionEnd),
    /// The session is draining: one side announced its end.
    Draining,
    /// The peer refused it unread, because it is going away.
    Refused(String),
    /// As many calls as the peer allows are waiting for their answers.
    TooManyCalls {
        /// The effective `max_pending_calls`.
        limit: u32,
    },
    /// As many channels as the peer allows are open.
    TooManyChannels {
        /// The effective `max_channels`.
        limit: u32,
    },
    /// The plugin is down and the handle is set to fail fast.
    Down(Arc<str>),
    /// The metadata breaks a limit of \[ctl.small\].
    BadMetadata(String),
    /// The local system has refused shared memory for a loan for longer than the link waits. The
    /// session goes on.
    NoMemory(Arc<str>),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::Ended(end) => write!(f, "{end}"),
            NotSent::Draining => f.write_str("the session is draining"),
            NotSent::Refused(why) => write!(f, "the peer refused it unread: {why}"),
            NotSent::TooManyCalls { limit } => {
                write!(
                    f,
                    "{limit} calls are pending, which is the limit `max_pending_calls`"
                )
            }
            NotSent::TooManyChannels { limit } => {
                write!(
                    f,
                    "{limit} channels are open, which is the limit `max_channels`"
                )
            }
            NotSent::Down(why) => write!(f, "{why}"),
            NotSent::BadMetadata(what) => write!(f, "bad metadata: {what}"),
            NotSent::NoMemory(what) => write!(f, "no memory to lend: {what}"),
        }
    }
}

impl CallError {
    /// Whether the method certainly did not run, so that the call may be repeated even when the
    /// method is not idempotent.
    pub fn is_safe_to_retry(&self) -> bool {
        matches!(
            self,
            CallError::NotSent(_)
                | CallError::SchemaMismatch { .. }
                | CallError::TooLarge { .. }
                | CallError::Encode(_)
        )
    }

    /// Whether the session or the process behind it was lost, rather than the call itself being
    /// at fault.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            CallError::MaybeSent(_)
                | CallError::PeerDied(_)
                | CallError::NotSent(NotSent::Ended(_) | NotSent::Draining | NotSent::Refused(_))
        )
    }

    /// The status code that says the same (\[call.codes\]).
    pub fn code(&self) -> Code {
        match self {
            CallError::Status(status) => status.code,
            CallError::MaybeSent(_) | CallError::PeerDied(_) => Code::UNAVAILABLE,
            CallError::NotSent(NotSent::TooManyCalls { .. } | NotSent::TooManyChannels { .. })
            | CallError::TooLarge { .. } => Code::RESOURCE_EXHAUSTED,
            CallError::NotSent(NotSent::BadMetadata(_)) => Code::INVALID_ARGUMENT,
            CallError::NotSent(_) => Code::UNAVAILABLE,
            CallError::DeadlineExceeded => Code::DEADLINE_EXCEEDED,
            CallError::Cancelled(_) => Code::CANCELLED,
            CallError::SchemaMismatch { .. } => Code::INCOMPATIBLE_SCHEMA,
            CallError::Encode(_) => Code::ENCODE_ERROR,
            CallError::Decode(_) => Code::DECODE_ERROR,
        }
    }

    pub(crate) fn lost(end: SessionEnd) -> Self {
        match end {
            SessionEnd::PeerDied(death) => CallError::PeerDied(death),
            end => CallError::MaybeSent(end),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Status(status) => write!(f, "{}: {}", status.code, status.message),
            CallError::MaybeSent(end) => {
                write!(f, "no answer, and the method may have run: {end}")
            }
            CallError::PeerDied(death) => {
                write!(
                    f,
                    "no answer, and the method may have run: peer died: {death}"
                )
            }
            CallError::NotSent(why) => write!(f, "not sent: {why}"),
            CallError::DeadlineExceeded => f.write_str("deadline exceeded"),
            CallError::Cancelled(reason) => write!(f, "cancelled by the peer: {reason:?}"),
            CallError::SchemaMismatch { method, difference } => {
                write!(f, "`{method}` has other types at the peer: {difference}")
            }
            CallError::TooLarge { bytes, limit } => write!(
                f,
                "request of {bytes} bytes is larger than the {limit} bytes that the peer accepts; \
                 stream it, or raise `max_payload_size` on both sides"
            ),
            CallError::Encode(what) => write!(f, "arguments cannot be sent: {what}"),
            CallError::Decode(what) => write!(f, "the peer's answer does not decode: {what}"),
        }
    }
}

impl std::error::Error for CallError {}

/// Why a stream or tunnel ended before its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer gave up this stream, or the call it belongs to.
    Cancelled(CancelReason),
    /// The call that it belongs to ended without opening it.
    CallEnded,
    /// The call's deadline passed before its response.
    DeadlineExceeded,
    /// The session ended.
    Lost(SessionEnd),
    /// An item does not decode: the peer is at fault.
    Decode(Arc<str>),
    /// It was used locally without being passed to a call.
    Unattached,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Cancelled(reason) => write!(f, "stream cancelled by the peer: {reason:?}"),
            StreamError::CallEnded => f.write_str("the call of this stream ended"),
            StreamError::DeadlineExceeded => f.write_str("the deadline of the call passed"),
            StreamError::Lost(end) => write!(f, "stream lost: {end}"),
            StreamError::Decode(what) => write!(f, "item does not decode: {what}"),
            StreamError::Unattached => f.write_str("never passed to a call"),
        }
    }
}

impl std::error::Error for StreamError {}

impl From<StreamError> for std::io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::Decode(_) => std::io::ErrorKind::InvalidData,
            StreamError::Unattached => std::io::ErrorKind::NotConnected,
            StreamError::DeadlineExceeded => std::io::ErrorKind::TimedOut,
            _ => std::io::ErrorKind::ConnectionReset,
        };
        std::io::Error::new(kind, error)
    }
}

/// Why a session was not even started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A service uses a type that the wire cannot carry.
    UnsupportedType {
        /// `Service.method`.
        method: String,
        /// The path of the field and what to write instead.
        problem: UnsupportedType,
    },
    /// Two methods have the same id (\[id.method\]); one must be renamed.
    MethodCollision {
        /// `Service.method` that was registered first.
        first: String,
        /// `Service.method` that came second.
        second: String,
    },
    /// There is no tokio runtime here and none was given to the builder.
    NoRuntime,
    /// The handshake timeout is above the 30 s that \[hello.fail\] allows.
    HandshakeTimeout(Duration),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::UnsupportedType { method, problem } => {
                write!(f, "`{method}` cannot be served: {problem}")
            }
            BuildError::MethodCollision { first, second } if first == second => {
                write!(
                    f,
                    "`{first}` is served twice; serve each service once per session"
                )
            }
            BuildError::MethodCollision { first, second } => write!(
                f,
                "`{first}` and `{second}` have the same method id; rename one of them"
            ),
            BuildError::NoRuntime => f.write_str(
                "no tokio runtime is running here; call this inside one, or give the builder a \
                 `Runtime`",
            ),
            BuildError::HandshakeTimeout(given) => {
                write!(
                    f,
                    "handshake timeout of {given:?} is above the limit of 30 s"
                )
            }
        }
    }
}

impl std::error::Error for BuildError {}
