//! Random numbers that depend on what they are for, not on what was drawn before.
//!
//! A number is a pure function of the world's seed, of what it decides (a [`Purpose`]), of whom it
//! concerns and of how many such decisions came before. Removing one fault from a plan therefore
//! leaves all decisions elsewhere as they were, which is what makes shrinking work.

/// What a number decides. The values are part of what a seed means: changing one changes every
/// world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Which ready task goes first.
    Schedule = 1,
    /// How long a chunk of bytes is under way.
    Latency = 2,
    /// How many bytes a write takes.
    Write = 3,
    /// How many bytes a read gives.
    Read = 4,
    /// What a process draws by itself: epochs, trace ids.
    Process = 5,
    /// Which faults a plan has.
    Plan = 6,
    /// What the standard world does.
    Workload = 7,
    /// How a killed process's link looks from the other end.
    Death = 8,
    /// The shape of the standard world.
    World = 9,
    /// How long a doorbell takes.
    Doorbell = 10,
    /// What a dead process leaves of its last stores.
    Tear = 11,
    /// The shape of a link over shared memory.
    Shape = 12,
}

/// The number for the `n`-th decision of a kind about `whom`.
#[inline]
pub(crate) fn draw(seed: u64, purpose: Purpose, whom: u64, n: u64) -> u64 {
    let mixed = mix(seed ^ mix((purpose as u64) << 56 ^ whom));
    mix(mixed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input changes each
/// bit of the output with probability one half.
#[inline]
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of numbers for one purpose.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    seed: u64,
    purpose: Purpose,
    whom: u64,
    n: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, purpose: Purpose, whom: u64) -> Self {
        Draws {
            seed,
            purpose,
            whom,
            n: 0,
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.n += 1;
        draw(self.seed, self.purpose, self.whom, self.n)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        below(self.next(), end)
    }

    /// A number from `start` to `last`, both included.
    pub(crate) fn within(&mut self, start: u64, last: u64) -> u64 {
        start + self.below(last - start + 1)
    }

    /// True `times` out of `of` times.
    pub(crate) fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Maps a number onto those below `end`.
#[inline]
pub(crate) fn below(number: u64, end: u64) -> u64 {
    ((u128::from(number) * u128::from(end)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_depends_on_its_purpose_whom_and_count_alone() {
        let here = draw(7, Purpose::Latency, 3, 9);
        assert_eq!(here, draw(7, Purpose::Latency, 3, 9));
        let others = [
            draw(8, Purpose::Latency, 3, 9),
            draw(7, Purpose::Write, 3, 9),
            draw(7, Purpose::Latency, 4, 9),
            draw(7, Purpose::Latency, 3, 10),
        ];
        assert!(!others.contains(&here));
    }

    #[test]
    fn numbers_spread_over_their_range() {
        let mut draws = Draws::new(1, Purpose::Plan, 0);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[draws.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1_150).contains(&n)), "{seen:?}");
        assert!((0..1_000).all(|_| (5..=6).contains(&draws.within(5, 6))));
    }
}
