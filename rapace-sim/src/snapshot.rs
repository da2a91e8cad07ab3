//! Traces as insta snapshots.

use crate::report::Report;

/// Compares the trace of a run with its snapshot: `assert_trace_snapshot!(report)`, or with a name
/// `assert_trace_snapshot!("images crash", report)`.
///
/// The run must have kept its trace ([`WorldBuilder::trace`](crate::WorldBuilder::trace)) and must be
/// fine. The seed and the faults stand in the snapshot, before the trace. New and changed snapshots
/// are looked at with `cargo insta review`.
#[macro_export]
macro_rules! assert_trace_snapshot {
    ($report:expr $(,)?) => {
        $crate::insta::with_settings!({ omit_expression => true }, {
            $crate::insta::assert_snapshot!($crate::snapshot::text(&$report))
        })
    };
    ($name:expr, $report:expr $(,)?) => {
        $crate::insta::with_settings!({ omit_expression => true }, {
            $crate::insta::assert_snapshot!($name, $crate::snapshot::text(&$report))
        })
    };
}

/// The trace of a run as it stands in a snapshot: seed and faults, then a line for each event.
///
/// # Panics
///
/// When the run failed, or did not keep its trace.
#[track_caller]
pub fn text(report: &Report) -> String {
    report.check();
    let Some(trace) = &report.trace else {
        panic!("the run has no trace; ask for it with `WorldBuilder::trace(true)`");
    };
    format!("{}\n\n{trace}", report.plan)
}
