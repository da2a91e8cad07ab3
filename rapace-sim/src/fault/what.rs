//! What goes wrong.

use serde::{Deserialize, Serialize};

use super::FaultKind;
use crate::time::Nanos;

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
    /// Which kind of fault it is.
    pub const fn kind(&self) -> FaultKind {
        match self {
            What::Kill { .. } => FaultKind::Kill,
            What::KillLosing { .. } => FaultKind::KillLosing,
            What::KillAfterStore { .. } => FaultKind::KillAfterStore,
            What::Restart { .. } => FaultKind::Restart,
            What::Hang { .. } => FaultKind::Hang,
            What::Slow { .. } => FaultKind::Slow,
            What::ClockSkew { .. } => FaultKind::ClockSkew,
            What::Freeze { .. } => FaultKind::Freeze,
            What::Thaw { .. } => FaultKind::Thaw,
            What::Latency { .. } => FaultKind::Latency,
            What::Window { .. } => FaultKind::Window,
            What::ShortIo { .. } => FaultKind::ShortIo,
            What::Cut { .. } => FaultKind::Cut,
            What::CutHalf { .. } => FaultKind::CutHalf,
            What::Corrupt { .. } => FaultKind::Corrupt,
            What::Doorbell { .. } => FaultKind::Doorbell,
            What::Exhaust { .. } => FaultKind::Exhaust,
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
