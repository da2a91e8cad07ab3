//! Worlds that would be green without showing anything.

use rapace_sim::harness::{self, Options};
use rapace_sim::{
    LinkConfig, Nanos, Oracle, Program, Sweep, What, When, World, WorldBuilder, sweep,
};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

use crate::{kill, testbed};

/// A host that works for a while, and its plugin.
fn world() -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        for n in 0..5 {
            let _ = plugin.add(n, 1).await;
            host.sleep(Nanos::from_millis(10)).await;
        }
    });
    World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
}

fn at(millis: u64) -> When {
    When::At(Nanos::from_millis(millis))
}

#[test]
#[should_panic(expected = "this world has no host")]
fn a_world_without_a_host_does_not_run() {
    World::builder().run();
}

#[test]
#[should_panic(expected = "two processes of this world are called `plugin`")]
fn a_name_is_given_once() {
    world().plugin("plugin", testbed()).run();
}

#[test]
#[should_panic(
    expected = "`at 5ms: kill images`: there is no process `images`; there is host, plugin"
)]
fn a_fault_names_a_process_that_there_is() {
    world().fault(at(5), kill("images")).run();
}

#[test]
#[should_panic(expected = "`at 5ms: cut link images`: there is no link `images`; there is plugin")]
fn a_fault_names_a_link_that_there_is() {
    let link = "images".to_owned();
    world().fault(at(5), What::Cut { link }).run();
}

#[test]
#[should_panic(
    expected = "there is no end of link `plugin` called `images`; there is host, plugin"
)]
fn half_a_cut_names_an_end_of_the_link() {
    let (link, from) = ("plugin".to_owned(), "images".to_owned());
    world().fault(at(5), What::CutHalf { link, from }).run();
}

#[test]
fn a_fault_that_hits_nothing_is_a_failure() {
    let late = world().fault(at(5_000), kill("plugin"));
    let report = late.run();
    let failure = &report.failures[0];
    assert_eq!(failure.oracle, Oracle::Missed);
    assert_eq!(failure.text, "`at 5s: kill plugin` found nothing to hit");
    late.may_miss().run().check();
    world().fault(at(5), kill("plugin")).run().check();
    // Links within a process have no window.
    let narrow = What::Window {
        link: "other".to_owned(),
        bytes: 100,
    };
    let world = world().plugin_over("other", LinkConfig::mem(), testbed());
    assert!(!world.fault(at(5), narrow).run().is_ok());
}

fn options(seeds: u64) -> Options {
    Options {
        seeds,
        faults: true,
        package: "my-plugins",
        module: "tests",
        name: "of_mine",
    }
}

#[test]
#[should_panic(expected = "`seeds = 0` would test nothing")]
fn no_seeds_are_no_test() {
    harness::test(&options(0), |_| world());
}

#[test]
#[should_panic(
    expected = "with none of 30 seeds did `at 5s: kill plugin` find anything to hit; `may_miss` would"
)]
fn a_test_whose_fault_never_hits_fails() {
    harness::test(&options(30), |with| {
        let world = filled(with);
        world.fault(at(5_000), kill("plugin"))
    });
}

/// As [`world`], in a builder that has a seed.
fn filled(with: WorldBuilder) -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        host.sleep(Nanos::from_millis(50)).await;
    });
    with.host("host", host).plugin("plugin", testbed())
}

#[test]
fn a_fault_of_a_test_has_to_hit_with_one_seed_only() {
    harness::test(&options(30), |with| {
        let long = with.seed_number() == 7;
        let host = Program::new().main(move |host| async move {
            host.sleep(Nanos::from_millis(if long { 6_000 } else { 50 }))
                .await;
        });
        let world = with.host("host", host).plugin("plugin", testbed());
        let world = world.fault(at(5_000), kill("plugin"));
        // Others may have faults of their own.
        if long {
            world.fault(at(5), kill("plugin"))
        } else {
            world
        }
    });
}

#[test]
fn faults_that_are_drawn_come_beside_those_that_were_given() {
    let given = |seed| world().seed(seed).fault(at(5_000), kill("plugin"));
    let mut drawn = (0..20).map(|seed| given(seed).swarm());
    let drawn = drawn.find(|world| world.planned().faults.len() > 1);
    let world = drawn.expect("some seed draws faults");
    assert_eq!(world.planned().faults[0].when, at(5_000));
    let report = world.run();
    assert_eq!(report.asked, [("at 5s: kill plugin".to_owned(), false)]);
}

#[test]
fn of_two_equal_faults_the_second_may_find_nothing() {
    let world = world().fault(at(5), kill("plugin"));
    let asked = world.fault(at(5), kill("plugin")).run().asked;
    let hits: Vec<bool> = asked.into_iter().map(|(_, hit)| hit).collect();
    assert_eq!(hits, [true, false]);
}

#[tokio::test]
#[should_panic(expected = "run it in a plain #[test] fn")]
async fn a_world_within_a_runtime_says_what_to_do() {
    world().run();
}

#[test]
fn what_panics_while_a_process_starts_is_a_failure_of_that_process() {
    let idle = || {
        Program::new().main(|host| async move {
            host.sleep(Nanos::from_millis(50)).await;
        })
    };
    let says = |host: Program, plugin: Program| {
        let world = World::builder().host("host", host).plugin("plugin", plugin);
        let report = world.trace(true).run();
        let failure = &report.failures[0];
        assert_eq!(failure.oracle, Oracle::Assertion);
        assert!(failure.place.is_some(), "{failure}");
        failure.text.clone()
    };
    let broken =
        || Program::new().serve_with(|_| -> TestbedServer<Subject> { panic!("no config") });
    assert_eq!(says(idle(), broken()), "plugin cannot start: no config");
    assert_eq!(says(broken(), testbed()), "host cannot start: no config");
    let broken = || Program::new().main(|_| -> std::future::Ready<()> { panic!("no arguments") });
    assert_eq!(
        says(idle(), broken()),
        "main of plugin panicked: no arguments"
    );
    assert_eq!(
        says(broken(), testbed()),
        "main of host panicked: no arguments"
    );
}

#[test]
#[should_panic(expected = "seed 3 has no world: three is too much")]
fn a_description_that_panics_says_with_which_seed() {
    let config = Sweep::over(0..10);
    let of_seed = |seed| {
        assert!(seed != 3, "three is too much");
        world()
    };
    sweep(&config, of_seed, |_| {});
}

#[test]
fn the_failures_that_are_told_are_those_of_the_lowest_seeds() {
    let of_seed = |seed| {
        let host = Program::new().main(move |host| async move {
            // The lower the seed, the longer its run takes.
            for _ in 0..(60 - seed) * 50 {
                host.sleep(Nanos::from_micros(1)).await;
            }
            assert!(host.seed() < 20, "a bad seed");
        });
        World::builder().seed(seed).host("host", host)
    };
    for failures_max in [0, 1, 3] {
        for _ in 0..10 {
            let config = Sweep {
                threads: 6,
                failures_max,
                ..Sweep::over(0..60)
            };
            let report = sweep(&config, of_seed, |_| {});
            let seeds = report.failures.iter().map(|report| report.plan.seed);
            let expected = 20..20 + failures_max.max(1) as u64;
            assert_eq!(seeds.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
