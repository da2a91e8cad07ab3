//! What a link that lends memory spares: told in bytes copied, counted by a link of the tests.
#![allow(unreachable_pub, reason = "one test binary, nothing is public")]
#![allow(missing_docs, reason = "services of tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

mod calls;
mod early;
mod link;
mod loans;
mod ports;
mod service;

use std::future::Future;
use std::time::Duration;

use link::{Counts, Lane};

/// A hang fails, and soon.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("an end, but this hangs")
}

/// Waits until nothing of a lane is lent.
async fn given_back(lane: &Lane) {
    for _ in 0..2_000 {
        if lane.counts().lent == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never given back: {:?}", lane.counts());
}

/// What happened on a lane since `before`.
fn since(lane: &Lane, before: Counts) -> Counts {
    let now = lane.counts();
    Counts {
        asked: now.asked - before.asked,
        encoded: now.encoded - before.encoded,
        in_place: now.in_place - before.in_place,
        copied: now.copied - before.copied,
        ..now
    }
}
