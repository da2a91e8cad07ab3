//! Panics that somebody catches fail a world nevertheless.

use rapace_session::CallError;
use rapace_sim::{Nanos, Oracle, Program, Report, World};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

/// A host that has the plugin panic, and takes that for an answer.
fn provoked(plugin: Program) -> Report {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let answer = plugin.boom("the disk is full".to_owned()).await;
        assert!(matches!(answer, Err(CallError::Status(_))), "{answer:?}");
        assert_eq!(plugin.add(1, 2).await.expect("it goes on"), 3);
    });
    let plugin = plugin.serve(|| TestbedServer::new(Subject));
    World::builder()
        .host("host", host)
        .plugin("plugin", plugin)
        .run()
}

#[test]
fn a_handlers_panic_is_a_failure_with_its_place() {
    let report = provoked(Program::new());
    let failure = &report.failures[0];
    assert_eq!(failure.oracle, Oracle::Assertion);
    assert_eq!(
        failure.text,
        "a handler of plugin panicked: the disk is full"
    );
    let place = failure.place.as_deref().unwrap_or_default();
    assert!(place.contains("rapace-testbed"), "{place}");
}

#[test]
fn a_panic_that_was_announced_is_an_answer_only() {
    provoked(Program::new().may_panic("disk")).check();
    provoked(Program::new().may_panic("")).check();
    let other = provoked(Program::new().may_panic("network"));
    assert_eq!(other.failures.len(), 1, "{other}");
}

/// A host that gives tokio something to do, and does not ask what came of it.
fn spawning(host: Program) -> Report {
    let host = host.main(|host| async move {
        drop(tokio::spawn(async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            panic!("nobody hears this");
        }));
        host.sleep(Nanos::from_millis(20)).await;
    });
    World::builder().host("host", host).run()
}

#[test]
fn a_panic_of_a_task_of_tokios_is_a_failure() {
    let report = spawning(Program::new());
    let failure = &report.failures[0];
    assert_eq!(failure.oracle, Oracle::Assertion);
    assert_eq!(
        failure.text,
        "a task of tokio's panicked: nobody hears this"
    );
    spawning(Program::new().may_panic("nobody hears")).check();
    // Who allows handlers everything has not spoken of tasks.
    assert!(!spawning(Program::new().may_panic("")).is_ok());
}

/// What is dropped with a process that was killed.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn destructors_of_a_killed_process_are_nobodys_business() {
    let host = Program::new().main(|host| async move {
        host.sleep(Nanos::from_millis(5)).await;
        host.kill("plugin");
        host.sleep(Nanos::from_millis(5)).await;
    });
    let plugin = Program::new().main(|_| async {
        let _fragile = Fragile;
        std::future::pending::<()>().await;
    });
    let world = World::builder().host("host", host).plugin("plugin", plugin);
    world.run().check();
}
