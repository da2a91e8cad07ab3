//! The conformance suite over every kind of stream.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite measures and bounds real time"
)]

use std::future::Future;
use std::time::{Duration, Instant};

use rapace_stream::{StreamConfig, StreamTransport};
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

fn config_for(config: PairConfig) -> StreamConfig {
    if config.small_buffers {
        StreamConfig {
            queue_bytes_max: 0,
            read_bytes_min: 256,
            read_bytes_max: 512,
            ..StreamConfig::default()
        }
    } else {
        StreamConfig::default()
    }
}

fn boxed(a: StreamTransport, b: StreamTransport, config: PairConfig) -> Pair {
    (
        Box::new(a.with_config(config_for(config))),
        Box::new(b.with_config(config_for(config))),
    )
}

mod duplex {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        let (a, b) = tokio::io::duplex(if config.small_buffers { 7 } else { 4_096 });
        boxed(StreamTransport::new(a), StreamTransport::new(b), config)
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}

#[cfg(all(unix, feature = "net"))]
mod unix {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        let (a, b) = tokio::net::UnixStream::pair().expect("a socket pair");
        boxed(a.into(), b.into(), config)
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}

#[cfg(feature = "net")]
mod tcp {
    use super::*;

    async fn pair(config: PairConfig) -> Pair {
        let listener = rapace_stream::Listener::bind("tcp:127.0.0.1:0")
            .await
            .expect("a listener");
        let address = listener.local_addr().to_string();
        let (a, b) =
            futures_util::future::join(rapace_stream::connect(&address), listener.accept()).await;
        boxed(a.expect("connecting"), b.expect("accepting"), config)
    }

    rapace_transport::conformance_suite!(run: run, pair: pair);
}
