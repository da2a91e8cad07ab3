//! A call that is given up, by its deadline or by dropping it, is given up on the other side too.
//!
//! `cargo run -p rapace --example deadline_and_cancel`

use std::time::Duration;

use rapace::{CallError, Context, Session};
use tokio::time::{sleep, timeout};

/// Takes its time.
#[rapace::service]
pub trait Sleeper {
    /// Sleeps, and says so when it is not allowed to finish.
    async fn sleep(&self, cx: &Context, millis: u64) -> u64;
}

struct Deep;

/// Its destructor runs when the handler is dropped in the middle.
struct Sleep;

impl Drop for Sleep {
    fn drop(&mut self) {
        println!("  the handler is over");
    }
}

impl Sleeper for Deep {
    async fn sleep(&self, cx: &Context, millis: u64) -> u64 {
        println!("  the handler has {:?} left", cx.time_left());
        let cancellation = cx.cancellation();
        // For work that the handler has given to others and that would go on without it.
        tokio::spawn(async move {
            cancellation.cancelled().await;
            println!("  the handler's helper was told");
        });
        let _sleep = Sleep;
        sleep(Duration::from_millis(millis)).await;
        millis
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(SleeperServer::new(Deep))
        .accept(plugin_end)?;
    let host = Session::builder().connect(host_end)?;
    let sleeper: SleeperClient = host.client();

    println!("in time:");
    let slept = sleeper.sleep(10).deadline(Duration::from_secs(10)).await;
    println!("{slept:?}");

    println!("too late:");
    let late = sleeper
        .sleep(60_000)
        .deadline(Duration::from_millis(50))
        .await;
    assert!(matches!(late, Err(CallError::DeadlineExceeded)));
    println!("{}", late.unwrap_err());

    println!("dropped:");
    let dropped = timeout(Duration::from_millis(50), sleeper.sleep(60_000)).await;
    assert!(dropped.is_err());
    // The peer hears of it a moment later.
    sleep(Duration::from_millis(50)).await;

    host.close().await;
    plugin.closed().await;
    Ok(())
}
