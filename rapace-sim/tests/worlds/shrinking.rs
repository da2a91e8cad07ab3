//! From a failing plan to the faults that matter.

use rapace_session::Durations as _;
use rapace_sim::shrink::shrink_while;
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
    // As a person would have written it: the first kill once the first call is made, the second once
    // the plugin is back. Their times were 3.0005 s and 3.4005 s, or 3.4005 s and 6.0005 s.
    assert_eq!(
        shrunk.plan.to_string(),
        "seed 4\n  at 1ms: kill plugin\n  at 20ms: kill plugin"
    );
    assert_eq!(shrunk.simplified, 2);
    // Plain delta debugging alone takes dozens.
    assert!(shrunk.runs <= 60, "{} runs", shrunk.runs);
    let what = |at: &usize| &world.planned().faults[*at].what;
    assert!(shrunk.kept.iter().all(|at| *what(at) == kill("plugin")));
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
    // That it comes back soon is the restart policy's doing, too.
    assert_eq!(
        shrunk.plan.to_string(),
        "seed 4\n  at 1ms: kill plugin\n  at 20ms: kill plugin"
    );
    assert!(shrunk.kept.contains(&24), "{:?}", shrunk.kept);
}

/// A host that gives its calls two seconds, and a plugin that is stopped for longer.
#[test]
fn numbers_shrink_to_round_ones_with_which_it_still_fails() {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        for n in 0..50 {
            let sum = plugin.add(n, 1).deadline(2.secs()).await;
            assert_eq!(sum.expect("an answer within two seconds"), n + 1);
            host.sleep(100.ms()).await;
        }
    });
    let world = World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
        .plan(Plan {
            seed: 5,
            faults: [
                "at 917.203418ms: latency of link plugin 31.7ms",
                "after plugin sends its response 17: slow plugin to 3.141ms an event for 271.8ms",
                "before event 60 of plugin: hang plugin for 3.112947s",
            ]
            .map(|text| text.parse().expect("a sentence"))
            .to_vec(),
        });
    let shrunk = shrink(&world).expect("it fails");
    println!("{} runs: {}", shrunk.runs, shrunk.plan);
    assert_eq!(
        shrunk.plan.to_string(),
        "seed 5\n  at 0s: hang plugin for 2s"
    );
    assert_eq!((shrunk.kept, shrunk.simplified), (vec![2], 1));
}

/// Faults that matter only as long as another one is as it was.
#[test]
fn what_simpler_faults_make_superfluous_is_left_out() {
    let faults = [
        "at 1.7ms: latency of link plugin 31.7ms",
        "at 2.3ms: hang plugin for 83.112947ms",
    ];
    let faults = faults.map(|text| text.parse().expect("a sentence"));
    let world = fragile().plan(Plan {
        seed: 5,
        faults: faults.to_vec(),
    });
    let fails = |report: &rapace_sim::Report| {
        let faults = &report.plan.faults;
        let hang = faults.iter().find_map(|fault| match &fault.what {
            What::Hang { span, .. } => Some(*span),
            _ => None,
        });
        hang.is_some_and(|span| span < Nanos::from_millis(50) || faults.len() == 2)
    };
    let mut heard = Vec::new();
    let shrunk = shrink_while(&world, fails, |so_far| heard.push(*so_far)).expect("it fails");
    assert_eq!(
        shrunk.plan.to_string(),
        "seed 5\n  at 0s: hang plugin for 1ms"
    );
    assert_eq!((shrunk.kept, shrunk.simplified), (vec![1], 1));
    let last = heard.last().expect("progress");
    assert_eq!(
        (last.faults_before, last.faults, last.runs),
        (2, 1, shrunk.runs)
    );
}

#[test]
fn a_report_says_which_faults_took_effect() {
    let faults = [(3, "nobody"), (4, "other"), (2, "plugin"), (99, "plugin")];
    let faults = faults.map(|(at, process)| Fault {
        when: When::At(Nanos::from_secs(at)),
        what: kill(process),
    });
    let plan = Plan {
        seed: 0,
        faults: faults.into(),
    };
    let report = fragile().plan(plan).run();
    assert_eq!(report.hit, [2, 1]);
}

/// A host with two bugs: one needs two deaths, the other, in its way, one.
fn two_bugs() -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let plugin: TestbedClient = host.client("plugin");
        let mut lost = 0;
        for _ in 0..100 {
            let nap = plugin.nap(5).deadline(1.secs()).await;
            lost += u32::from(nap.is_err_and(|error| error.is_lost()));
            assert!(lost < 2, "lost twice");
        }
        assert!(lost != 1, "lost once");
    });
    World::builder()
        .host("host", host)
        .plugin("plugin", testbed())
}

#[test]
fn shrinking_does_not_slip_to_another_bug() {
    let world = two_bugs()
        .fault(When::At(Nanos::from_millis(13)), kill("plugin"))
        .fault(When::At(Nanos::from_millis(113)), kill("plugin"));
    let shrunk = shrink(&world).expect("it fails");
    let text = &shrunk.report.failures[0].text;
    assert!(text.ends_with("lost twice"), "{text}");
    assert_eq!(shrunk.plan.faults.len(), 2);
}

#[test]
fn a_world_that_does_not_fail_does_not_shrink() {
    let fault = What::Thaw {
        link: "other".into(),
    };
    let world = fragile().fault(When::At(Nanos::ZERO), fault);
    assert!(shrink(&world).is_none());
}
