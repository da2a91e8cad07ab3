//! The plan of a seed.

use super::drawn::{KINDS, fault, index};
use super::{Cast, FAULTS_MAX, Plan};
use crate::draw::{Draws, Purpose};
use crate::fault::{Fault, FaultKind};

impl Plan {
    /// The faults of a seed.
    ///
    /// Each seed leaves out whole kinds of faults ("swarm testing"): a uniform mix of all of them
    /// would end nearly every run in a crash before anything rarer could happen.
    pub fn swarm(seed: u64, cast: &Cast) -> Self {
        let mut draws = Draws::new(seed, Purpose::Plan, 0);
        let swarm = Swarm::draw(&mut draws, cast);
        let count = match draws.below(8) {
            0 => 0,
            1..=4 => draws.within(1, 4),
            5 | 6 => draws.within(3, 10),
            _ => draws.within(8, FAULTS_MAX as u64),
        };
        let fault = |n| {
            // Each fault from numbers of its own, so that another kind in one place does not
            // change those behind it.
            let mut draws = Draws::new(seed, Purpose::Plan, n + 1);
            swarm.fault(&mut draws, cast)
        };
        Plan {
            seed,
            faults: (0..count).filter_map(fault).collect(),
        }
    }
}

/// Which kinds of faults a seed knows, and whom it spares.
struct Swarm {
    kinds: Vec<FaultKind>,
}

impl Swarm {
    fn draw(draws: &mut Draws, cast: &Cast) -> Self {
        let possible: Vec<FaultKind> = KINDS
            .iter()
            .filter(|kind| cast.can_have(**kind))
            .copied()
            .collect();
        let mut kinds: Vec<FaultKind> = possible
            .iter()
            .filter(|_| draws.chance(1, 3))
            .copied()
            .collect();
        if kinds.is_empty() && !possible.is_empty() {
            kinds.push(*draws.pick(&possible));
        }
        Swarm { kinds }
    }

    fn fault(&self, draws: &mut Draws, cast: &Cast) -> Option<Fault> {
        let at = index(draws, self.kinds.len())?;
        fault(draws, cast, self.kinds[at])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fault::When;
    use crate::link::LinkKind;

    #[test]
    fn swarms_leave_out_kinds_and_reach_all_of_them_together() {
        let mut all = BTreeSet::new();
        for seed in 0..300 {
            let plan = Plan::swarm(seed, &Cast::standard());
            assert_eq!(plan, Plan::swarm(seed, &Cast::standard()));
            let kinds: BTreeSet<_> = plan.faults.iter().map(|fault| fault.what.kind()).collect();
            assert!(kinds.len() < 14, "seed {seed} uses {kinds:?}");
            all.extend(kinds);
        }
        // What is lost with a killed process is drawn where it dies; explorations say it exactly.
        let drawn = FaultKind::ALL
            .into_iter()
            .filter(|kind| *kind != FaultKind::KillLosing);
        assert_eq!(all, drawn.collect());
    }

    /// A fault that cannot hit anything tests nothing.
    #[test]
    fn links_get_only_faults_that_they_can_have() {
        let cast = |kind| {
            let mut cast = Cast::standard();
            for link in &mut cast.links {
                link.kind = Some(kind);
            }
            cast
        };
        for kind in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
            let (mut hit, mut store) = (BTreeSet::new(), 0);
            for fault in (0..2_000).flat_map(|seed| Plan::swarm(seed, &cast(kind)).faults) {
                let of_store = matches!(fault.when, When::Store { .. } | When::StoreAfter { .. });
                store += usize::from(of_store);
                hit.insert(fault.what.kind());
            }
            let all: BTreeSet<_> = KINDS
                .into_iter()
                .filter(|fault| kind.can_have(*fault))
                .collect();
            let all: BTreeSet<_> = match kind {
                LinkKind::Mem => &all - &BTreeSet::from([FaultKind::KillAfterStore]),
                _ => all,
            };
            assert_eq!(hit, all, "{kind:?}");
            assert_eq!(store > 0, kind == LinkKind::Shm, "{kind:?}");
        }
    }
}
