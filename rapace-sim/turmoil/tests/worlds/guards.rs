//! What a world must not let pass.

use rapace_session::{CallError, Code};
use rapace_sim_turmoil::panics::EXPECTED;
use rapace_sim_turmoil::{Dialer, LedgerClient, Plugin, World};
use rapace_testbed::TestbedClient;

use crate::check;
use crate::plan::{Plan, ms};

#[test]
fn a_panic_of_a_task_that_nobody_awaits_fails_the_world() {
    let mut world = World::new(1, |_| {});
    world.host("host", |_| async {
        tokio::spawn(async { panic!("nobody hears me") });
        tokio::time::sleep(ms(100)).await;
    });
    let why = world.run().expect_err("a task panicked");
    assert!(why.starts_with("nobody hears me at "), "{why}");
}

#[test]
fn a_call_that_hangs_fails_the_world() {
    let mut world = World::new(1, |_| {});
    world.plugin("plugin", Plugin::new());
    world.host("host", |host| async move {
        let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
        let _ = host.post(&ledger, 0, None).await;
    });
    // Never released, and without pings or a deadline: a call may wait for ever.
    world.hold(0, "host", "plugin");
    let why = world.run().expect_err("it hangs");
    assert!(why.contains("still busy: [\"host\"]"), "{why}");
}

#[test]
fn a_session_that_keeps_entries_fails_the_world() {
    let mut world = World::new(1, |_| {});
    world.plugin("plugin", Plugin::new());
    world.host("host", |host| async move {
        let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
        // Forgotten, as by a leak: its call lasts as long as the session.
        std::mem::forget(tokio::spawn(testbed.nap(3_600_000)));
        tokio::time::sleep(ms(500)).await;
    });
    let why = world.run().expect_err("a call is left");
    assert!(why.contains("kept entries"), "{why}");
}

#[test]
fn a_handlers_panic_is_an_answer() {
    check("a_handlers_panic", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
            for _ in 0..10 {
                match testbed.boom(format!("{EXPECTED} boom")).await {
                    Err(CallError::Status(status)) => assert_eq!(status.code, Code::INTERNAL),
                    other => panic!("boom gave {other:?}"),
                }
            }
            assert_eq!(testbed.add(1, 1).await.expect("alive"), 2);
        });
        world
    });
}
