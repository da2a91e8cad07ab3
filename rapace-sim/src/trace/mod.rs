//! What happened in a world, for people and for comparison.
//!
//! | part | owns |
//! |---|---|
//! | here | [`Trace`] and its events: plain data that can be kept, compared and drawn |
//! | `text` | one line for each event |
//! | `record` | what is written down while a world runs, and its hash |
//! | `decode` | frames as people read them, by the schemas of the services |
//!
//! A trace never holds an address, a real time or a path: the same seed gives the same trace on
//! every machine.

pub(crate) mod decode;
pub(crate) mod record;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FrameKind};
use crate::time::Nanos;

/// Everything that happened in one run, in order.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The world's processes, in the order of their columns.
    pub processes: Vec<String>,
    /// Its links.
    pub links: Vec<TraceLink>,
    /// What happened, oldest first.
    pub events: Vec<TraceEvent>,
    /// Over everything that was recorded, also where `events` abbreviates.
    pub hash: TraceHash,
}

/// A link of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceLink {
    /// Its name.
    pub name: String,
    /// The kind of transport under it: `stream`, `mem` or `shm`.
    pub transport: String,
    /// The processes at its ends; the first one is the initiator.
    pub ends: [String; 2],
}

/// The hash of a whole trace: equal for equal runs.
///
/// 64 bits of XXH3, chained over all recorded events. Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceHash(pub u64);

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceHash({self})")
    }
}

impl From<TraceHash> for String {
    fn from(hash: TraceHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for TraceHash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(TraceHash)
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When, in virtual time from the start of the world.
    pub at: Nanos,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A process sent a frame.
    Frame(FrameEvent),
    /// A fault of the plan happened.
    Fault {
        /// Which.
        fault: Fault,
        /// Whether there was something that it could hit.
        hit: bool,
    },
    /// A process changed.
    Process {
        /// Its name.
        process: String,
        /// Which of its lives, from 1.
        life: u32,
        /// How.
        change: ProcessChange,
    },
    /// A link changed.
    Link {
        /// Its name.
        link: String,
        /// Which of its lives, from 1: each life of a plugin has a link of its own.
        life: u32,
        /// How.
        change: LinkChange,
    },
    /// A call that a process watches began or ended.
    Call {
        /// The process.
        process: String,
        /// Tells calls apart: counted from 1 in the order of their beginnings.
        call: u64,
        /// What the process calls it.
        label: String,
        /// How it ended; `None` at its beginning.
        outcome: Option<CallEnd>,
    },
    /// A mark was reached: see [`sometimes!`](crate::sometimes).
    Mark {
        /// Its name.
        name: String,
    },
    /// A process had something to say.
    Note {
        /// The process.
        process: String,
        /// What.
        text: String,
    },
    /// An oracle found something wrong.
    Failure {
        /// What.
        text: String,
    },
}

/// A frame on its way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FrameEvent {
    /// The link.
    pub link: String,
    /// Which of its lives, from 1.
    pub life: u32,
    /// The sending process.
    pub from: String,
    /// The process at the other end.
    pub to: String,
    /// When the other end took it; `None` when it never did.
    pub received: Option<Nanos>,
    /// The channel; 0 is control.
    pub channel: u32,
    /// The kind of frame.
    pub verb: FrameKind,
    /// The flags of its descriptor, as PROTOCOL.md §1 names them, apart from CONTROL.
    pub flags: Vec<String>,
    /// The deadline in its descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Nanos>,
    /// Credit in its descriptor, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u32>,
    /// `Service.method` of the call that it belongs to, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What it says: arguments, result, item or control message, decoded; long values are
    /// abbreviated with their length and hash.
    pub text: String,
    /// Length of its payload, in bytes.
    pub payload_bytes: u32,
    /// The first 32 bits of the XXH3 of its payload, in hexadecimal.
    pub payload_hash: String,
}

/// How a process changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessChange {
    /// It began.
    Spawned,
    /// Its session with this process is ready.
    Ready(String),
    /// It was killed.
    Killed,
    /// It ended by itself, for this reason.
    Exited(String),
    /// Its main function panicked.
    Panicked(String),
    /// It does nothing for a while.
    Hung,
    /// It goes on after that.
    Resumed,
    /// Its main function has returned.
    Finished,
}

/// How a link changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkChange {
    /// It was made.
    Up,
    /// One end saw its end, for this reason.
    Ended {
        /// Who saw it.
        at: String,
        /// Why.
        reason: String,
    },
}

/// How a watched call ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// With this result, abbreviated.
    Ok(String),
    /// With this error.
    Err(String),
    /// It was dropped before it ended.
    Dropped,
}
