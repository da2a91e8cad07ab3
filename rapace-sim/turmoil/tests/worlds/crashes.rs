//! Plugins and hosts that crash and come back.

use std::cell::Cell;
use std::rc::Rc;

use rapace_session::{CallError, NotSent};
use rapace_sim_turmoil::{Dialer, LedgerClient, Plugin, WhenDown, World};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::check;
use crate::plan::{Plan, ms};

#[test]
fn a_plugin_that_crashed_is_dialled_again_and_lost_calls_say_how() {
    let reports = check("a_plugin_that_crashed", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            assert_eq!(host.post(&ledger, 0, None).await.expect("first life"), 1);
            // Under way when the plugin dies at two seconds.
            let lost = host.post(&ledger, 10_000, None).await.expect_err("lost");
            assert!(matches!(lost, CallError::PeerDied(_)), "{lost:?}");
            let noticed = turmoil::elapsed();
            assert!((ms(2_000)..ms(2_200)).contains(&noticed), "{noticed:?}");
            // Waits for the next life.
            assert_eq!(host.post(&ledger, 5, None).await.expect("second life"), 2);
            assert!(turmoil::elapsed() >= ms(3_000));
        });
        world.crash(2_000, "plugin");
        world.bounce(3_000, "plugin");
        world
    });
    assert!(reports.iter().all(|report| report.answered == 2));
}

#[test]
fn an_idempotent_call_moves_to_the_next_life() {
    let reports = check("an_idempotent_call_moves", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let ledger: LedgerClient = dialer.client();
            let answer = host.repost(&ledger, 1_500, None, dialer.repeats()).await;
            assert_eq!(answer.expect("repeated"), 2);
        });
        world.crash(1_000, "plugin");
        world.bounce(1_200, "plugin");
        world
    });
    assert!(reports.iter().all(|report| report.sessions >= 4));
}

#[test]
fn calls_before_the_plugin_listens_wait_fail_fast_or_meet_their_deadline() {
    check("calls_before_the_plugin_listens", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("patient", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            let mut early = JoinSet::new();
            for _ in 0..10 {
                let (host, ledger) = (host.clone(), ledger.clone());
                early.spawn(async move { host.post(&ledger, 1, None).await });
            }
            while let Some(answer) = early.join_next().await {
                // Life 1 was crashed before its first instruction, or before it listened.
                assert_eq!(answer.expect("task").expect("waited"), 2);
            }
            assert!(turmoil::elapsed() >= ms(2_000));
        });
        world.host("hurried", |host| async move {
            let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
            let late = host.post(&ledger, 1, Some(ms(300))).await;
            let late = late.expect_err("nobody listens");
            assert!(matches!(late, CallError::DeadlineExceeded), "{late:?}");
            let took = turmoil::elapsed();
            assert!((ms(300)..ms(305)).contains(&took), "{took:?}");
        });
        world.host("failing", |host| async move {
            let dialer = Dialer::builder(&host, "plugin").when_down(WhenDown::Fail);
            let dialer = dialer.build();
            let ledger: LedgerClient = dialer.client();
            let down = host.post(&ledger, 1, None).await.expect_err("down");
            assert!(
                matches!(down, CallError::NotSent(NotSent::Down(_))),
                "{down:?}"
            );
            assert!(turmoil::elapsed() < ms(5));
            dialer.dial().await;
            host.post(&ledger, 1, None).await.expect("up");
        });
        world.crash(0, "plugin");
        world.bounce(2_000, "plugin");
        world
    });
}

#[test]
fn a_restart_storm_leaves_nothing_behind() {
    const LIVES: u64 = 30;
    let reports = check("a_restart_storm", |seed| {
        let mut world = World::new(seed, |turmoil| {
            turmoil.max_message_latency(ms(20));
        });
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let ledger: LedgerClient = dialer.client();
            let mut callers = JoinSet::new();
            for _ in 0..4 {
                let (host, dialer) = (host.clone(), dialer.clone());
                let ledger = ledger.clone();
                let mut rng = host.rng();
                callers.spawn(async move {
                    while turmoil::elapsed() < ms(LIVES * 150) {
                        // Either ends in an answer or in an error that the book accepts.
                        if rng.bool() {
                            let _ = host.post(&ledger, rng.u32(0..40), None).await;
                        } else {
                            let repeats = dialer.repeats();
                            let _ = host.repost(&ledger, rng.u32(0..40), None, repeats).await;
                        }
                    }
                });
            }
            while let Some(caller) = callers.join_next().await {
                caller.expect("caller");
            }
            let life = host.post(&ledger, 0, None).await.expect("calm");
            assert_eq!(life, LIVES + 1);
            sleep(ms(500)).await;
            // turmoil forgets to take a connection that was refused off its list.
            let open = turmoil::established_tcp_stream_count() as u64;
            assert_eq!(open, 1 + dialer.refused(), "sockets leak");
        });
        let mut rng = fastrand::Rng::with_seed(seed);
        for life in 0..LIVES {
            let at = 150 * life + rng.u64(20..150);
            world.crash(at, "plugin");
            world.bounce(at + rng.u64(1..100), "plugin");
        }
        world
    });
    assert!(
        reports.iter().all(|report| report.sessions > 40),
        "too calm"
    );
}

#[test]
fn one_client_dies_and_the_other_does_not_notice() {
    check("one_client_dies", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        // What the doomed client's first life got from the plugin: nothing.
        let unfinished = Rc::new(Cell::new(None));
        let doomed = unfinished.clone();
        world.background("doomed", move |host| {
            let doomed = doomed.clone();
            async move {
                let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
                let open = host.book().open(0);
                doomed.set(Some(open.id()));
                let _ = ledger.post(open.id(), 1_500).await;
                panic!("the host was to die at one second");
            }
        });
        world.host("survivor", move |host| {
            let unfinished = unfinished.clone();
            async move {
                let ledger: LedgerClient = Dialer::new(&host, "plugin").client();
                for _ in 0..20 {
                    host.post(&ledger, 100, None).await.expect("undisturbed");
                }
                assert!(turmoil::elapsed() > ms(2_000), "it outlives the other");
                // The handler of the dead client's call was started, and dropped before its end.
                let id = unfinished.get().expect("called");
                assert_eq!(host.book().runs(id), (1, 0));
            }
        });
        world.crash(1_000, "doomed");
        world
    });
}

#[test]
fn a_client_that_comes_back_is_another_one_to_the_plugin() {
    check("a_client_that_comes_back", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let session = dialer.dial().await;
            assert_eq!(session.peer_epoch(), Some(1), "the plugin lives on");
            let ledger: LedgerClient = dialer.client();
            host.post(&ledger, 1, None).await.expect("answered");
            if host.life() == 1 {
                // Dies here.
                let _ = host.post(&ledger, 60_000, None).await;
                panic!("the host was to die");
            }
        });
        world.bounce(1_500, "host");
        world
    });
}
