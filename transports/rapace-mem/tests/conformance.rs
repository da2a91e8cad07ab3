//! The conformance suite over in-process pairs.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite measures and bounds real time"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use rapace_mem::{MemConfig, pair_with};
use rapace_transport::conformance::{Pair, PairConfig};

async fn pair(config: PairConfig) -> Pair {
    let (a, b) = pair_with(if config.small_buffers {
        MemConfig {
            queue_frames_max: 1,
            queue_bytes_max: 1,
        }
    } else {
        MemConfig::default()
    });
    (Box::new(a), Box::new(b))
}

/// Runs a case with a time limit. One that ends only because the timer made it look again has
/// lost a wake-up.
fn run(case: impl Future<Output = ()>) {
    const LIMIT: Duration = Duration::from_mins(1);
    let begin = Instant::now();
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(LIMIT, case).await })
        .expect("the case ends in time");
    assert!(begin.elapsed() < LIMIT, "a wake-up was lost");
}

rapace_transport::conformance_suite!(run: run, pair: pair);
