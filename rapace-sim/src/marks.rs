//! Marks: rare states that tests must reach.

use crate::stage;

/// Marks a state that a sweep has to reach sometimes.
///
/// `sometimes!("resent")` counts that this line ran; `sometimes!(queue.is_full(), "queue full")` that
/// the condition held, and makes the mark known when it did not. A sweep fails when a known mark
/// stays at zero over all its seeds. Outside of a world it does nothing.
///
/// ```
/// # let retries = 1;
/// rapace_sim::sometimes!(retries > 0, "the call was repeated");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($name:literal) => {
        $crate::mark($name, true)
    };
    ($condition:expr, $name:literal) => {
        $crate::mark($name, $condition)
    };
}

/// What [`sometimes!`](crate::sometimes) does: counts `name` as reached, or only as known.
pub fn mark(name: &str, reached: bool) {
    if let Some(stage) = stage::current() {
        stage.mark(name, reached);
    }
}
