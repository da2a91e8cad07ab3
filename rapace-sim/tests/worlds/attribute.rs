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
        "faults of this seed",
        "RAPACE_SIM_SEED=",
        "RAPACE_SIM_FAULTS=",
        "cargo test -p my-plugins attribute::credulous -- --exact",
        "Testbed.add",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
}

/// Set for the copies of this process that replay.
#[cfg(unix)]
const CHILD: &str = "RAPACE_SIM_TEST_REPLAY";

/// The faults of a message are simpler than those of the seed, so the command has to say them.
#[cfg(unix)]
#[test]
fn the_command_of_a_failure_shows_the_same_failure() {
    let options = Options {
        seeds: 500,
        faults: true,
        package: "my-plugins",
        module: "crashes",
        name: "credulous",
    };
    if std::env::var_os(CHILD).is_some() {
        harness::test(&options, credulous);
        return;
    }
    let panic = std::panic::catch_unwind(|| harness::test(&options, credulous))
        .expect_err("some seed kills the plugin");
    let text = panic.downcast_ref::<String>().expect("a message");
    let command = text.lines().find(|line| line.contains("cargo test"));
    let (variables, _) = command
        .and_then(|command| command.split_once("cargo test"))
        .expect("a command");
    let this = std::env::current_exe().expect("this test");
    let test = "attribute::the_command_of_a_failure_shows_the_same_failure";
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{variables} \"$0\" {test} --exact --nocapture"))
        .arg(this)
        .env(CHILD, "1")
        .output()
        .expect("a shell");
    assert!(!output.status.success(), "{output:?}");
    let replayed = String::from_utf8_lossy(&output.stdout).into_owned();
    // The same faults, and the same failure at the same time.
    let (_, faults) = text.split_once("of this seed").expect("the faults");
    let faults = faults.lines().skip(1).take_while(|line| !line.is_empty());
    let mut count = 0;
    for fault in faults {
        assert!(
            replayed.lines().any(|line| line == fault),
            "{fault} is missing: {replayed}"
        );
        count += 1;
    }
    assert!(count > 0, "{text}");
    let (_, failure) = text.split_once("\n\n  at ").expect("a failure");
    let (time, _) = failure.split_once(',').expect("its time");
    let failure = format!("at {time}: assertion: main of host panicked: plugins do not die");
    assert!(
        replayed.contains(&failure),
        "{failure} is missing: {replayed}"
    );
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
