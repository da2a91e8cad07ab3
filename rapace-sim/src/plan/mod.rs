//! Plans: all the faults of one run.
//!
//! | part | owns |
//! |---|---|
//! | `cast` | whom and what a plan can hit |
//! | `swarm` | the plan of a seed |
//! | `from_bytes` | the plan of any bytes, for fuzzers |
//! | `drawn` | one random fault |

mod cast;
mod drawn;
mod from_bytes;
mod swarm;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultKind};

pub use cast::{Cast, CastLink};

/// A seed and the faults of a run: together with the world they decide everything that happens.
///
/// A plan comes from a seed ([`Plan::swarm`]), from a file (serde: TOML, JSON), from any bytes
/// ([`Plan::from_bytes`], [`Arbitrary`](arbitrary::Arbitrary)), or is written by hand.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides the order of tasks, latencies, and whatever else is random.
    pub seed: u64,
    /// What goes wrong, in no particular order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// The most faults that a plan from a seed or from bytes has.
const FAULTS_MAX: usize = 24;

impl Plan {
    /// No faults.
    pub fn calm(seed: u64) -> Self {
        Plan {
            seed,
            faults: Vec::new(),
        }
    }

    /// Whether there is a fault of this kind in it.
    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.faults.iter().any(|fault| fault.what.kind() == kind)
    }
}

impl fmt::Display for Plan {
    /// The seed, then one fault in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_json_and_toml() {
        for seed in 0..200 {
            let plan = Plan::swarm(seed, &Cast::standard());
            let json = serde_json::to_string(&plan).expect("to JSON");
            assert_eq!(serde_json::from_str::<Plan>(&json).expect(&json), plan);
            let toml = toml::to_string(&plan).expect("to TOML");
            assert_eq!(toml::from_str::<Plan>(&toml).expect(&toml), plan);
        }
    }
}
