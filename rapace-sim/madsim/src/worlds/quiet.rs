//! Worlds in which nothing breaks: every result is the right one, in whatever order tasks run.

use rapace_testbed::TestbedClient;
use tokio::time::{sleep, timeout};

use super::{ms, work};
use crate::book::LedgerClient;
use crate::dialer::Dialer;
use crate::plugin::Plugin;
use crate::world::{Report, World};

pub(super) async fn calls() -> Report {
    let mut world = World::new();
    world.plugin("plugin", Plugin::new());
    world.host("host", |host| async move {
        let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
        let mut rng = host.rng();
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let (testbed, mut rng) = (testbed.clone(), rng.fork());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        work::call(&testbed, &mut rng).await.expect("answered");
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("caller");
        }
        host.note("all answered");
    });
    world.finish().await
}

pub(super) async fn streams() -> Report {
    let mut world = World::new();
    world.plugin("plugin", Plugin::new());
    world.host("host", |host| async move {
        let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
        let mut rng = host.rng();
        let workers: Vec<_> = (0..10)
            .map(|at| {
                let (testbed, mut rng) = (testbed.clone(), rng.fork());
                tokio::spawn(async move {
                    match at % 4 {
                        0 => {
                            let read = work::count(&testbed, 3_000, u32::MAX, &mut rng).await;
                            assert_eq!(read.expect("count"), 3_000);
                        }
                        1 => work::sum(&testbed, 1_000, &mut rng).await.expect("sum"),
                        2 => work::relay(&testbed, 200).await.expect("relay"),
                        _ => work::pipe(&testbed, 700_000, &mut rng).await.expect("pipe"),
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("worker");
        }
        host.note("all whole");
    });
    world.finish().await
}

pub(super) async fn cancels() -> Report {
    let mut world = World::new();
    world.plugin("plugin", Plugin::new());
    world.host("host", |host| async move {
        let dialer = Dialer::new(&host, "plugin");
        let (ledger, testbed): (LedgerClient, TestbedClient) = (dialer.client(), dialer.client());
        let mut rng = host.rng();
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (host, mut rng) = (host.clone(), rng.fork());
                let (ledger, testbed) = (ledger.clone(), testbed.clone());
                tokio::spawn(async move {
                    for _ in 0..15 {
                        let (millis, patience) = (rng.u32(..60), ms(rng.u64(1..80)));
                        match rng.u8(..3) {
                            0 => {
                                let open = host.book().open(0);
                                let call = ledger.post(open.id(), millis);
                                if let Ok(result) = timeout(patience, call).await {
                                    result.as_ref().expect("answered");
                                    open.close(&result);
                                }
                            }
                            // The book judges how it ends.
                            1 => drop(host.post(&ledger, millis, Some(patience)).await),
                            _ => {
                                let read_max = rng.u32(..2_000);
                                let read = work::count(&testbed, 3_000, read_max, &mut rng);
                                // Dropped while reading, or after what was wanted.
                                drop(timeout(patience * 4, read).await);
                            }
                        }
                        sleep(ms(rng.u64(..10))).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("worker");
        }
        host.post(&ledger, 0, None).await.expect("still well");
    });
    world.finish().await
}
