//! From a failing plan to the faults that matter.

use rapace_session::Durations as _;
use rapace_sim::{
    Cast, CastLink, Fault, Nanos, Plan, Program, What, When, World, WorldBuilder, shrink,
};
use rapace_testbed::TestbedClient;

use crate::{kill, testbed};

/// A host whose author did not think of a plugin that dies twice within a second.
fn fragile() -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let mut deaths: Vec<Nanos> = Vec::new();
        while host.now() < Nanos::from_secs(10) {
            if plugin
                .nap(5)
                .deadline(1.secs())
                .await
                .is_err_and(|error| error.is_lost())
            {
                deaths.push(host.now());
            }
            let recent = |at: &&Nanos| host.now() - **at < Nanos::from_secs(1);
            assert!(
                deaths.iter().filter(recent).count() < 2,
                "twice within a second"
            );
        }
    });
    World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
        .plugin("other", testbed())
}

#[test]
fn hundreds_of_faults_shrink_to_those_that_matter() {
    let cast = Cast {
        processes: vec!["other".into()],
        links: vec![CastLink {
            name: "other".into(),
            ends: ["host".into(), "other".into()],
            kind: None,
        }],
        horizon: Nanos::from_secs(8),
    };
    let noise = (0..60).flat_map(|seed| Plan::swarm(seed, &cast).faults);
    let mut faults: Vec<Fault> = noise.collect();
    for (at, place) in [(3_000, 20), (3_400, 110), (6_000, 150)] {
        let fault = Fault {
            // Between two milliseconds, where a nap is under way.
            when: When::At(Nanos::from_micros(at * 1_000 + 500)),
            what: kill("plugin"),
        };
        faults.insert(place.min(faults.len()), fault);
    }
    assert!(faults.len() >= 200, "{} faults", faults.len());
    let all = faults.len();
    let world = fragile().plan(Plan { seed: 4, faults });
    let begun = std::time::Instant::now();
    let Some(shrunk) = shrink(&world) else {
        panic!("it does not fail: {}", world.trace(true).run());
    };
    println!(
        "{all} faults to {} in {} runs and {:?}: {}",
        shrunk.plan.faults.len(),
        shrunk.runs,
        begun.elapsed(),
        shrunk.plan
    );
    assert!(shrunk.plan.faults.len() <= 5);
    // Plain delta debugging takes dozens.
    assert!(shrunk.runs <= 20, "{} runs", shrunk.runs);
    let kept = shrunk.kept.iter().map(|at| &world.planned().faults[*at]);
    assert_eq!(
        kept.collect::<Vec<_>>(),
        shrunk.plan.faults.iter().collect::<Vec<_>>()
    );
    assert!(
        shrunk.report.failures[0]
            .text
            .contains("twice within a second")
    );
    // What is left is minimal.
    for at in 0..shrunk.plan.faults.len() {
        let mut fewer = shrunk.plan.clone();
        fewer.faults.remove(at);
        assert!(
            fragile().plan(fewer).run().is_ok(),
            "fault {at} does not matter"
        );
    }
}

/// Where neither a process, nor a kind, nor an effect tells those that matter from the rest.
#[test]
fn faults_that_matter_are_found_among_their_like() {
    let restart = |at_us| Fault {
        when: When::At(Nanos::from_micros(at_us)),
        // Back soon, however often it has died.
        what: What::Restart {
            process: "plugin".into(),
            after: Nanos::from_millis(20),
        },
    };
    let mut faults: Vec<Fault> = (0..24).map(|at| restart(at * 1_100_000 + 500)).collect();
    faults.push(restart(9 * 1_100_000 + 400_000));
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let mut deaths: Vec<Nanos> = Vec::new();
        while host.now() < Nanos::from_secs(28) {
            if plugin.nap(50).await.is_err_and(|error| error.is_lost()) {
                deaths.push(host.now());
            }
            let recent = |at: &&Nanos| host.now() - **at < Nanos::from_secs(1);
            assert!(deaths.iter().filter(recent).count() < 2, "twice");
        }
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
        .plan(Plan { seed: 4, faults });
    let shrunk = shrink(&world).expect("it fails");
    println!("{} runs: {}", shrunk.runs, shrunk.plan);
    assert_eq!(shrunk.plan.faults.len(), 2);
    assert!(shrunk.kept.contains(&24), "{:?}", shrunk.kept);
}

#[test]
fn a_report_says_which_faults_took_effect() {
    let nobody = What::Kill {
        process: "nobody".into(),
    };
    let report = fragile()
        .fault(When::At(Nanos::from_secs(3)), nobody)
        .fault(When::At(Nanos::from_secs(4)), kill("other"))
        .fault(When::At(Nanos::from_secs(2)), kill("plugin"))
        .fault(When::At(Nanos::from_secs(99)), kill("plugin"))
        .run();
    assert_eq!(report.hit, [2, 1]);
}

#[test]
fn a_world_that_does_not_fail_does_not_shrink() {
    let fault = What::Thaw {
        link: "other".into(),
    };
    let world = fragile().fault(When::At(Nanos::ZERO), fault);
    assert!(shrink(&world).is_none());
}
