//! Which cores the two processes run on.
//!
//! Left alone, the scheduler puts a client and its server now on one core and now on two, and the
//! same call takes 5 µs or 11: rounds of one peer differ more than peers do. So both placements are
//! measured by themselves. On one core a call costs what its software costs; on two, a wake-up
//! crosses cores, and what can be done at the same time is.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Zero means the calling thread to the scheduler's calls.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The cores that this process was allowed when it started.
pub(crate) struct Cores(Vec<usize>);

/// Where client and server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Both on the same core.
    Shared,
    /// A core each.
    Apart,
    /// Wherever the scheduler puts them.
    Free,
}

impl Placement {
    /// For the JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Apart => "apart",
            Self::Free => "free",
        }
    }
}

/// What the command line takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlacementChoice {
    /// Client and server on the same core.
    Shared,
    /// A core each.
    Apart,
    /// Wherever the scheduler puts them; varies between rounds.
    Free,
    /// First shared, then apart: two tables.
    Both,
}

impl PlacementChoice {
    pub(crate) fn placements(self) -> &'static [Placement] {
        match self {
            Self::Shared => &[Placement::Shared],
            Self::Apart => &[Placement::Apart],
            Self::Free => &[Placement::Free],
            Self::Both => &[Placement::Shared, Placement::Apart],
        }
    }
}

impl Cores {
    pub(crate) fn allowed() -> Result<Self> {
        let allowed = sched_getaffinity(THIS_THREAD).context("ask for the allowed cores")?;
        let cores = 0..CpuSet::count();
        Ok(Self(
            cores
                .filter(|core| allowed.is_set(*core).unwrap_or(false))
                .collect(),
        ))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.0.iter().copied()
    }

    /// Puts the calling thread, and what it starts from now on, where the client belongs.
    pub(crate) fn place_client(&self, placement: Placement) -> Result<()> {
        // The last core, because the first usually has the interrupts.
        match placement {
            Placement::Shared | Placement::Apart => stay_on(self.iter().next_back()),
            Placement::Free => stay_on(self.iter()),
        }
    }

    /// Likewise for a server, before it is started.
    pub(crate) fn place_server(&self, placement: Placement) -> Result<()> {
        match placement {
            Placement::Shared => stay_on(self.iter().next_back()),
            Placement::Apart => {
                let enough = self.0.len() > 1;
                ensure!(
                    enough,
                    "a core each needs two cores; --cores shared needs one"
                );
                stay_on(self.iter().next())
            }
            Placement::Free => stay_on(self.iter()),
        }
    }
}

/// Keeps the calling thread on these cores.
pub(crate) fn stay_on(cores: impl IntoIterator<Item = usize>) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(core)?;
    }
    sched_setaffinity(THIS_THREAD, &set).context("stay on the chosen cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_chooses_among_the_allowed_cores() {
        let before = Cores::allowed().unwrap();
        before.place_client(Placement::Shared).unwrap();
        let client = Cores::allowed().unwrap().0;
        before.place_server(Placement::Shared).unwrap();
        assert_eq!(Cores::allowed().unwrap().0, client);
        assert_eq!(client.len(), 1);
        if before.0.len() > 1 {
            before.place_server(Placement::Apart).unwrap();
            assert_ne!(Cores::allowed().unwrap().0, client);
        }
        before.place_client(Placement::Free).unwrap();
        assert_eq!(Cores::allowed().unwrap().0, before.0);
    }
}
