//! Faults as data: what goes wrong, and when. How they print is in `text`; how that is read is in the
//! sentences of scenarios.

mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// One thing that goes wrong in a world.
///
/// In TOML and JSON:
///
/// ```
/// use rapace_sim::{Fault, FrameKind, Moment, Nanos, What, When};
///
/// let fault: Fault = serde_json::from_str(
///     r#"{ "when": { "frame": { "from": "images", "kind": "response", "n": 3 } },
///          "what": { "restart": { "process": "images", "after": "20ms" } } }"#,
/// ).unwrap();
/// assert_eq!(fault, Fault {
///     when: When::Frame {
///         from: "images".into(), kind: FrameKind::Response, n: 3, moment: Moment::After,
///     },
///     what: What::Restart { process: "images".into(), after: Nanos::from_millis(20) },
/// });
/// assert_eq!(fault.to_string(), "after images sends its response 3: restart images after 20ms");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What it waits for.
    pub when: When,
    /// What happens.
    pub what: What,
}

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

/// What goes wrong.
///
/// Faults that a link cannot have (half a cut of an in-process link, a doorbell of a socket) have no
/// effect on it; a run reports how many faults took effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The process dies like by SIGKILL: what it has written arrives, nothing else happens. Of what
    /// it has stored into shared memory and not released, [`Tear`](crate::shm::Tear) says what is
    /// there. Whether it comes back is for its restart policy.
    Kill {
        /// Its name.
        process: String,
    },
    /// As [`What::Kill`], and of what the process had stored into shared memory and not released,
    /// exactly these stores have not taken place: a compiler may have put them off.
    KillLosing {
        /// Its name.
        process: String,
        /// Which of those stores, from 1 with the oldest; a store is one word of 8 bytes.
        stores: Vec<u32>,
    },
    /// The process dies after so many more stores into shared memory; on other links at its next
    /// write, of which only so many bytes get out.
    KillAfterStore {
        /// Its name.
        process: String,
        /// How many stores still take place.
        stores: u64,
    },
    /// The process dies and is started again after a while, whatever its restart policy says. A
    /// process that is down already is started.
    Restart {
        /// Its name.
        process: String,
        /// How long it stays down.
        after: Nanos,
    },
    /// The process does nothing for a while, as if stopped by SIGSTOP.
    Hang {
        /// Its name.
        process: String,
        /// How long.
        span: Nanos,
    },
    /// Every event of the process takes longer for a while.
    Slow {
        /// Its name.
        process: String,
        /// How long one event takes; at most 10 ms.
        each: Nanos,
        /// How long this lasts.
        span: Nanos,
    },
    /// The clock of the process jumps ahead, and with it the deadlines of its sessions; so does that
    /// of every process that shares memory with it, since those are on one machine. Handlers'
    /// `tokio::time` is not affected.
    ClockSkew {
        /// Its name.
        process: String,
        /// How far.
        ahead: Nanos,
    },
    /// Nothing arrives over the link for a while; what is sent waits.
    Freeze {
        /// Its name.
        link: String,
        /// How long; a freeze of [`Nanos::MAX`] waits for a thaw.
        span: Nanos,
    },
    /// A freeze ends early.
    Thaw {
        /// The link.
        link: String,
    },
    /// From now on every write takes so long to arrive, and every doorbell to be heard.
    Latency {
        /// The link.
        link: String,
        /// How long.
        latency: Nanos,
    },
    /// From now on each direction of the link holds so many bytes.
    Window {
        /// The link.
        link: String,
        /// How many; at least 1.
        bytes: u32,
    },
    /// From now on a read or write moves at most so many bytes.
    ShortIo {
        /// The link.
        link: String,
        /// How many; at least 1.
        bytes: u32,
    },
    /// The link breaks; what is under way is lost. On shared memory that is the control channel:
    /// what was published before can still be read.
    Cut {
        /// The link.
        link: String,
    },
    /// The link ends in one direction only, after what is under way.
    CutHalf {
        /// The link.
        link: String,
        /// Whose sending ends.
        from: String,
    },
    /// A byte is changed on its way.
    Corrupt {
        /// The link.
        link: String,
        /// Who sends it.
        from: String,
        /// Which of the bytes sent from now on, from 0.
        offset: u32,
        /// The bits that change; 0 counts as 1.
        xor: u8,
    },
    /// Something happens to the doorbells of the link for a while; only shared memory has them.
    Doorbell {
        /// The link.
        link: String,
        /// What happens to each ring.
        effect: DoorbellEffect,
        /// How long this lasts.
        span: Nanos,
    },
    /// Nothing more can be allocated on the link for a while; on sockets: nothing can be written.
    Exhaust {
        /// The link.
        link: String,
        /// How long.
        span: Nanos,
    },
}

/// What a kernel may do to a wake-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DoorbellEffect {
    /// It comes later.
    Delay(Nanos),
    /// Several become one.
    Coalesce,
    /// One becomes two.
    Duplicate,
}

impl What {
    /// All kinds of faults, as [`What::kind`] names them.
    pub const KINDS: [&'static str; 17] = [
        "kill",
        "kill_losing",
        "kill_after_store",
        "restart",
        "hang",
        "slow",
        "clock_skew",
        "freeze",
        "thaw",
        "latency",
        "window",
        "short_io",
        "cut",
        "cut_half",
        "corrupt",
        "doorbell",
        "exhaust",
    ];

    /// The word for this kind of fault; the same as in TOML.
    pub fn kind(&self) -> &'static str {
        match self {
            What::Kill { .. } => "kill",
            What::KillLosing { .. } => "kill_losing",
            What::KillAfterStore { .. } => "kill_after_store",
            What::Restart { .. } => "restart",
            What::Hang { .. } => "hang",
            What::Slow { .. } => "slow",
            What::ClockSkew { .. } => "clock_skew",
            What::Freeze { .. } => "freeze",
            What::Thaw { .. } => "thaw",
            What::Latency { .. } => "latency",
            What::Window { .. } => "window",
            What::ShortIo { .. } => "short_io",
            What::Cut { .. } => "cut",
            What::CutHalf { .. } => "cut_half",
            What::Corrupt { .. } => "corrupt",
            What::Doorbell { .. } => "doorbell",
            What::Exhaust { .. } => "exhaust",
        }
    }

    /// Whether it ends the current life of this process at once.
    pub(crate) fn ends(&self, name: &str) -> bool {
        match self {
            What::Kill { process }
            | What::KillLosing { process, .. }
            | What::Restart { process, .. } => process == name,
            _ => false,
        }
    }

    /// The process that it concerns, if it concerns one.
    pub fn process(&self) -> Option<&str> {
        match self {
            What::Kill { process }
            | What::KillLosing { process, .. }
            | What::KillAfterStore { process, .. }
            | What::Restart { process, .. }
            | What::Hang { process, .. }
            | What::Slow { process, .. }
            | What::ClockSkew { process, .. } => Some(process),
            _ => None,
        }
    }

    /// The link that it concerns, if it concerns one.
    pub fn link(&self) -> Option<&str> {
        match self {
            What::Freeze { link, .. }
            | What::Thaw { link }
            | What::Latency { link, .. }
            | What::Window { link, .. }
            | What::ShortIo { link, .. }
            | What::Cut { link }
            | What::CutHalf { link, .. }
            | What::Corrupt { link, .. }
            | What::Doorbell { link, .. }
            | What::Exhaust { link, .. } => Some(link),
            _ => None,
        }
    }
}
