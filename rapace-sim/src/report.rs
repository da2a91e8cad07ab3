//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::time::Nanos;
use crate::trace::{Trace, TraceHash};

/// Everything that is known of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// Equal for equal runs.
    pub hash: TraceHash,
    /// What the oracles found wrong, oldest first. Empty when all is well.
    pub failures: Vec<Failure>,
    /// Which marks were reached, and how often; also those that were passed without being reached.
    pub marks: BTreeMap<String, u64>,
    /// By kind of fault: how many were planned and how many hit something.
    pub faults: BTreeMap<String, FaultCount>,
    /// Which faults of the plan took effect, by their place in it and in the order in which they
    /// did. The others waited for something that never came, or found nothing to hit.
    #[serde(default)]
    pub hit: Vec<usize>,
    /// Whether each fault of the plan that was given with
    /// [`WorldBuilder::fault`](crate::WorldBuilder::fault) took effect; empty where they may miss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<(String, bool)>,
    /// How many calls were watched, and how they ended.
    pub calls: CallCount,
    /// Polls of tasks and events of links and timers.
    pub steps: u64,
    /// Frames that were sent.
    pub frames: u64,
    /// Stores of each process into memory that it shares with others; rings of doorbells and
    /// messages on control channels count as one each. Processes without any are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<String, u64>,
    /// The most words of shared memory that a process had stored and not released when it died: see
    /// [`Tear`](crate::shm::Tear).
    #[serde(default)]
    pub unreleased: usize,
    /// Which of the stores that a process had not released when [`What::KillLosing`] killed it lie
    /// where somebody looked afterwards, in the order of those looks: only of these does it matter
    /// whether they took place.
    ///
    /// [`What::KillLosing`]: crate::What::KillLosing
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreleased_seen: Vec<u32>,
    /// How long it took, in virtual time.
    pub virtual_time: Nanos,
    /// What happened, if it was kept: see [`WorldBuilder::trace`](crate::WorldBuilder::trace).
    pub trace: Option<Trace>,
}

/// Faults of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FaultCount {
    /// In the plan.
    pub planned: u64,
    /// Happened, and there was something to hit.
    pub hit: u64,
}

/// Calls that were watched with [`Process::watch`](crate::Process::watch).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CallCount {
    /// Begun.
    pub begun: u64,
    /// Ended with a result.
    pub ok: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Dropped before their end, by whoever made them or by the death of its process.
    pub dropped: u64,
}

/// Something that an oracle found wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// When it was found.
    pub at: Nanos,
    /// Which oracle.
    pub oracle: Oracle,
    /// What is wrong.
    pub text: String,
    /// Where in the sources code panicked, if it did: file, line and column. The trace does not have
    /// it, as it is the same wherever the sources lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What every run is checked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oracle {
    /// The user's own assertions: a main function, a task or a handler panicked, and not as
    /// [`Program::may_panic`](crate::Program::may_panic) says.
    Assertion,
    /// Every call ends, every host's main function returns, and within the virtual deadline.
    Progress,
    /// The world does not turn in circles without time going on.
    Livelock,
    /// What arrives is what was sent, in order.
    Delivery,
    /// What is sent keeps to the protocol: one response for a call, nothing after an end, no more
    /// than the credit.
    Protocol,
    /// After quiet all tables are empty: calls, channels, credit, tasks, bytes.
    Leak,
    /// The same seed gives the same trace.
    Determinism,
    /// A fault that was asked for finds something to hit.
    Missed,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oracle::Assertion => "assertion",
            Oracle::Progress => "progress",
            Oracle::Livelock => "livelock",
            Oracle::Delivery => "delivery",
            Oracle::Protocol => "protocol",
            Oracle::Leak => "leak",
            Oracle::Determinism => "determinism",
            Oracle::Missed => "missed",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}: {}", self.at, self.oracle, self.text)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

impl Report {
    /// Whether nothing was found wrong.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// # Panics
    ///
    /// When something was found wrong; with the seed, the first failure, the faults and, if it was
    /// kept, the end of the trace.
    #[track_caller]
    pub fn check(&self) {
        assert!(self.is_ok(), "{self}");
    }
}

/// Lines of the trace before the end that a failure shows.
const TRACE_LINES: usize = 40;
/// Failures of one run beyond this many say nothing new.
const FAILURES_SHOWN: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.first() {
            None => writeln!(f, "seed {} is fine", self.plan.seed)?,
            Some(first) => {
                writeln!(f, "seed {} fails {first}", self.plan.seed)?;
                for other in self.failures.iter().take(FAILURES_SHOWN).skip(1) {
                    writeln!(f, "  also {other}")?;
                }
            }
        }
        for fault in &self.plan.faults {
            writeln!(f, "  fault: {fault}")?;
        }
        if !self.is_ok() {
            f.write_str(&self.last_lines())?;
        }
        Ok(())
    }
}

impl Report {
    /// The end of the trace, if it was kept, a little indented.
    pub(crate) fn last_lines(&self) -> String {
        let trace = self.trace.as_ref().map(ToString::to_string);
        let lines: Vec<&str> = trace.iter().flat_map(|trace| trace.lines()).collect();
        let skipped = lines.len().saturating_sub(TRACE_LINES);
        let mut text = String::new();
        if skipped > 0 {
            let _ = writeln!(text, "  … {skipped} lines of trace before");
        }
        for line in &lines[skipped..] {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}
