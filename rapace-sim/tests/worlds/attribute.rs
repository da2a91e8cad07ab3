//! Worlds as ordinary tests.

use rapace_session::Durations as _;
use rapace_sim::harness::{self, Options};
use rapace_sim::{Program, WorldBuilder, sometimes};
use rapace_testbed::TestbedClient;

use crate::testbed;

#[rapace_sim::test(seeds = 60)]
fn a_call_ends_whatever_happens_to_its_plugin(world: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        for n in 0..10 {
            let call = plugin.add(n, 1).deadline(5.secs());
            match host.watch("add", call).await {
                Ok(sum) => assert_eq!(sum, n + 1),
                Err(_) => sometimes!("a call failed"),
            }
            host.sleep(100.ms()).await;
        }
    });
    world.host("host", host).plugin("plugin", testbed())
}

/// The example of the README, over more seeds than a reader would try.
#[rapace_sim::test(seeds = 3_000)]
fn sums_are_right_or_missing(world: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("sums");
        if let Ok(sum) = plugin.add(1, 2).await {
            assert_eq!(sum, 3);
        }
    });
    world.host("host", host).plugin("sums", testbed())
}

/// As long as a test runs that makes calls now and then, and none of them waits for ever.
#[rapace_sim::test(seeds = 300)]
fn calls_without_a_deadline_end(world: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        for n in 0..40 {
            if let Ok(sum) = plugin.add(n, 2).await {
                assert_eq!(sum, n + 2);
            }
            host.sleep(50.ms()).await;
        }
    });
    world.host("host", host).plugin("plugin", testbed())
}

#[rapace_sim::test(seeds = 20, faults = false)]
fn without_faults_every_call_is_answered(world: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        assert_eq!(plugin.add(1, 2).await.expect("answered"), 3);
    });
    world.host("host", host).plugin("plugin", testbed())
}

/// A test whose author believes that plugins do not die.
fn credulous(world: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        for n in 0..20 {
            let sum = host.watch("add", plugin.add(n, 1)).await;
            assert_eq!(sum.expect("plugins do not die"), n + 1);
            host.sleep(100.ms()).await;
        }
    });
    world.host("host", host).plugin("plugin", testbed())
}

#[test]
fn a_failure_names_seed_cause_and_the_command_that_replays_it() {
    let options = Options {
        seeds: 500,
        faults: true,
        package: "my-plugins",
        module: "crashes::attribute",
        name: "credulous",
    };
    let panic = std::panic::catch_unwind(|| harness::test(&options, credulous))
        .expect_err("some seed kills the plugin");
    let text = panic.downcast_ref::<String>().expect("a message");
    println!("{text}");
    for part in [
        "plugins do not die",
        "attribute.rs:",
        "faults that the seed draws",
        "RAPACE_SIM_SEED=",
        "RAPACE_SIM_FAULTS=",
        "cargo test -p my-plugins attribute::credulous -- --exact",
        "Testbed.add",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn a_mark_that_no_seed_reaches_fails_the_test() {
    let options = Options {
        seeds: 5,
        faults: false,
        package: "my-plugins",
        module: "crashes",
        name: "unreached",
    };
    let world: fn(WorldBuilder) -> WorldBuilder = |world| {
        let host = Program::new().main(|host| async move {
            sometimes!(host.seed() > 100, "a large seed");
        });
        world.host("host", host)
    };
    let panic = std::panic::catch_unwind(|| harness::test(&options, world))
        .expect_err("it is never reached");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("a large seed"), "{text}");
}
