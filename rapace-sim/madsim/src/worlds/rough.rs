//! Worlds in which nodes are killed and links are cut: work ends in its result or in a typed error,
//! and when the faults are over everything works again.

use std::time::Duration;

use rapace_session::CallError;
use rapace_testbed::TestbedClient;
use tokio::time::sleep;

use super::{ms, work};
use crate::book::LedgerClient;
use crate::dialer::Dialer;
use crate::host::Host;
use crate::plugin::Plugin;
use crate::world::{Report, World};

/// When the last fault begins, at the latest. None lasts longer than a second.
const STORM: Duration = Duration::from_secs(3);
/// How long hosts work.
const WORK: Duration = Duration::from_secs(5);

/// Whether work that went wrong did so for a reason that a fault explains.
fn explained(result: Result<(), CallError>) {
    if let Err(error) = result {
        let explained = error.is_lost() || matches!(error, CallError::DeadlineExceeded);
        assert!(explained, "an odd end: {error:?}");
    }
}

/// One worker: a random mix of work until the faults are over, and then a call that must succeed.
async fn work(host: Host, plugin: &'static str, mut rng: fastrand::Rng) {
    let dialer = Dialer::new(&host, plugin);
    let (ledger, testbed): (LedgerClient, TestbedClient) = (dialer.client(), dialer.client());
    while crate::net::now() < WORK {
        let (millis, deadline) = (rng.u32(..60), rng.bool().then(|| ms(rng.u64(1..400))));
        match rng.u8(..7) {
            // The book judges how these end.
            0 => drop(host.post(&ledger, millis, deadline).await),
            1 => drop(
                host.repost(&ledger, millis, deadline, dialer.repeats())
                    .await,
            ),
            2 => explained(work::call(&testbed, &mut rng).await),
            3 => {
                let (len, read_max) = (rng.u32(..1_000), rng.u32(..1_500));
                let read = work::count(&testbed, len, read_max, &mut rng).await;
                explained(read.map(drop));
            }
            4 => explained(work::sum(&testbed, rng.i32(..500), &mut rng).await),
            5 => explained(work::relay(&testbed, rng.u32(..60)).await),
            _ => explained(work::pipe(&testbed, rng.usize(..200_000), &mut rng).await),
        }
        sleep(ms(rng.u64(..30))).await;
    }
    // Of a peer that died behind a cut link this side may learn only now: idempotent calls move on.
    let calm = host.repost(&ledger, 1, None, dialer.repeats()).await;
    calm.expect("after the last fault has healed, progress resumes");
}

fn host(world: &mut World, name: &str, plugins: &'static [&'static str], workers: usize) {
    world.host(name, move |host| async move {
        let mut rng = host.rng();
        let workers: Vec<_> = (0..workers)
            .flat_map(|_| plugins)
            .map(|plugin| tokio::spawn(work(host.clone(), plugin, rng.fork())))
            .collect();
        for worker in workers {
            worker.await.expect("worker");
        }
    });
}

pub(super) async fn restarts() -> Report {
    let mut world = World::new();
    world.plugin("plugin", Plugin::new());
    host(&mut world, "host", &["plugin"], 5);
    let mut rng = world.rng();
    while crate::net::now() < STORM {
        sleep(ms(rng.u64(20..500))).await;
        world.kill("plugin");
        // Also at once, before all tasks of the old life are gone.
        sleep(ms(rng.u64(..200))).await;
        world.restart("plugin");
    }
    world.finish().await
}

pub(super) async fn cuts() -> Report {
    let mut world = World::new();
    world.plugin("plugin", Plugin::new());
    host(&mut world, "host", &["plugin"], 4);
    let mut rng = world.rng();
    while crate::net::now() < STORM {
        sleep(ms(rng.u64(20..400))).await;
        let lasts = ms(rng.u64(1..300));
        if rng.bool() {
            world.clog("host", "plugin");
            sleep(lasts).await;
            world.unclog("host", "plugin");
        } else {
            let stands = if rng.bool() { "host" } else { "plugin" };
            world.pause(stands);
            sleep(lasts).await;
            world.resume(stands);
        }
    }
    world.finish().await
}

pub(super) async fn mesh() -> Report {
    const HOSTS: [&str; 3] = ["host-a", "host-b", "host-c"];
    const PLUGINS: [&str; 2] = ["plugin-x", "plugin-y"];
    let mut world = World::new();
    for plugin in PLUGINS {
        world.plugin(plugin, Plugin::new());
    }
    for name in HOSTS {
        host(&mut world, name, &PLUGINS, 1);
    }
    let mut rng = world.rng();
    while crate::net::now() < STORM {
        sleep(ms(rng.u64(..300))).await;
        let (host, plugin) = (HOSTS[rng.usize(..3)], PLUGINS[rng.usize(..2)]);
        match rng.u8(..4) {
            0 => world.restart(host),
            1 | 2 => {
                world.kill(plugin);
                sleep(ms(rng.u64(..100))).await;
                world.restart(plugin);
            }
            _ => {
                world.clog(host, plugin);
                sleep(ms(rng.u64(..200))).await;
                world.unclog(host, plugin);
            }
        }
    }
    world.finish().await
}
