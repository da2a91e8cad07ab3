//! The conformance suite over in-process pairs.

use std::future::Future;
use std::time::Duration;

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

fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(async {
            tokio::time::timeout(Duration::from_mins(1), case)
                .await
                .expect("the case ended in time; a wake-up was lost");
        });
}

rapace_transport::conformance_suite!(run: run, pair: pair);
