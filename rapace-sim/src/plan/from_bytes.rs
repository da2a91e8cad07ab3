//! The plan of any bytes, for fuzzers.

use arbitrary::{Arbitrary, Unstructured};

use super::drawn::{KINDS, fault};
use super::{Cast, FAULTS_MAX, Plan};
use crate::draw::{Draws, Purpose};

impl Plan {
    /// A plan from any bytes, for fuzzers: equal bytes give equal plans, and small changes of the
    /// bytes small changes of the plan.
    pub fn from_bytes(bytes: &[u8], cast: &Cast) -> Self {
        // Bytes that run out give zeros, so that every input is a plan.
        Self::take(&mut Unstructured::new(bytes), cast).unwrap_or_default()
    }

    fn take(u: &mut Unstructured<'_>, cast: &Cast) -> arbitrary::Result<Self> {
        let seed = u64::from(u.arbitrary::<u32>()?);
        let mut faults = Vec::new();
        while !u.is_empty() && faults.len() < FAULTS_MAX {
            // The number itself is what the fuzzer mutates.
            let mut draws = Draws::new(u.arbitrary()?, Purpose::Plan, 0);
            let kind = u.choose_index(KINDS.len())?;
            faults.extend(fault(&mut draws, cast, KINDS[kind]));
        }
        Ok(Plan { seed, faults })
    }
}

impl<'a> Arbitrary<'a> for Plan {
    /// A plan for the standard world; see [`Plan::from_bytes`] for others.
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::take(u, &Cast::standard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_plan() {
        let cast = Cast::standard();
        assert_eq!(Plan::from_bytes(&[], &cast), Plan::default());
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let plan = Plan::from_bytes(&bytes[..len], &cast);
            assert_eq!(plan, Plan::from_bytes(&bytes[..len], &cast));
        }
        assert!(!Plan::from_bytes(&bytes, &cast).faults.is_empty());
    }
}
