//! Every interleaving of the protocols between two processes, and every value that each of their
//! loads may see: loom runs the shipping code over a [`Memory`](rapace_shm::Memory) of its cells.
//!
//! | module | models |
//! |---|---|
//! | `memory` | a lane of loom's cells, with a flaw to order |
//! | `ring` | descriptors and payloads through a ring that wraps, read cursors |
//! | `returns` | slots that are given back and used again |
//! | `naps` | sleeping and waking, in both directions |
//! | `teardown` | closing and dying right after the last frame |
//! | `link` | two whole ends: the shipping sink and source, each in a thread of its own |
//!
//! Each model also runs with planted flaws, and loom must find every one of them. The bound on
//! preemptions is 2 (1 for the largest), or what `LOOM_MAX_PREEMPTIONS` says (`just loom`).
#![allow(
    clippy::disallowed_methods,
    reason = "loom's threads, and which models to run"
)]

mod link;
mod memory;
mod naps;
mod returns;
mod ring;
mod teardown;

/// Runs the model through every schedule within the bound.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    explore_within(2, model);
}

/// [`explore`] for models that are too large for two preemptions in a few seconds.
fn explore_some(model: impl Fn() + Send + Sync + 'static) {
    explore_within(1, model);
}

fn explore_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    builder.check(model);
}

/// As [`assert_found`], for models whose destructors panic once more: loom then aborts the process,
/// so this is a child of it that runs the test of this name.
fn assert_found_by_abort(expected: &str, test: &str, model: impl Fn() + Send + Sync + 'static) {
    const CHILD: &str = "RAPACE_LOOM_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return explore(model);
    }
    let this = std::env::current_exe().expect("this program");
    let child = std::process::Command::new(this)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success(), "a planted flaw went unnoticed");
    assert!(said.contains(expected), "found something else: {said}");
}

/// Asserts that loom finds something wrong with the model, and that it is what was planted.
fn assert_found(expected: &str, model: impl Fn() + Send + Sync + 'static) {
    let ended = std::thread::spawn(move || explore(model)).join();
    let payload = ended.expect_err("a planted flaw went unnoticed");
    let said = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(said.contains(expected), "found something else: {said}");
}
