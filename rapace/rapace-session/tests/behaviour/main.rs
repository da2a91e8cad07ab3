//! What sessions owe to those who use them, told as tests: one file per topic. The names that begin
//! with `row_` are the failures of earlier systems that rapace must not repeat.
#![allow(unreachable_pub, reason = "one test binary, nothing is public")]
#![allow(missing_docs, reason = "services of tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

mod build;
mod calls;
mod context;
mod deadlines;
mod ending;
mod handshake;
mod lab;
mod last_frames;
mod limits;
mod loss;
mod oneway;
mod raw_peer;
mod stream_ends;
mod streams;
mod supervised;
mod types;
mod wire;

use std::future::Future;
use std::time::Duration;

/// A hang fails, and soon. With paused time the clock jumps here when nothing else can happen.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("an end, but this hangs")
}

/// Waits until `is_so`, which others bring about.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

/// Waits until both sessions hold nothing more.
///
/// A port that stayed empty may still be opened for all that the protocol knows: the core forgets
/// the oldest 256 of them by and by.
async fn quiet(sessions: [&rapace_session::Session; 2]) {
    let sizes = || sessions.map(rapace_session::Session::table_sizes);
    for _ in 0..2000 {
        if sizes() == <[rapace_session::TableSizes; 2]>::default() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("left behind: {:?}", sizes());
}
