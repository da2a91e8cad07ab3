//! Starting, restarting and stopping.

use std::time::{Duration, Instant};

use rapace_plugin::{Backoff, ExitReason, PluginError, PluginState, Restart};
use rapace_session::CallError;

use crate::lab::{LabClient, gone_within, is_alive, kill_9, lab, ready, soon};

#[tokio::test]
async fn the_policy_gives_up_after_its_limit_and_everybody_hears_of_it() {
    let backoff = Backoff {
        limit: Some(2),
        ..Backoff::default()
    };
    let (plugin, client) = ready(lab().restart(Restart::Always(backoff))).await;
    let mut states = plugin.states();
    for _ in 0..2 {
        kill_9(soon(client.pid()).await.expect("an answer"));
        soon(async { while !matches!(states.next().await, Some(PluginState::Ready { .. })) {} })
            .await;
    }
    plugin.kill();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.nap(0).await }
    });
    let error = soon(async {
        loop {
            if let PluginState::Failed { error } = states.next().await.expect("a last state") {
                break error;
            }
        }
    })
    .await;
    let PluginError::GaveUp { restarts: 2, .. } = &error else {
        panic!("{error}")
    };
    assert!(states.next().await.is_none(), "nothing comes after it");
    let call = soon(call).await.expect("no panic").expect_err("no plugin");
    assert!(
        matches!(call, CallError::NotSent(_) | CallError::PeerDied(_)),
        "{call}"
    );
    let late = soon(client.pid()).await.expect_err("no plugin").to_string();
    assert!(late.contains("is given up after 2 restarts"), "{late}");
    assert!(soon(plugin.ready()).await.is_err());
}

#[tokio::test]
async fn a_clean_shutdown_finishes_calls_and_leaves_no_process() {
    let (plugin, client) = ready(lab()).await;
    let pid = plugin.pid().expect("a process");
    let nap = tokio::spawn(async move { client.nap(200).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopped = soon(plugin.shutdown()).await;
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "gone and waited for"
    );
    assert_eq!(soon(nap).await.expect("no panic").expect("an answer"), 200);
    assert_eq!(stopped.exit, Some(ExitReason::Code(0)));
    assert!(stopped.drained && !stopped.forced, "{stopped:?}");
    // Asking again changes nothing.
    assert_eq!(soon(plugin.shutdown()).await, stopped);
    let late: LabClient = plugin.client();
    let error = soon(late.pid()).await.expect_err("a stopped plugin");
    assert_eq!(error.to_string(), "not sent: plugin `lab` was stopped");
}

#[tokio::test]
async fn a_plugin_that_does_not_end_is_forced() {
    let brief = Duration::from_millis(100);
    let (plugin, client) = ready(lab().shutdown_timeouts(brief, brief)).await;
    let pid = plugin.pid().expect("a process");
    let spin = tokio::spawn(async move { client.spin().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let asked = Instant::now();
    let stopped = soon(plugin.shutdown()).await;
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    assert!(stopped.forced && !stopped.drained, "{stopped:?}");
    assert!(
        matches!(stopped.exit, Some(ExitReason::Signal(_))),
        "{stopped:?}"
    );
    assert!(!is_alive(pid));
    soon(spin)
        .await
        .expect("no panic")
        .expect_err("an unfinished call");
}

#[tokio::test]
async fn a_dropped_handle_kills_the_plugin() {
    let (plugin, client) = ready(lab()).await;
    let pid = plugin.pid().expect("a process");
    drop(plugin);
    let error = soon(client.pid()).await;
    assert!(error.is_err());
    tokio::task::spawn_blocking(move || gone_within(pid, Duration::from_secs(1)))
        .await
        .expect("gone");
}

#[test]
fn a_runtime_that_ends_takes_its_plugins_along() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (plugin, _client) = runtime.block_on(ready(lab()));
    let pid = plugin.pid().expect("a process");
    drop(runtime);
    gone_within(pid, Duration::from_secs(1));
    drop(plugin);
}

#[test]
fn a_plugin_outlives_the_thread_that_asked_for_it() {
    // The parent-death signal is bound to a thread: it must not be this one.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || handle.block_on(ready(lab())));
    let (plugin, client) = thread.join().expect("a plugin");
    std::thread::sleep(Duration::from_millis(50));
    runtime.block_on(async { soon(client.pid()).await.expect("an answer") });
    assert_eq!(plugin.restarts(), 0);
}

#[test]
fn a_program_that_is_started_by_hand_says_what_it_is() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let error = runtime
        .block_on(rapace_plugin::run(crate::lab::DeskServer::new(
            crate::lab::Answers,
        )))
        .expect_err("no host");
    let text = "this program is a rapace plugin: it is started by its host, which hands it a \
                socket, and does nothing when started by hand";
    assert_eq!(error.to_string(), text);
    assert_eq!(
        format!("{error:?}"),
        text,
        "a `main` that returns it prints this"
    );
}
