//! Many plugins, many callers, and kills at any moment.

use std::time::Duration;

use rapace_plugin::{Backoff, Restart};

use crate::lab::{lab, ready, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_random_kills_every_call_ends_once_and_idempotent_ones_succeed() {
    let at_once = Backoff {
        initial: Duration::ZERO,
        limit: None,
        ..Backoff::default()
    };
    let mut plugins = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let plugin = lab().restart(Restart::Always(at_once)).repeats_max(100);
        let (plugin, client) = ready(plugin).await;
        plugins.push(plugin);
        for worker in 0..4 {
            let client = client.clone();
            workers.push(tokio::spawn(async move {
                let mut lost = 0;
                for call in 0..100 {
                    if worker % 2 == 0 {
                        soon(client.pid_after(call % 3))
                            .await
                            .expect("repeated until it succeeds");
                    } else if let Err(error) = soon(client.nap(call % 3)).await {
                        assert!(error.is_lost(), "{error}");
                        lost += 1;
                    }
                }
                lost
            }));
        }
    }
    let chaos = tokio::spawn(async move {
        // A kill about every 20 calls of a plugin, in no order that matters.
        for turn in 0.. {
            tokio::time::sleep(Duration::from_millis(7)).await;
            plugins[turn % plugins.len()].kill();
        }
    });
    let mut lost = 0;
    for worker in workers {
        lost += worker.await.expect("no panic");
    }
    chaos.abort();
    assert!(lost > 0, "the kills met no call");
}
