//! The in-process link between two threads: nothing is lost, reordered or left asleep.

use std::thread;

use rapace_mem::{MemConfig, MemTransport, pair_with};
use rapace_transport::conformance::traffic::{check, close, feed, flush, frame, recv};
use rapace_transport::{LinkError, Transport};

const FRAMES: u64 = 30_000;

fn len_of(number: u64) -> usize {
    (number as usize * 37) % 90
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(work);
}

/// Sends its frames in bursts of varying length while it receives the other side's.
fn exchange(transport: MemTransport) {
    let (mut sink, mut source) = Box::new(transport).split();
    run(async {
        let send = async {
            for number in 0..FRAMES {
                feed(&mut *sink, frame(number, len_of(number)))
                    .await
                    .expect("sending");
                // Nothing is flushed after the last frame: the peer may have closed by then.
                if number % 11 < 3 || number == FRAMES - 1 {
                    flush(&mut *sink).await.expect("flushing");
                }
            }
        };
        let receive = async {
            for number in 0..FRAMES {
                let got = recv(&mut *source).await.expect("receiving");
                check(&got, number, len_of(number));
            }
        };
        futures_util::future::join(send, receive).await;
        // Both sides have everything; whoever closes first ends the other's link, too.
        close(&mut *sink).await.expect("closing");
        let err = recv(&mut *source).await.expect_err("closed");
        assert_eq!(err, LinkError::Closed);
    });
}

#[test]
fn two_threads_exchange_frames_through_queues_of_every_size() {
    for (queue_frames_max, queue_bytes_max) in [(1, 1), (2, 100), (7, 10_000), (1_024, 4 << 20)] {
        let (a, b) = pair_with(MemConfig {
            queue_frames_max,
            queue_bytes_max,
        });
        thread::scope(|scope| {
            scope.spawn(|| exchange(a));
            scope.spawn(|| exchange(b));
        });
    }
}
