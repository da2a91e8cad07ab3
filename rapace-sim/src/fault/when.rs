//! What a fault waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// What a fault waits for. Each fault happens at most once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// A point in virtual time.
    At(Nanos),
    /// Right before the `n`-th event of a process, counted from 1 over all its lives. An event is
    /// one poll of one of its tasks.
    Event {
        /// The name of the process.
        process: String,
        /// Which event, from 1.
        n: u64,
    },
    /// When a process sends the `n`-th frame of a kind, counted from 1 over all its links and
    /// lives.
    Frame {
        /// The name of the sending process.
        from: String,
        /// What counts.
        #[serde(default)]
        kind: FrameKind,
        /// Which frame, from 1.
        n: u64,
        /// Whether the frame itself still goes out.
        #[serde(default)]
        moment: Moment,
    },
    /// Right before the `n`-th store of a process into the memory that it shares with others,
    /// counted from 1 over all its lives; a ring of a doorbell and a message on a control channel
    /// count as one store each. Who dies of it does so before that store; other faults happen at
    /// the end of the event that it is part of. Never happens without shared memory.
    Store {
        /// The name of the process.
        process: String,
        /// Which store, from 1.
        n: u64,
    },
    /// As [`When::Store`], counted from 1 after something else: `before store 17 of images after
    /// images sends its response 3` is within the publication of that response, since a process
    /// stores a frame after it has given it to its transport.
    StoreAfter {
        /// The name of the process that stores.
        process: String,
        /// Which store, from 1.
        n: u64,
        /// What begins the count.
        since: Since,
    },
}

impl When {
    /// The processes that it waits for.
    pub fn processes(&self) -> Vec<&str> {
        match self {
            When::At(_) => Vec::new(),
            When::Event { process, .. } | When::Store { process, .. } => vec![process],
            When::Frame { from, .. } => vec![from],
            When::StoreAfter { process, since, .. } => match since {
                Since::At(_) => vec![process],
                Since::Frame { from, .. } => vec![process, from],
            },
        }
    }
}

/// What stores are counted from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Since {
    /// A point in virtual time.
    At(Nanos),
    /// The moment at which a process gives the `n`-th frame of a kind to its transport, counted as
    /// by [`When::Frame`].
    Frame {
        /// The name of the sending process.
        from: String,
        /// What counts.
        #[serde(default)]
        kind: FrameKind,
        /// Which frame, from 1.
        n: u64,
    },
}

/// Whether something happens before or after what it waits for.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, arbitrary::Arbitrary,
)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// What was waited for does not take place any more.
    Before,
    /// It still takes place.
    #[default]
    After,
}

/// Kinds of frames, as faults and traces count them.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    arbitrary::Arbitrary,
)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Every frame.
    #[default]
    Any,
    /// The Hello (PROTOCOL.md §4).
    Hello,
    /// OpenChannel.
    Open,
    /// A request, with or without an OpenChannel before it.
    Request,
    /// A response.
    Response,
    /// An item of a stream, or bytes of a tunnel; also the frame that ends one.
    Data,
    /// CancelChannel.
    Cancel,
    /// GrantCredits.
    Grant,
    /// CloseChannel.
    Close,
    /// Ping or Pong.
    Ping,
    /// GoAway.
    #[serde(rename = "goaway")]
    GoAway,
    /// A control verb that this version does not know.
    Unknown,
}

impl FrameKind {
    /// All kinds but [`FrameKind::Any`].
    pub const ALL: [FrameKind; 11] = [
        FrameKind::Hello,
        FrameKind::Open,
        FrameKind::Request,
        FrameKind::Response,
        FrameKind::Data,
        FrameKind::Cancel,
        FrameKind::Grant,
        FrameKind::Close,
        FrameKind::Ping,
        FrameKind::GoAway,
        FrameKind::Unknown,
    ];

    /// The word for it in traces.
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::Any => "frame",
            FrameKind::Hello => "hello",
            FrameKind::Open => "open",
            FrameKind::Request => "request",
            FrameKind::Response => "response",
            FrameKind::Data => "data",
            FrameKind::Cancel => "cancel",
            FrameKind::Grant => "grant",
            FrameKind::Close => "close",
            FrameKind::Ping => "ping",
            FrameKind::GoAway => "goaway",
            FrameKind::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
