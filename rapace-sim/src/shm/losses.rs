//! All that a death can take back, as few runs as possible.
//!
//! Which of its unreleased stores a dead process really made matters only where somebody looks
//! afterwards. So the subsets are found by running: every run says which of the stores were looked
//! at, in which order, and the next run decides the last of them otherwise. That is a walk through
//! the tree of what the survivors can see; each of its leaves is one run, and stands for all subsets
//! that differ only in stores at which that run never looks.

use std::collections::BTreeSet;

use crate::draw::{Draws, Purpose};

/// More runs than this are not made for one moment.
const RUNS_MAX: usize = 1 << 12;
/// Of the stores looked at, so many are thinned out in twos.
const PAIRED_MAX: usize = 48;
/// Subsets that are drawn where not all are run.
const DRAWN: usize = 256;

/// What [`every_loss`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Losses {
    /// `run` had enough.
    Stopped,
    /// Every subset was run, or one that cannot be told from it.
    All,
    /// There are too many.
    Some,
}

/// A store that somebody looked at, and whether it is lost.
struct Choice {
    store: u32,
    lost: bool,
}

/// Has `run` make every set of stores the lost ones, the empty one first. It says at which stores
/// somebody looked, in that order, or `None` when there is to be no further run.
pub(super) fn every_loss(seed: u64, mut run: impl FnMut(&[u32]) -> Option<Vec<u32>>) -> Losses {
    let mut choices: Vec<Choice> = Vec::new();
    let mut all_seen = BTreeSet::new();
    for _ in 0..RUNS_MAX {
        let lost: Vec<u32> = choices
            .iter()
            .filter(|choice| choice.lost)
            .map(|choice| choice.store)
            .collect();
        let Some(seen) = run(&lost) else {
            return Losses::Stopped;
        };
        all_seen.extend(&seen);
        for store in seen {
            if !choices.iter().any(|choice| choice.store == store) {
                choices.push(Choice { store, lost: false });
            }
        }
        while choices.pop_if(|last| last.lost).is_some() {}
        match choices.last_mut() {
            Some(last) => last.lost = true,
            None => return Losses::All,
        }
    }
    for lost in thinned(seed, &all_seen.into_iter().collect::<Vec<u32>>()) {
        if run(&lost).is_none() {
            return Losses::Stopped;
        }
    }
    Losses::Some
}

/// Small sets of these stores, sets that lack little, and drawn ones.
fn thinned(seed: u64, stores: &[u32]) -> Vec<Vec<u32>> {
    let paired = &stores[..stores.len().min(PAIRED_MAX)];
    let mut small: Vec<Vec<u32>> = stores.iter().map(|store| vec![*store]).collect();
    for (at, one) in paired.iter().enumerate() {
        small.extend(paired[at + 1..].iter().map(|other| vec![*one, *other]));
    }
    let but = |kept: &Vec<u32>| -> Vec<u32> {
        let lost = stores.iter().filter(|store| !kept.contains(store));
        lost.copied().collect()
    };
    let mut sets: Vec<Vec<u32>> = small.iter().map(but).collect();
    sets.push(stores.to_vec());
    sets.extend(small);
    let mut draws = Draws::new(seed, Purpose::Tear, u64::MAX);
    for _ in 0..DRAWN {
        let drawn = stores.iter().filter(|_| draws.chance(1, 2));
        sets.push(drawn.copied().collect());
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `look` for every loss; how many runs it took, and all the different things it saw.
    fn runs(mut look: impl FnMut(&dyn Fn(u32) -> bool) -> Vec<u32>) -> (usize, Losses) {
        let mut distinct = BTreeSet::new();
        let mut runs = 0;
        let losses = every_loss(1, |lost| {
            runs += 1;
            let seen = look(&|store| !lost.contains(&store));
            let view: Vec<(u32, bool)> = seen.iter().map(|at| (*at, lost.contains(at))).collect();
            assert!(distinct.insert(view), "{lost:?} was run before");
            Some(seen)
        });
        (runs, losses)
    }

    #[test]
    fn what_nobody_looks_at_is_one_run() {
        assert_eq!(runs(|_| vec![]), (1, Losses::All));
    }

    #[test]
    fn what_is_always_looked_at_is_run_in_all_combinations() {
        assert_eq!(runs(|_| (1..=10).collect()), (1 << 10, Losses::All));
    }

    #[test]
    fn where_one_store_hides_another_only_what_is_seen_counts() {
        // Who finds the first store looks at the other two, else nobody does.
        let look = |there: &dyn Fn(u32) -> bool| {
            if there(5) { vec![5, 2, 9] } else { vec![5] }
        };
        assert_eq!(runs(look), (5, Losses::All));
    }

    #[test]
    fn who_has_enough_is_not_asked_again() {
        let mut runs = 0;
        let losses = every_loss(1, |_| {
            runs += 1;
            (runs < 3).then(|| (1..=10).collect())
        });
        assert_eq!((losses, runs), (Losses::Stopped, 3));
    }

    #[test]
    fn too_many_stores_are_thinned_to_few_many_and_drawn_ones() {
        let stores: Vec<u32> = (1..=20).collect();
        let mut sets = BTreeSet::new();
        let losses = every_loss(1, |lost| {
            sets.insert(lost.to_vec());
            Some(stores.clone())
        });
        assert_eq!(losses, Losses::Some);
        for one in 1..=20 {
            assert!(sets.contains(&vec![one]), "{one} alone is lost");
            let but: Vec<u32> = stores.iter().copied().filter(|at| *at != one).collect();
            assert!(sets.contains(&but), "all but {one} are lost");
        }
        assert!(sets.contains(&stores) && sets.contains(&vec![]));
        assert!(sets.len() > RUNS_MAX, "{} different sets", sets.len());
    }
}
