//! What sessions owe to those who use them, told as tests: one file per topic. The names that begin
//! with `row_` are the failures of earlier systems that rapace must not repeat.

mod calls;
mod lab;
mod limits;
mod loss;
mod raw_peer;
mod stream_ends;
mod streams;

use std::future::Future;
use std::time::Duration;

/// A hang fails, and soon. With paused time the clock jumps here when nothing else can happen.
async fn within<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("nothing happened for a long time: this hangs"),
    }
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
async fn quiet(sessions: [&rapace_session::Session; 2]) {
    for _ in 0..2000 {
        if sessions.iter().all(|session| session.table_sizes() == Default::default()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let [here, there] = sessions.map(rapace_session::Session::table_sizes);
    panic!("left behind: {here:?} and {there:?}");
}
