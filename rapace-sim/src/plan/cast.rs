//! Whom and what a plan can hit.

use crate::fault::FaultKind;
use crate::link::LinkKind;
use crate::time::Nanos;

/// Whom and what a plan can hit: the processes and links of a world, and how long it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cast {
    /// Processes that may be killed, restarted, hung and slowed.
    pub processes: Vec<String>,
    /// Links and the names of their two ends.
    pub links: Vec<CastLink>,
    /// Faults happen before this time.
    pub horizon: Nanos,
}

/// A link as plans see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CastLink {
    /// Its name.
    pub name: String,
    /// The processes at its ends.
    pub ends: [String; 2],
    /// Its transport, which cannot have every fault; `None` when that is not known.
    pub kind: Option<LinkKind>,
}

impl CastLink {
    fn can_have(&self, fault: FaultKind) -> bool {
        self.kind.is_none_or(|kind| kind.can_have(fault))
    }
}

impl Cast {
    /// The processes that a fault of this kind could hit.
    pub(super) fn processes_for(&self, fault: FaultKind) -> Vec<&String> {
        // Who writes no bytes and stores none does not die of the next ones.
        let needs_bytes = fault == FaultKind::KillAfterStore;
        let processes = self.processes.iter();
        processes
            .filter(|name| !needs_bytes || self.has_link(name, |kind| kind != LinkKind::Mem))
            .collect()
    }

    /// The processes that store into shared memory.
    pub(super) fn storing(&self) -> Vec<&String> {
        let processes = self.processes.iter();
        processes
            .filter(|name| self.has_link(name, |kind| kind == LinkKind::Shm))
            .collect()
    }

    /// Whether one of the links of a process is, or may be, such a one.
    fn has_link(&self, process: &str, such: impl Fn(LinkKind) -> bool) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.ends.iter().any(|end| end == process) && link.kind.is_none_or(&such))
    }

    /// The links that can have a fault of this kind.
    pub(super) fn links_for(&self, fault: FaultKind) -> Vec<&CastLink> {
        let links = self.links.iter();
        links.filter(|link| link.can_have(fault)).collect()
    }

    /// Whether anything here can have a fault of this kind.
    pub(super) fn can_have(&self, fault: FaultKind) -> bool {
        if fault.is_of_process() {
            !self.processes_for(fault).is_empty()
        } else {
            !self.links_for(fault).is_empty()
        }
    }

    /// That of the standard world, whatever its seed: `host` and the plugins `a`, `b` and `c`, each
    /// on a link of its own name.
    pub fn standard() -> Self {
        let plugins = ["a", "b", "c"];
        let link = |name: &str| CastLink {
            name: name.to_owned(),
            ends: ["host".to_owned(), name.to_owned()],
            kind: None,
        };
        Cast {
            processes: plugins.map(str::to_owned).to_vec(),
            links: plugins.map(link).to_vec(),
            horizon: Nanos::from_secs(5),
        }
    }
}
