//! The conformance suite over real memory files, eventfds and sockets.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite measures and bounds real time"
)]
#![cfg(unix)]

use std::future::Future;
use std::time::{Duration, Instant};

use rapace_shm::{ShmConfig, Spin, os};
use rapace_transport::conformance::{Pair, PairConfig};

/// Runs a case with a time limit. One that ends only because the timer made it look again has
/// lost a wake-up.
fn run(case: impl Future<Output = ()>) {
    const LIMIT: Duration = Duration::from_mins(1);
    let begin = Instant::now();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(LIMIT, case).await })
        .expect("the case ends in time");
    assert!(begin.elapsed() < LIMIT, "a wake-up was lost");
}

async fn pair_of(config: ShmConfig) -> Pair {
    let (a, b) = os::pair(config).await.expect("a pair");
    (Box::new(a), Box::new(b))
}

fn config_for(config: PairConfig) -> ShmConfig {
    if config.small_buffers {
        ShmConfig {
            ring_frames: 2,
            slots_max: 2,
            lane_bytes_max: 8 << 20,
            borrow_bytes_max: 64 << 10,
            ..ShmConfig::default()
        }
    } else {
        ShmConfig::default()
    }
}

mod adaptive {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        pair_of(config_for(config)).await
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}

mod parking {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        pair_of(ShmConfig {
            spin: Spin::Never,
            ..config_for(config)
        })
        .await
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}

mod copying {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        pair_of(ShmConfig {
            copy_payloads: true,
            ..config_for(config)
        })
        .await
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}
