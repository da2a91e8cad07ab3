//! Everything at once, by seed.

use rapace_session::Streaming;
use rapace_sim_turmoil::{Dialer, Host, LedgerClient, Plugin, World};
use rapace_testbed::TestbedClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::check_seeds;
use crate::plan::{Plan, ms};

const HOSTS: [&str; 3] = ["host-a", "host-b", "host-c"];
const PLUGINS: [&str; 2] = ["plugin-x", "plugin-y"];
/// When the faults are over.
const CALM: u64 = 8_000;

/// One worker: a random mix of work with one plugin until the faults are over, and then a call that
/// must succeed.
async fn work(host: Host, plugin: &'static str, mut rng: fastrand::Rng) {
    let dialer = Dialer::new(&host, plugin);
    let ledger: LedgerClient = dialer.client();
    let testbed: TestbedClient = dialer.client();
    while turmoil::elapsed() < ms(CALM) {
        let deadline = rng.bool().then(|| ms(rng.u64(1..900)));
        let millis = rng.u32(..60);
        match rng.u8(..6) {
            // The book judges how these end.
            0 | 1 => drop(host.post(&ledger, millis, deadline).await),
            2 => drop(
                host.repost(&ledger, millis, deadline, dialer.repeats())
                    .await,
            ),
            3 => {
                // A caller that loses patience and drops its call.
                let open = host.book().open(0);
                let call = ledger.post(open.id(), millis);
                if let Ok(result) = timeout(ms(rng.u64(1..200)), call).await {
                    open.close(&result);
                }
            }
            4 => {
                let Ok(mut items) = testbed.count(rng.u32(..3_000)).await else {
                    continue;
                };
                let read_max = rng.u32(..3_000);
                let mut expected = 0;
                while let Some(Ok(item)) = items.next().await {
                    assert_eq!(item, expected, "a stream is a prefix, in order");
                    expected += 1;
                    if expected > read_max {
                        break;
                    }
                }
            }
            _ => {
                let len = rng.i32(..500);
                if let Ok(sum) = testbed.sum(Streaming::from_iter(0..len)).await {
                    assert_eq!(sum, i64::from(len) * i64::from(len - 1).max(0) / 2);
                }
            }
        }
        sleep(ms(rng.u64(..40))).await;
    }
    let calm = host.post(&ledger, 1, None).await;
    calm.expect("after the last fault has healed, progress resumes");
}

#[test]
fn any_mix_of_crashes_holds_and_slow_links_ends_well() {
    let reports = check_seeds("any_mix_of_crashes", 3, |seed| {
        let mut world = World::new(seed, |_| {});
        for plugin in PLUGINS {
            world.plugin(plugin, Plugin::new());
        }
        for host in HOSTS {
            world.host(host, |host| async move {
                let mut rng = host.rng();
                let mut workers = JoinSet::new();
                for plugin in PLUGINS {
                    for _ in 0..2 {
                        workers.spawn(work(host.clone(), plugin, rng.fork()));
                    }
                }
                while let Some(worker) = workers.join_next().await {
                    worker.expect("worker");
                }
            });
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..rng.u32(5..40) {
            let at = rng.u64(..CALM - 2_000);
            let until = at + rng.u64(1..1_500);
            let (host, plugin) = (HOSTS[rng.usize(..3)], PLUGINS[rng.usize(..2)]);
            match rng.u8(..8) {
                0..3 => {
                    world.crash(at, plugin);
                    world.bounce(until, plugin);
                }
                3 => world.bounce(at, host),
                4..7 => {
                    world.hold(at, host, plugin);
                    world.release(until, host, plugin);
                }
                _ => world.latency(at, host, plugin, rng.u64(..150)),
            }
        }
        world
    });
    let mut logs: Vec<&str> = reports.iter().map(|report| &*report.log).collect();
    logs.dedup();
    assert_eq!(logs.len(), reports.len(), "seeds differ");
}
