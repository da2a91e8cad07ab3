//! What the fuzzer does with the standard world; an ordinary function, so that tests replay its
//! corpus.

use crate::plan::{Cast, Plan};

/// Any bytes are a plan, and the standard world outlives it.
///
/// # Panics
///
/// When an oracle objects; with the plan.
pub fn plan(data: &[u8]) {
    super::with_plan(Plan::from_bytes(data, &Cast::standard()))
        .run()
        .check();
}
