//! How calls end, in the words of scenario files.

use std::fmt;

use rapace_session::{CallError, Code, NotSent, SessionEnd, StreamError};

/// How a call or its stream failed, as scenario files name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ending {
    /// The process at the other end died while the call was under way.
    PeerDied,
    /// The connection ended otherwise while the call was under way.
    ConnectionLost,
    /// The request never left: nobody was there, or it was refused unread.
    NotSent,
    /// The deadline passed.
    DeadlineExceeded,
    /// The other side gave it up.
    Cancelled,
    /// This side dropped it.
    Dropped,
    /// The handler panicked or failed inside.
    Internal,
    /// There is no such method.
    Unimplemented,
    /// The arguments were refused.
    InvalidArgument,
    /// The two sides have different types.
    SchemaMismatch,
    /// It is larger than the other side accepts.
    TooLarge,
    /// A limit was reached: of calls or channels.
    LimitReached,
    /// What came does not decode.
    Undecodable,
    /// Another status.
    Status,
}

impl Ending {
    /// All of them, with their words.
    pub const WORDS: [(Ending, &'static str); 14] = [
        (Ending::PeerDied, "peer died"),
        (Ending::ConnectionLost, "connection lost"),
        (Ending::NotSent, "not sent"),
        (Ending::DeadlineExceeded, "deadline exceeded"),
        (Ending::Cancelled, "cancelled"),
        (Ending::Dropped, "dropped"),
        (Ending::Internal, "internal error"),
        (Ending::Unimplemented, "unimplemented"),
        (Ending::InvalidArgument, "invalid argument"),
        (Ending::SchemaMismatch, "schema mismatch"),
        (Ending::TooLarge, "too large"),
        (Ending::LimitReached, "limit reached"),
        (Ending::Undecodable, "undecodable"),
        (Ending::Status, "status"),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        let mut words = Ending::WORDS.iter();
        words
            .find(|(ending, _)| *ending == self)
            .map_or("status", |(_, word)| word)
    }

    /// The ending that a word means.
    pub fn from_word(word: &str) -> Option<Ending> {
        let mut words = Ending::WORDS.iter();
        words
            .find(|(_, known)| *known == word)
            .map(|(ending, _)| *ending)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<&CallError> for Ending {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::PeerDied(_) => Ending::PeerDied,
            CallError::MaybeSent(_) => Ending::ConnectionLost,
            CallError::NotSent(NotSent::TooManyCalls { .. } | NotSent::TooManyChannels { .. }) => {
                Ending::LimitReached
            }
            CallError::NotSent(_) => Ending::NotSent,
            CallError::DeadlineExceeded => Ending::DeadlineExceeded,
            CallError::Cancelled(_) => Ending::Cancelled,
            CallError::SchemaMismatch { .. } => Ending::SchemaMismatch,
            CallError::TooLarge { .. } => Ending::TooLarge,
            CallError::Encode(_) => Ending::InvalidArgument,
            CallError::Decode(_) => Ending::Undecodable,
            CallError::Status(status) => match status.code {
                Code::INTERNAL => Ending::Internal,
                Code::UNIMPLEMENTED => Ending::Unimplemented,
                Code::INVALID_ARGUMENT => Ending::InvalidArgument,
                Code::CANCELLED => Ending::Cancelled,
                Code::DEADLINE_EXCEEDED => Ending::DeadlineExceeded,
                Code::RESOURCE_EXHAUSTED => Ending::LimitReached,
                Code::INCOMPATIBLE_SCHEMA => Ending::SchemaMismatch,
                _ => Ending::Status,
            },
            _ => Ending::Status,
        }
    }
}

impl From<&StreamError> for Ending {
    fn from(error: &StreamError) -> Self {
        match error {
            StreamError::Lost(SessionEnd::PeerDied(_)) => Ending::PeerDied,
            StreamError::Lost(_) => Ending::ConnectionLost,
            StreamError::Cancelled(_) | StreamError::CallEnded => Ending::Cancelled,
            StreamError::DeadlineExceeded => Ending::DeadlineExceeded,
            StreamError::Decode(_) => Ending::Undecodable,
            _ => Ending::Status,
        }
    }
}
