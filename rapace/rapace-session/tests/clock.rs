//! Deadlines that stand on the wire as absolute times mean the same in both processes.
#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    reason = "the test compares the runtime's clock with the system's"
)]

use std::process::Command;
use std::time::Duration;

use rapace_session::{Runtime as _, TokioRuntime};

/// Set for the process that [`two_processes_have_one_clock`] starts from this same program.
const CHILD: &str = "RAPACE_TEST_CLOCK_CHILD";

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::try_from(now).expect("after zero");
    u64::try_from(now.as_nanos()).expect("fits")
}

#[tokio::test]
async fn the_time_is_clock_monotonic() {
    let runtime = TokioRuntime::current().expect("in a runtime");
    for _ in 0..3 {
        let before = monotonic_ns();
        let time = runtime.now().as_nanos();
        let after = monotonic_ns();
        // What the offset may be wrong by is how long it took to read it.
        let slack = 1_000_000;
        assert!(before < time + slack, "{before} {time}");
        assert!(time < after + slack, "{time} {after}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn two_processes_have_one_clock() {
    let runtime = TokioRuntime::current().expect("in a runtime");
    if std::env::var_os(CHILD).is_some() {
        println!("time: {}", runtime.now().as_nanos());
        return;
    }
    let before = runtime.now().as_nanos();
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "two_processes_have_one_clock", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a child");
    let after = runtime.now().as_nanos();
    let said = String::from_utf8(child.stdout).expect("text");
    let time = said
        .lines()
        .find_map(|line| line.split("time: ").nth(1))
        .unwrap_or_else(|| panic!("no time in {said:?}"));
    let time: u64 = time.trim().parse().expect("a number");
    let slack = 1_000_000;
    assert!(before < time + slack, "{before} {time}");
    assert!(time < after + slack, "{time} {after}");
}
