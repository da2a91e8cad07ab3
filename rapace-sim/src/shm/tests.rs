//! Worlds over shared memory: calm, killed at every store, starved, and with planted flaws.

use std::collections::BTreeSet;

use bytes::Bytes;
use rapace_session::Durations as _;
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

use super::explore::{Look, explore_moment};
use super::{Flaw, ShmShape, explore_stores};
use crate::engine::process::{AwaitedStore, LifeCell, ProcessCell};
use crate::fault::{DoorbellEffect, Fault, What, When};
use crate::link::{LinkConfig, LinkKind};
use crate::program::Program;
use crate::report::Report;
use crate::standard;
use crate::sweep::{Sweep, sweep};
use crate::time::Nanos;
use crate::world::{World, WorldBuilder};

fn testbed() -> Program {
    Program::new().serve(|| TestbedServer::new(Subject))
}

fn smallest() -> ShmShape {
    ShmShape {
        ring_frames: 8,
        slots_max: 2,
        lane_bytes_max: 128 << 10,
        control_messages: 1,
        ..ShmShape::default()
    }
}

fn over(shape: ShmShape, host: Program) -> WorldBuilder {
    World::builder().host("site", host).plugin_over(
        "images",
        LinkConfig::shm().shape(shape),
        testbed(),
    )
}

/// Answers are right if they come; whoever is down comes back.
fn short_exchange() -> Program {
    Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        let data = Bytes::from((0..600_u32).map(|at| at as u8).collect::<Vec<u8>>());
        for _ in 0..2 {
            if let Ok(echoed) = host.watch("echo", images.echo(data.clone())).await {
                assert_eq!(echoed, data);
            }
        }
        for _ in 0..20 {
            let sum = host.watch("add", images.add(1, 2).deadline(1.secs())).await;
            if let Ok(sum) = sum {
                assert_eq!(sum, 3);
                return;
            }
            host.sleep(Nanos::from_millis(50)).await;
        }
        panic!("images does not come back");
    })
}

/// Much of everything, over a link that is always full.
fn crowd() -> Program {
    Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        let echoes: Vec<_> = (0..12_usize)
            .map(|at| {
                let (host, images) = (host.clone(), images.clone());
                let len = [10, 200, 3_000, 40_000][at % 4] + at;
                host.clone().spawn(async move {
                    let data = Bytes::from(vec![at as u8; len]);
                    let echoed = host.watch("echo", images.echo(data.clone())).await;
                    assert_eq!(echoed.expect("an echo"), data);
                })
            })
            .collect();
        let counted = images.count(300).await.expect("count");
        let items: Vec<u32> = futures_util::TryStreamExt::try_collect(counted)
            .await
            .expect("items");
        assert_eq!(items, (0..300).collect::<Vec<u32>>());
        for echo in echoes {
            echo.await;
        }
    })
}

fn twice(world: &WorldBuilder) -> Report {
    let report = world.run_twice();
    report.check();
    report
}

#[test]
fn a_calm_world_over_shared_memory_is_fine_and_repeats_itself() {
    for seed in 0..20 {
        let report = twice(&over(ShmShape::default(), crowd()).seed(seed));
        assert!(report.stores["site"] > 1_000, "{:?}", report.stores);
        assert!(report.stores["images"] > 1_000, "{:?}", report.stores);
    }
}

#[test]
fn the_smallest_link_is_backpressure_and_nothing_else() {
    for seed in 0..20 {
        twice(&over(smallest(), crowd()).seed(seed));
    }
}

#[test]
fn a_receiver_that_spins_does_so_in_virtual_time() {
    let shape = ShmShape {
        spin: Nanos::from_micros(20),
        ..smallest()
    };
    for seed in 0..5 {
        twice(&over(shape.clone(), crowd()).seed(seed));
    }
}

#[test]
fn doorbells_that_come_late_or_merged_or_twice_lose_nobody() {
    let effects = [
        DoorbellEffect::Delay(Nanos::from_millis(7)),
        DoorbellEffect::Coalesce,
        DoorbellEffect::Duplicate,
    ];
    for effect in effects {
        for seed in 0..5 {
            let world = over(smallest(), crowd()).seed(seed).fault(
                When::At(Nanos::ZERO),
                What::Doorbell {
                    link: "images".into(),
                    effect,
                    span: Nanos::from_secs(5),
                },
            );
            let report = twice(&world);
            assert_eq!(report.faults["doorbell"].hit, 1, "{effect:?}");
        }
    }
}

