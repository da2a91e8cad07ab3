//! Plugins and hosts that crash and come back.

use rapace_session::CallError;
use rapace_sim_turmoil::{Dialer, Fault, LedgerClient, Plugin, World};
use tokio::time::sleep;

use crate::{check, ms};

fn crash(world: &mut World, at: u64, host: &str) {
    world.at(ms(at), Fault::Crash(host.to_owned()));
}

fn bounce(world: &mut World, at: u64, host: &str) {
    world.at(ms(at), Fault::Bounce(host.to_owned()));
}

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
            assert!(
                turmoil::elapsed() < ms(2_300),
                "noticed at {:?}",
                turmoil::elapsed()
            );
            // Waits for the next life.
            assert_eq!(host.post(&ledger, 5, None).await.expect("second life"), 2);
            assert!(turmoil::elapsed() >= ms(3_000));
        });
        crash(&mut world, 2_000, "plugin");
        bounce(&mut world, 3_000, "plugin");
        world
    });
    assert!(reports.iter().all(|report| report.answered == 2));
}

#[test]
fn an_idempotent_call_moves_to_the_next_life() {
    check("an_idempotent_call", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let ledger: LedgerClient = dialer.client();
            let answer = host.repost(&ledger, 1_500, None, dialer.repeats()).await;
            assert_eq!(answer.expect("repeated"), 2);
            sleep(ms(10)).await;
        });
        crash(&mut world, 1_000, "plugin");
        bounce(&mut world, 1_200, "plugin");
        world
    });
}
