//! Links that are slow, or stand still for a while.

use bytes::Bytes;
use rapace_session::CallError;
use rapace_sim_turmoil::{Dialer, LedgerClient, Plugin, World};
use rapace_testbed::TestbedClient;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::plan::{Plan, ms};
use crate::{check, check_seeds};

#[test]
fn calls_of_a_held_link_wait_or_meet_their_deadline_and_none_is_lost() {
    let reports = check("calls_of_a_held_link", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let ledger: LedgerClient = dialer.client();
            dialer.dial().await;
            sleep(ms(1_100).saturating_sub(turmoil::elapsed())).await;
            let mut patient = JoinSet::new();
            for _ in 0..20 {
                let (host, ledger) = (host.clone(), ledger.clone());
                patient.spawn(async move { host.post(&ledger, 3, None).await });
            }
            let called = Instant::now();
            let late = host.post(&ledger, 3, Some(ms(700))).await;
            let late = late.expect_err("the link is held");
            assert!(matches!(late, CallError::DeadlineExceeded), "{late:?}");
            let took = called.elapsed();
            assert!((ms(700)..ms(705)).contains(&took), "{took:?}");
            while let Some(answer) = patient.join_next().await {
                assert_eq!(answer.expect("task").expect("waited"), 1);
            }
            assert!(turmoil::elapsed() > ms(5_000));
            // The same session: nothing was lost, so nothing was dialled again.
            assert!(dialer.dial().await.end().is_none());
        });
        world.hold(1_000, "host", "plugin");
        world.release(5_000, "host", "plugin");
        world
    });
    for report in reports {
        assert_eq!((report.answered, report.sessions), (20, 2));
    }
}

#[test]
fn a_deadline_counts_the_way_there_and_back() {
    check("a_deadline_counts", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            host.post(&ledger, 0, None).await.expect("connected");
            for (deadline, fits) in [(350, false), (450, true), (399, false)] {
                let called = Instant::now();
                let result = host.post(&ledger, 0, Some(ms(deadline))).await;
                let took = called.elapsed();
                if fits {
                    result.expect("in time");
                    assert!((ms(400)..ms(410)).contains(&took), "{took:?}");
                } else {
                    let late = result.expect_err("too late");
                    assert!(matches!(late, CallError::DeadlineExceeded), "{late:?}");
                    assert!((ms(deadline)..ms(deadline + 5)).contains(&took), "{took:?}");
                }
            }
        });
        world.latency(0, "host", "plugin", 200);
        world
    });
}

#[test]
fn a_handler_stops_when_its_caller_gives_up_though_the_link_is_slow() {
    check("a_handler_stops", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            host.post(&ledger, 0, None).await.expect("connected");
            let open = host.book().open(0);
            let call = tokio::time::timeout(ms(300), ledger.post(open.id(), 2_000));
            call.await.expect_err("it works for two seconds");
            assert_eq!(host.book().runs(open.id()), (1, 0), "under way");
            sleep(ms(3_000)).await;
            assert_eq!(host.book().runs(open.id()), (1, 0), "cancelled");
        });
        world.latency(0, "host", "plugin", 100);
        world
    });
}

#[test]
fn a_link_that_is_held_while_connecting_is_tried_again() {
    let reports = check("a_link_that_is_held_while_connecting", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            host.post(&ledger, 0, None).await.expect("in the end");
            assert!(turmoil::elapsed() > ms(4_000));
            sleep(ms(3_000)).await;
            let open = turmoil::established_tcp_stream_count_on("plugin");
            assert_eq!(
                open, 1,
                "abandoned connections are closed at the plugin, too"
            );
        });
        // From before the first message, or in the middle of the handshake.
        world.latency(0, "host", "plugin", 30);
        world.hold(if seed % 2 == 0 { 0 } else { 45 }, "host", "plugin");
        world.release(4_000, "host", "plugin");
        world
    });
    let retried = |report: &rapace_sim_turmoil::Report| report.log.contains("cannot reach");
    assert!(reports.iter().all(retried));
}

#[test]
fn answers_find_their_calls_whatever_the_latency() {
    let reports = check("answers_find_their_calls", |seed| {
        let mut world = World::new(seed, |turmoil| {
            turmoil.max_message_latency(ms(250));
        });
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
            let mut rng = host.rng();
            let mut calls = JoinSet::new();
            for at in 0..200u32 {
                let len = if rng.u8(..) < 32 {
                    rng.usize(..300_000)
                } else {
                    rng.usize(..64)
                };
                let byte = rng.u8(..);
                let pause = ms(rng.u64(..400));
                let testbed = testbed.clone();
                calls.spawn(async move {
                    sleep(pause).await;
                    let data: Bytes = vec![byte; len].into();
                    assert_eq!(testbed.echo(data.clone()).await.expect("echo"), data);
                    assert_eq!(testbed.nap(at).await.expect("nap"), at);
                });
            }
            while let Some(call) = calls.join_next().await {
                call.expect("call");
            }
            host.note("all answered");
        });
        world
    });
    // Seeds differ: in their latencies, and so in how long it took.
    if let [first, second, ..] = &*reports {
        assert_ne!(first.took, second.took);
    }
}

#[test]
fn many_hosts_and_many_plugins_do_not_mix_up_their_calls() {
    const HOSTS: usize = 6;
    const PLUGINS: usize = 4;
    let reports = check_seeds("many_hosts_and_many_plugins", 3, |seed| {
        let mut world = World::new(seed, |_| {});
        for plugin in 0..PLUGINS {
            world.plugin(&format!("plugin-{plugin}"), Plugin::new());
        }
        for host in 0..HOSTS {
            world.host(&format!("host-{host}"), move |host| async move {
                let ledgers: Vec<LedgerClient> = (0..PLUGINS)
                    .map(|plugin| Dialer::new(&host, &format!("plugin-{plugin}")).client())
                    .collect();
                let mut rng = host.rng();
                for _ in 0..15 {
                    let mut calls = JoinSet::new();
                    for ledger in &ledgers {
                        let (host, ledger) = (host.clone(), ledger.clone());
                        let millis = rng.u32(..30);
                        calls.spawn(async move { host.post(&ledger, millis, None).await });
                    }
                    while let Some(answer) = calls.join_next().await {
                        answer.expect("task").expect("answered");
                    }
                }
            });
        }
        // One pair stands still for a while; the others must not care.
        world.hold(300, "host-0", "plugin-0");
        world.release(6_000, "host-0", "plugin-0");
        world
    });
    for report in reports {
        assert_eq!(report.answered, HOSTS * PLUGINS * 15);
        assert_eq!(report.sessions, 2 * HOSTS * PLUGINS);
        // The pair that stood still ends last by far.
        assert!(report.took > ms(6_000));
    }
}
