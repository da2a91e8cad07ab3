//! From a plan that fails to the faults that matter, each as simple as it can be.
//!
//! | part | owns |
//! |---|---|
//! | here | what is asked for, and what came of it |
//! | `search` | the plans that are tried, and the smallest that fails |
//! | `fewer` | leaving faults out |
//! | `simpler` | what a reader calls simpler than a fault |

mod fewer;
mod search;
mod simpler;

use crate::plan::Plan;
use crate::report::{Failure, Oracle, Report};
use crate::world::WorldBuilder;
use search::Search;

/// A plan that still fails, and of which nothing can be taken away.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The faults that are left, simplified, in the order in which they happen; also those of `report`.
    pub plan: Plan,
    /// Where they come from: for each fault of `plan` the place in the first plan, from 0. What
    /// stands there may say another time, another span or another kind than what became of it; all
    /// of these faults as they stood there do not always fail together.
    pub kept: Vec<usize>,
    /// How many of them are not what they were in the first plan.
    pub simplified: usize,
    /// The last failing run.
    pub report: Report,
    /// How many runs it took.
    pub runs: u64,
}

/// How far shrinking is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Faults of the first plan.
    pub faults_before: usize,
    /// Faults of the smallest plan so far that fails.
    pub faults: usize,
    /// Runs until now.
    pub runs: u64,
}

/// At most so many runs look for simpler faults, beside those that look for fewer.
pub const SIMPLER_RUNS_MAX: u64 = 200;
/// No more of them begin once they have taken so many polls and events together
/// ([`Report::steps`]): about a second of an optimised build, and four of one that is not. Unlike a
/// clock that leaves the result the same on every machine.
pub const SIMPLER_STEPS_MAX: u64 = 500_000;

/// Takes faults away from the world's plan, and makes those that are left simpler, as long as it
/// fails in the same way: at the same oracle, and for assertions at the same place.
///
/// **Fewer.** First go those that had no effect before the failure, then all that concern one process
/// or link, then all of one kind, then pieces of what is left (delta debugging: Zeller and
/// Hildebrandt, 2002). That works because random draws do not depend on which faults there are.
///
/// **Simpler.** `at 17.203418ms: restart images after 83.112947ms` becomes `at 17ms: kill images`:
/// times and spans get round and short, counts small, windows wide; a fault whose kind does not matter
/// becomes one of a simpler kind, and one whose time does not matter happens `at 0s`. Values
/// are searched by halving, so a yet simpler one may exist where failures come and go with a value.
/// This stops after [`SIMPLER_RUNS_MAX`] runs or [`SIMPLER_STEPS_MAX`] steps, with what is reached then.
///
/// What is left is minimal in that leaving out any single fault makes the failure go away; simpler
/// faults that made others superfluous are taken into account.
///
/// `None` when the world does not fail, or fails for being nondeterministic.
///
/// # Panics
///
/// As [`WorldBuilder::run`].
pub fn shrink(world: &WorldBuilder) -> Option<Shrunk> {
    shrink_with(world, |_| {})
}

/// As [`shrink`]; `progress` hears of every run.
///
/// # Panics
///
/// As [`WorldBuilder::run`].
pub fn shrink_with(world: &WorldBuilder, progress: impl FnMut(&Progress)) -> Option<Shrunk> {
    let first = world.clone().trace(false).run();
    let first = first.failures.first()?;
    let alike = |report: &Report| report.failures.first().is_some_and(|one| alike(one, first));
    shrink_while(world, alike, progress)
}

/// Whether two failures are likely one bug. Texts of other oracles than the user's name what was
/// under way, which may well be less with fewer faults.
fn alike(one: &Failure, other: &Failure) -> bool {
    one.oracle == other.oracle
        && match one.oracle {
            Oracle::Assertion => one.place == other.place && kind_of(one) == kind_of(other),
            Oracle::Missed => one.text == other.text,
            _ => true,
        }
}

/// What a failure without a place says, up to its first number.
fn kind_of(failure: &Failure) -> &str {
    let text = failure.text.split(|c: char| c.is_ascii_digit()).next();
    match &failure.place {
        Some(_) => "",
        None => text.unwrap_or_default(),
    }
}

/// As [`shrink_with`], with another notion of failing.
///
/// # Panics
///
/// As [`WorldBuilder::run`].
pub fn shrink_while(
    world: &WorldBuilder,
    fails: impl Fn(&Report) -> bool,
    mut progress: impl FnMut(&Progress),
) -> Option<Shrunk> {
    let mut search = Search::begin(world, &fails, &mut progress)?;
    search.leave_out();
    while search.simplify() && search.leave_pieces() {}
    search.sort();
    Some(search.end())
}
