//! The conformance suite over lanes without an operating system: in place, and staged.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite measures and bounds real time"
)]

mod local;

use std::future::Future;
use std::time::{Duration, Instant};

use rapace_shm::{ShmConfig, Spin};
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

fn config_for(config: PairConfig) -> ShmConfig {
    let usual = ShmConfig {
        spin: Spin::Never,
        ..ShmConfig::default()
    };
    if config.small_buffers {
        ShmConfig {
            ring_frames: 2,
            slots_max: 2,
            lane_bytes_max: 8 << 20,
            borrow_bytes_max: 64 << 10,
            ..usual
        }
    } else {
        usual
    }
}

async fn pair<const IN_PLACE: bool>(config: PairConfig) -> Pair {
    let config = config_for(config);
    let (a, b, _) = local::pair::<IN_PLACE>([config.clone(), config]);
    (Box::new(a), Box::new(b))
}

mod in_place {
    rapace_transport::conformance_suite!(run: super::run, pair: super::pair::<true>);
}

mod staged {
    rapace_transport::conformance_suite!(run: super::run, pair: super::pair::<false>);
}
