//! What one frame costs on the in-process link, one at a time and in batches, on one thread.
//!
//! `cargo run --release -p rapace-mem --example frame_cost [BATCH…]`
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::{ChannelId, MethodId};
use rapace_transport::Transport;

const FRAMES: u32 = 4_000_000;

fn main() {
    let mut batches: Vec<u32> = std::env::args()
        .skip(1)
        .map(|batch| batch.parse().expect("a batch is a number of frames"))
        .collect();
    if batches.is_empty() {
        batches = vec![1, 16, 256];
    }
    for batch in batches {
        let (a, b) = rapace_mem::pair();
        let ((mut sink, _a), (_b, mut source)) = (Box::new(a).split(), Box::new(b).split());
        let mut cx = Context::from_waker(Waker::noop());
        let desc = Descriptor::new(ChannelId(1), MethodId(2), Flags::DATA);
        let mut best_ns = f64::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            for _ in 0..FRAMES / batch {
                for _ in 0..batch {
                    assert!(sink.poll_ready(&mut cx).is_ready());
                    sink.send(Frame::new(desc, black_box(Payload::EMPTY)));
                }
                assert!(sink.poll_flush(&mut cx).is_ready());
                for _ in 0..batch {
                    let Poll::Ready(Ok(frame)) = source.poll_recv(&mut cx) else {
                        panic!("a frame was flushed");
                    };
                    black_box(frame);
                }
                // The receiver looks again and waits, as a driver does.
                assert!(source.poll_recv(&mut cx).is_pending());
            }
            let frames = f64::from(FRAMES / batch * batch);
            best_ns = best_ns.min(begin.elapsed().as_secs_f64() * 1e9 / frames);
        }
        println!("batches of {batch:3}: {best_ns:5.1} ns a frame, send and receive");
    }
}
