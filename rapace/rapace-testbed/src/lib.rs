//! The service of PROTOCOL.md §9: every test, the command line's `subject` and the benchmarks
//! speak to it, so that one set of expectations covers them all.
//!
//! This crate knows nothing of transports.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rapace_session::{Streaming, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What every rapace peer can be asked to do.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Testbed {
    /// The sum, wrapping.
    async fn add(&self, a: i32, b: i32) -> i32;
    /// The same bytes.
    async fn echo(&self, data: Bytes) -> Bytes;
    /// The quotient; `Err("division by zero")` is data, not a failed call.
    async fn divide(&self, a: i32, b: i32) -> Result<i32, String>;
    /// Panics with `message`.
    async fn boom(&self, message: String);
    /// Sleeps, then returns `millis`.
    async fn nap(&self, millis: u32) -> u32;
    /// How many handlers of this process are inside `nap` now.
    async fn naps_running(&self) -> u32;
    /// The sum of a stream.
    async fn sum(&self, numbers: Streaming<i32>) -> i64;
    /// 0, 1, … n − 1.
    async fn count(&self, n: u32) -> Streaming<u32>;
    /// The items in upper case, as they come.
    async fn relay(&self, items: Streaming<String>) -> Streaming<String>;
    /// Echoes bytes; returns how many when the other side has shut down.
    async fn pipe(&self, tunnel: Tunnel) -> u64;
}

/// Handlers inside `nap`, in the whole process.
static NAPS: AtomicU32 = AtomicU32::new(0);

/// The one implementation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject;

/// Counts a nap for as long as its handler lives, cancelled or not.
struct Napping;

impl Napping {
    fn start() -> Self {
        NAPS.fetch_add(1, Ordering::Relaxed);
        Napping
    }
}

impl Drop for Napping {
    fn drop(&mut self) {
        NAPS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Testbed for Subject {
    async fn add(&self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    async fn echo(&self, data: Bytes) -> Bytes {
        data
    }

    async fn divide(&self, a: i32, b: i32) -> Result<i32, String> {
        if b == 0 {
            return Err("division by zero".to_owned());
        }
        Ok(a.wrapping_div(b))
    }

    async fn boom(&self, message: String) {
        panic!("{message}");
    }

    async fn nap(&self, millis: u32) -> u32 {
        let _napping = Napping::start();
        tokio::time::sleep(Duration::from_millis(u64::from(millis))).await;
        millis
    }

    async fn naps_running(&self) -> u32 {
        NAPS.load(Ordering::Relaxed)
    }

    async fn sum(&self, mut numbers: Streaming<i32>) -> i64 {
        let mut sum = 0;
        // A stream that breaks off cancels the call, so there is nobody to tell of the error.
        while let Some(Ok(number)) = numbers.next().await {
            sum += i64::from(number);
        }
        sum
    }

    async fn count(&self, n: u32) -> Streaming<u32> {
        Streaming::from_iter(0..n)
    }

    async fn relay(&self, items: Streaming<String>) -> Streaming<String> {
        let upper = items
            .take_while(|item| std::future::ready(item.is_ok()))
            .filter_map(|item| std::future::ready(item.ok()))
            .map(|item| item.to_uppercase());
        Streaming::new(upper)
    }

    async fn pipe(&self, mut tunnel: Tunnel) -> u64 {
        let mut total = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let len = match tunnel.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(len) => len,
            };
            if tunnel.write_all(&buffer[..len]).await.is_err() {
                break;
            }
            total += len as u64;
        }
        // The peer may have gone; the count is the answer all the same.
        let _ = tunnel.shutdown().await;
        total
    }
}