#[test]
fn a_system_without_memory_delays_what_fits_into_a_lane() {
    let host = Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        host.connected("images").await;
        host.inject(What::Exhaust {
            link: "images".into(),
            span: Nanos::from_millis(50),
        });
        let echoes: Vec<_> = (0..30_u8)
            .map(|at| {
                let images = images.clone();
                host.spawn(async move {
                    let data = Bytes::from(vec![at; 1_500]);
                    assert_eq!(images.echo(data.clone()).await.expect("an echo"), data);
                })
            })
            .collect();
        for echo in echoes {
            echo.await;
        }
    });
    for seed in 0..10 {
        let shape = ShmShape {
            slots_max: 64,
            ..smallest()
        };
        twice(&over(shape, host.clone()).seed(seed));
    }
}

#[test]
fn a_process_stops_before_the_store_that_it_dies_of() {
    let process = ProcessCell::new(0);
    let life = LifeCell::new(process.clone(), 1);
    let (n, fault) = (17, 0);
    process.await_store(AwaitedStore {
        n: 20,
        fault: 1,
        dies: false,
    });
    process.await_store(AwaitedStore {
        n,
        fault,
        dies: true,
    });
    assert_eq!(life.store(10), 10);
    assert!(process.take_due().is_empty());
    assert_eq!(life.store(10), 6);
    assert!(life.is_dead());
    assert_eq!(process.stores(), 16);
    assert_eq!(life.store(1), 0);
    assert!(process.take_due().contains(&fault));
}

/// Prints how many runs that were.
fn explore(process: &str, flaw: Flaw) -> super::StoreExploration {
    let shape = ShmShape { flaw, ..smallest() };
    let explored = explore_stores(process, &over(shape, short_exchange()).seed(1));
    println!(
        "{process} {flaw:?}: {} moments, {} runs, up to {} unreleased words, {} thinned, {} failures",
        explored.moments,
        explored.runs,
        explored.unreleased_max,
        explored.thinned,
        explored.failures.len()
    );
    explored
}

#[test]
fn a_plugin_may_die_at_every_store_and_leave_any_subset_of_the_last() {
    let explored = explore("images", Flaw::None);
    if let Some(failed) = explored.failures.first() {
        panic!("{failed}");
    }
    assert!(explored.moments > 250, "{} moments", explored.moments);
    assert_eq!(explored.thinned, 0);
}

#[test]
fn a_host_may_die_at_every_store_and_leave_any_subset_of_the_last() {
    let explored = explore("site", Flaw::None);
    if let Some(failed) = explored.failures.first() {
        panic!("{failed}");
    }
    assert!(explored.moments > 200, "{} moments", explored.moments);
    assert_eq!(explored.thinned, 0);
}

/// What the exploration leaves out is what it says: a run that was made already.
#[test]
fn no_subset_gives_a_run_that_the_exploration_did_not_make() {
    // With a flaw, so that it often matters what is lost.
    let shape = ShmShape {
        flaw: Flaw::PayloadAfterPublish,
        ..smallest()
    };
    let world = over(shape, short_exchange()).seed(1);
    let (mut tried, mut different) = (0, 0);
    for n in 1..20 {
        let mut made = BTreeSet::new();
        let mut run = |crash: Fault| {
            let report = world.clone().fault(crash.when, crash.what).run();
            made.insert(report.hash);
            Look::of(&report)
        };
        let moment = explore_moment("images", n, 1, &mut run);
        if !(1..=6).contains(&moment.unreleased) {
            continue;
        }
        different += u64::from(made.len() > 1);
        for subset in 0..1_u32 << moment.unreleased {
            let stores = (1..=moment.unreleased as u32).filter(|at| subset >> (at - 1) & 1 == 1);
            let process = || "images".to_owned();
            let when = When::Store {
                process: process(),
                n,
            };
            let what = What::KillLosing {
                process: process(),
                stores: stores.collect(),
            };
            let hash = world.clone().fault(when, what).run().hash;
            assert!(made.contains(&hash), "store {n}, subset {subset:b}");
            tried += 1;
        }
    }
    assert!(tried > 50, "only {tried} subsets");
    assert!(different > 0, "no death left anything that mattered");
}

#[test]
fn a_payload_that_comes_after_its_publication_is_caught() {
    let explored = explore("images", Flaw::PayloadAfterPublish);
    assert!(!explored.failures.is_empty());
}

/// The plan of what is found says which stores were lost, and finds it again.
#[test]
fn a_publication_that_releases_nothing_is_caught_and_replayed() {
    let explored = explore("images", Flaw::RelaxedRelease);
    let found = explored.failures.first().expect("it is caught");
    let shape = ShmShape {
        flaw: Flaw::RelaxedRelease,
        ..smallest()
    };
    let again = over(shape, short_exchange()).plan(found.plan.clone()).run();
    assert_eq!(again.hash, found.hash, "{}", found.plan);
}

#[test]
fn the_standard_world_over_shared_memory_survives_its_faults() {
    let found = sweep(
        &Sweep::over(0..40),
        |seed| standard::world_over(seed, LinkKind::Shm),
        |_| {},
    );
    if let Some(failed) = found.failures.first() {
        panic!("{failed}");
    }
}
