//! What a host and its calls see when a plugin dies.

use std::time::{Duration, Instant};

use rapace_plugin::{ExitReason, Plugin, Restart};
use rapace_session::{CallError, SessionEnd, StreamError};

use crate::lab::{self, LabClient, kill_9, lab, ready, soon};

#[tokio::test]
async fn row_02_a_death_fails_every_call_and_stream_and_says_how() {
    let (plugin, client) = ready(lab()).await;
    let mut naps: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.nap(60_000).await })
        })
        .collect();
    let mut counted = soon(client.count_without_end(2)).await.expect("a stream");
    assert_eq!(
        soon(counted.next())
            .await
            .expect("an item")
            .expect("a number"),
        0
    );
    assert_eq!(
        soon(counted.next())
            .await
            .expect("an item")
            .expect("a number"),
        1
    );
    assert!(plugin.kill());
    for nap in &mut naps {
        let error = soon(nap)
            .await
            .expect("no panic")
            .expect_err("a dead plugin");
        let CallError::PeerDied(death) = &error else {
            panic!("{error}")
        };
        assert_eq!(death.exit, Some(ExitReason::Signal(9)), "{error}");
        assert!(!error.is_safe_to_retry(), "the nap may have begun");
    }
    let error = soon(counted.next())
        .await
        .expect("an item")
        .expect_err("a dead plugin");
    let StreamError::Lost(SessionEnd::PeerDied(death)) = &error else {
        panic!("{error}")
    };
    assert_eq!(death.exit, Some(ExitReason::Signal(9)), "{error}");
}

