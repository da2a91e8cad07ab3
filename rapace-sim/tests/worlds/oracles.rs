//! Each oracle finds what it is there to find.

use rapace_session::Durations as _;
use rapace_sim::{Nanos, Oracle, Program, Report, What, When, World, WorldBuilder};
use rapace_testbed::TestbedClient;

use crate::{kill, testbed};

fn failed(world: &WorldBuilder) -> (Oracle, String, Report) {
    let report = world.run();
    let first = report.failures.first().expect("it fails").clone();
    (first.oracle, first.text, report)
}

#[test]
fn an_assertion_of_the_host_is_reported_and_not_printed() {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        assert_eq!(plugin.add(1, 2).await.expect("add"), 4, "arithmetic");
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", testbed());
    let (oracle, text, _) = failed(&world);
    assert_eq!(oracle, Oracle::Assertion);
    assert!(
        text.contains("main of host") && text.contains("arithmetic"),
        "{text}"
    );
}

#[test]
fn a_call_that_never_ends_is_named() {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let _ = host.watch("lost in the ice", plugin.nap(100)).await;
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
        .fault(
            When::At(Nanos::from_millis(50)),
            What::Freeze {
                link: "plugin".into(),
                span: Nanos::MAX,
            },
        )
        .deadline(60.secs());
    let (oracle, text, report) = failed(&world);
    assert_eq!(oracle, Oracle::Progress);
    assert!(text.contains("lost in the ice"), "{text}");
    assert!(report.virtual_time <= Nanos::from_secs(61));
}

#[test]
fn turning_in_circles_is_a_livelock() {
    let host = Program::new().main(|_| async move {
        loop {
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                if yielded {
                    return std::task::Poll::Ready(());
                }
                yielded = true;
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
        }
    });
    let (oracle, text, _) = failed(&World::builder().host("host", host));
    assert_eq!(oracle, Oracle::Livelock, "{text}");
}

#[test]
fn a_call_that_nobody_gives_up_is_a_leak() {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let session = host.connected("plugin").await;
        // Somebody else of the host holds it for ever.
        let nap = plugin.nap(u32::MAX);
        tokio::spawn(async move {
            let _ = nap.await;
        });
        host.sleep(1.ms()).await;
        drop(session);
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
        .settle(5.secs());
    let (oracle, text, _) = failed(&world);
    assert_eq!(oracle, Oracle::Leak);
    assert!(text.contains("calls_out: 1"), "{text}");
}

#[test]
fn a_dead_process_does_nothing_more() {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        assert!(plugin.nap(10_000).await.is_err());
    });
    let ghost = testbed().main(|plugin| async move {
        loop {
            plugin.note(format!("life {} is here", plugin.life()));
            plugin.sleep(1.ms()).await;
        }
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", ghost.restart(rapace_sim::Restart::Never))
        .fault(When::At(Nanos::from_millis(5)), kill("plugin"))
        .trace(true);
    let report = world.run();
    report.check();
    let text = report.trace.expect("asked for").to_string();
    let after = text.split("plugin killed").nth(1).expect("it was killed");
    assert!(
        !after.contains("is here") && !after.contains("plugin → host"),
        "{text}"
    );
    assert_eq!(text.matches("life 1 is here").count(), 5, "{text}");
}
