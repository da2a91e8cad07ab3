//! Clients that survive restarts.

use std::time::{Duration, Instant};

use rapace_plugin::{Backoff, Plugin, PluginState, Restart, WhenDown};
use rapace_session::{CallError, Client, NotSent};

use crate::lab::{Answers, DeskServer, LabClient, kill_9, lab, ready, soon};

fn restarted_after(wait: Duration) -> Plugin {
    lab().restart(Restart::Always(Backoff {
        initial: wait,
        ..Backoff::default()
    }))
}

/// Waits for the state after the death.
async fn down(plugin: &rapace_plugin::PluginHost) {
    while !matches!(plugin.state(), PluginState::Down { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn row_21_early_calls_wait_until_the_plugin_is_ready() {
    let plugin = lab().spawn().await.expect("a process");
    let client: LabClient = plugin.client();
    // The very first thing that happens, before the plugin can have said Hello.
    let pid = soon(client.pid()).await.expect("an answer");
    assert_eq!(plugin.pid(), Some(pid));
    soon(plugin.ready()).await.expect("ready");
}

#[tokio::test]
async fn calls_made_while_the_plugin_is_down_wait_for_the_next_life() {
    let wait = Duration::from_secs(1);
    let (plugin, client) = ready(restarted_after(wait)).await;
    let before = soon(client.pid()).await.expect("an answer");
    let death = Instant::now();
    kill_9(before);
    soon(down(&plugin)).await;
    let after = soon(client.pid())
        .await
        .expect("an answer from the next life");
    assert_ne!(before, after);
    // Counted from the death: a busy machine may take its time until the call is made.
    let answered = death.elapsed();
    assert!(answered >= wait, "answered too soon: {answered:?}");
    assert_eq!(plugin.restarts(), 1);
}

#[tokio::test]
async fn a_waiting_call_gives_up_at_its_deadline() {
    let (plugin, client) = ready(restarted_after(Duration::from_secs(5))).await;
    plugin.kill();
    soon(down(&plugin)).await;
    let asked = Instant::now();
    let error = soon(client.pid().deadline(Duration::from_millis(50)))
        .await
        .expect_err("down");
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn deadlines_hold_in_later_lives() {
    let (plugin, client) = ready(lab()).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let first = plugin.session().expect("a session");
    plugin.kill();
    soon(first.closed()).await;
    soon(client.pid())
        .await
        .expect("an answer from the next life");
    // A clock that began with this life would put the deadline 1.5 s too late.
    let asked = Instant::now();
    let nap = client.nap(5_000).deadline(Duration::from_millis(100));
    let error = soon(nap).await.expect_err("too slow");
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    let took = asked.elapsed();
    let expected = Duration::from_millis(90)..Duration::from_millis(1_400);
    assert!(expected.contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_client_that_fails_fast_does_not_wait() {
    let (plugin, _) = ready(restarted_after(Duration::from_secs(5))).await;
    let client = LabClient::from_caller(plugin.caller_when_down(WhenDown::FailFast));
    plugin.kill();
    soon(down(&plugin)).await;
    let asked = Instant::now();
    let error = soon(client.pid()).await.expect_err("down");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    let CallError::NotSent(NotSent::Down(why)) = &error else {
        panic!("{error}")
    };
    assert!(
        why.contains("plugin `lab` went down: peer died: killed by signal 9"),
        "{why}"
    );
    assert!(error.is_safe_to_retry());
}

#[tokio::test]
async fn an_idempotent_call_survives_a_kill_and_the_others_may_have_run() {
    let (plugin, client) = ready(lab()).await;
    let before = soon(client.pid()).await.expect("an answer");
    let repeated = {
        let client = client.clone();
        tokio::spawn(async move { client.pid_after(100).await })
    };
    let once = tokio::spawn(async move { client.nap(100).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    kill_9(before);
    let after = soon(repeated)
        .await
        .expect("no panic")
        .expect("an answer from the next life");
    assert_ne!(before, after);
    let error = soon(once)
        .await
        .expect("no panic")
        .expect_err("it was under way");
    assert!(matches!(error, CallError::PeerDied(_)), "{error}");
    assert!(!error.is_safe_to_retry());
    assert_eq!(plugin.restarts(), 1);
}

#[tokio::test]
async fn row_24_a_new_life_is_a_new_peer() {
    let (plugin, client) = ready(lab()).await;
    let first = plugin.session().expect("a session");
    let of_first = first.client::<LabClient>();
    let epoch = first.peer_epoch().expect("an epoch");
    plugin.kill();
    soon(first.closed()).await;
    soon(client.pid())
        .await
        .expect("an answer from the next life");
    let second = plugin.session().expect("a session");
    assert_ne!(second.peer_epoch().expect("an epoch"), epoch);
    // What was made from the first life never reaches the second.
    let error = soon(of_first.pid()).await.expect_err("a life that is over");
    assert!(
        matches!(error, CallError::NotSent(NotSent::Ended(_))),
        "{error}"
    );
}

#[tokio::test]
async fn a_plugin_calls_back_into_its_host_in_every_life() {
    let (plugin, client) = ready(lab().serve(DeskServer::new(Answers))).await;
    for life in 0..3 {
        let answer = soon(client.ask_host("Six by nine?".into()))
            .await
            .expect("an answer");
        assert_eq!(answer, "Six by nine? 42.");
        assert_eq!(plugin.restarts(), life);
        let session = plugin.session().expect("a session");
        plugin.kill();
        soon(session.closed()).await;
    }
}

#[tokio::test]
async fn the_plugin_gets_its_arguments_environment_and_directory() {
    let plugin = lab()
        .env("LAB_COLOUR", "red")
        .env("LAB_REMOVED", "x")
        .env_remove("LAB_REMOVED")
        .current_dir("/tmp");
    let (_plugin, client) = ready(plugin).await;
    let surroundings = soon(client.surroundings()).await.expect("an answer");
    assert_eq!(surroundings, ["LAB_COLOUR=red", "/tmp"]);
}

#[tokio::test]
async fn a_handed_over_link_that_is_inherited_is_replaced() {
    // As in a plugin that is the host of another one: everything it starts inherits the variable.
    let (_plugin, client) = ready(lab().env("RAPACE_PLUGIN", "stream:3:1")).await;
    soon(client.pid()).await.expect("an answer");
}

#[tokio::test]
async fn the_link_can_be_taken_once_and_by_the_plugin_alone() {
    let (_plugin, client) = ready(lab()).await;
    let again = soon(client.run_again()).await.expect("an answer");
    assert_eq!(
        again,
        "this process serves its host already; `run` can be called once"
    );
    // It inherits the variable, but not the socket.
    let child = soon(client.run_in_child()).await.expect("an answer");
    assert!(child.contains("this program is a rapace plugin"), "{child}");
    soon(client.pid())
        .await
        .expect("the plugin itself is as well as before");
}

/// The service as a host knows it that was built from newer sources than the plugin.
mod newer {
    #[rapace_macros::service(crate = "rapace_session")]
    pub(super) trait Lab {
        async fn pid(&self) -> u32;
        async fn nap(&self, millis: u64) -> u32;
    }
}

#[tokio::test]
async fn row_23_a_stale_plugin_is_told_apart_by_its_schema() {
    let (plugin, _) = ready(lab()).await;
    let client: newer::LabClient = plugin.client();
    let error = soon(client.nap(1)).await.expect_err("other types");
    let CallError::SchemaMismatch { method, difference } = &error else {
        panic!("{error}")
    };
    assert_eq!(method, "Lab.nap");
    assert!(
        difference.contains("u64") && difference.contains("u32"),
        "{difference}"
    );
    // Methods that are the same still work.
    assert_eq!(
        soon(client.pid()).await.expect("an answer"),
        plugin.pid().expect("a process")
    );
}