#[tokio::test]
async fn row_11_death_is_seen_on_receive_within_milliseconds() {
    let (plugin, _client) = ready(lab()).await;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let session = plugin.session().expect("a session");
        // Nothing is being sent, and nothing is waited for but the end.
        let closed = tokio::spawn(async move { (session.closed().await, Instant::now()) });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let killed = Instant::now();
        kill_9(plugin.pid().expect("a process"));
        let (end, seen) = soon(closed).await.expect("no panic");
        let SessionEnd::PeerDied(death) = end else {
            panic!("{end}")
        };
        assert_eq!(death.exit, Some(ExitReason::Signal(9)));
        fastest = fastest.min(seen - killed);
        soon(plugin.ready()).await.expect("a new life");
        while plugin.session().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // A busy machine may let any one of them wait; what only a timer sees is never this fast.
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

#[tokio::test]
async fn row_11_death_is_seen_though_a_grandchild_holds_the_socket() {
    // The shell's sleep inherits the socket and both pipes, because nothing told it not to.
    let exe = std::env::current_exe().expect("a path");
    let wrapper = Plugin::command("/bin/sh")
        .arg("-c")
        .arg("sleep 3 & exec \"$0\" \"$@\"")
        .arg(exe)
        .args(lab::role("lab::plugin_process"))
        .wire(lab::wire())
        .restart(Restart::Never);
    let (plugin, client) = ready(wrapper).await;
    let pid = soon(client.pid()).await.expect("a process id");
    let nap = tokio::spawn(async move { client.nap(60_000).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let killed = Instant::now();
    kill_9(pid);
    let error = soon(nap)
        .await
        .expect("no panic")
        .expect_err("a dead plugin");
    let took = killed.elapsed();
    let CallError::PeerDied(death) = &error else {
        panic!("{error}")
    };
    assert_eq!(death.exit, Some(ExitReason::Signal(9)), "{error}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(plugin);
}

#[tokio::test]
async fn who_was_just_sending_learns_how_the_plugin_died_too() {
    // Writing to a dead process fails before its exit is known.
    for _ in 0..20 {
        let (plugin, client) = ready(lab().restart(Restart::Never)).await;
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    loop {
                        if let Err(error) = client.nap(0).await {
                            break error;
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        kill_9(plugin.pid().expect("a process"));
        for sender in senders {
            let error = soon(sender).await.expect("no panic");
            let text = error.to_string();
            assert!(text.contains("killed by signal 9"), "{text}");
        }
    }
}

#[tokio::test]
async fn the_error_has_the_exit_code_and_the_last_words() {
    let (plugin, client) = ready(lab().restart(Restart::Never)).await;
    let error = soon(client.exit(7, "first\nlast".into()))
        .await
        .expect_err("it exits");
    let CallError::PeerDied(death) = &error else {
        panic!("{error}")
    };
    assert_eq!(death.exit, Some(ExitReason::Code(7)));
    assert!(
        death.stderr.ends_with(&["first".into(), "last".into()]),
        "{:?}",
        death.stderr
    );
    let text = error.to_string();
    assert!(
        text.contains("exited with code 7") && text.contains("\"last\""),
        "{text}"
    );

    let error = soon(plugin.ready())
        .await
        .expect_err("a plugin that stays down");
    let end = error.life_end().expect("a life");
    assert_eq!(end.exit, Some(ExitReason::Code(7)));
    assert!(end.was_ready);
}

#[tokio::test]
async fn row_03_a_plugin_that_exits_before_its_hello_fails_ready_and_calls_with_its_last_words() {
    let plugin = lab()
        .env("LAB_BEFORE_HELLO", "exit")
        .spawn()
        .await
        .expect("a process");
    let client: LabClient = plugin.client();
    let call = tokio::spawn(async move { client.pid().await });
    let error = soon(plugin.ready()).await.expect_err("no plugin");
    let end = error.life_end().expect("a life");
    assert_eq!(end.exit, Some(ExitReason::Code(3)), "{error}");
    assert!(!end.was_ready);
    let expected = "plugin `lab` did not become ready: handshake failed: ";
    let text = error.to_string();
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("exited with code 3"), "{text}");
    assert_eq!(text.matches("cannot read lab.toml").count(), 1, "{text}");
    let error = soon(call).await.expect("no panic").expect_err("no plugin");
    assert!(error.is_safe_to_retry(), "{error}");
    assert!(
        error.to_string().contains("cannot read lab.toml"),
        "{error}"
    );
}

#[tokio::test]
async fn row_03_a_plugin_that_never_says_hello_is_killed_and_fails_ready() {
    let plugin = lab()
        .env("LAB_BEFORE_HELLO", "hang")
        .handshake_timeout(Duration::from_millis(100))
        .spawn()
        .await
        .expect("a process");
    let error = soon(plugin.ready()).await.expect_err("no plugin");
    let end = error.life_end().expect("a life");
    assert_eq!(end.exit, Some(ExitReason::Signal(9)), "{error}");
    assert!(error.to_string().contains("no Hello in time"), "{error}");
}

#[tokio::test]
async fn row_22_one_plugins_failure_leaves_the_others_alone() {
    let (sick, sick_client) = ready(lab().name("sick").restart(Restart::Never)).await;
    let (well, well_client) = ready(lab().name("well")).await;
    let mut counted = soon(well_client.count_without_end(1))
        .await
        .expect("a stream");
    let nap = {
        let client = well_client.clone();
        tokio::spawn(async move { client.nap(300).await })
    };
    soon(sick_client.exit(1, String::new()))
        .await
        .expect_err("it exits");
    soon(sick.ready())
        .await
        .expect_err("a plugin that stays down");
    // A third that cannot even be started.
    let missing = Plugin::command("/no/such/plugin")
        .spawn()
        .await
        .expect_err("no such program");
    assert_eq!(
        missing.to_string(),
        "plugin `plugin` cannot be started: /no/such/plugin: No such file or directory (os error 2)",
    );
    assert_eq!(soon(nap).await.expect("no panic").expect("a nap"), 300);
    assert_eq!(
        soon(counted.next())
            .await
            .expect("an item")
            .expect("a number"),
        0
    );
    assert_eq!(well.restarts(), 0);
}
