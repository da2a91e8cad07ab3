//! What a link holds in memory, seen from outside: the resident set of this process.
#![cfg(target_os = "linux")]

mod pieces;

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use pieces::{cx, feed, flush};
use rapace_core::frame::{Frame, Payload};
use rapace_stream::StreamTransport;
use rapace_transport::conformance::traffic::{descriptor, frame};
use rapace_transport::{FrameSink, FrameSource, Transport};

/// One test at a time: they all watch the same number.
static TURN: Mutex<()> = Mutex::new(());

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = statm.split_whitespace().nth(1).expect("a second field");
    pages.parse::<usize>().expect("a number") * 4_096
}

fn link() -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
    let (a, b) = tokio::io::duplex(1 << 20);
    let (sink, _) = Box::new(StreamTransport::from_halves(tokio::io::empty(), a)).split();
    let (_, mut source) = Box::new(StreamTransport::from_halves(b, tokio::io::sink())).split();
    source.raise_payload_limit(64 << 20);
    (sink, source)
}

fn pass(sink: &mut dyn FrameSink, source: &mut dyn FrameSource, frame: Frame) -> Frame {
    feed(sink, frame);
    loop {
        let _ = sink.poll_flush(&mut cx());
        if let Poll::Ready(got) = source.poll_recv(&mut cx()) {
            flush(sink);
            return got.expect("receiving");
        }
    }
}

#[test]
fn kept_payloads_keep_at_most_a_known_multiple_of_themselves() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut sink, mut source) = link();
    let filler = Bytes::from(vec![1; 20_000]);
    let mut kept = Vec::new();
    let before = resident_bytes();
    for number in 0..2_000 {
        // Enough traffic between two kept payloads that each lies in another read buffer.
        for _ in 0..4 {
            let filler = Frame::new(descriptor(0), Payload::Bytes(filler.clone()));
            pass(&mut *sink, &mut *source, filler);
        }
        kept.push(pass(&mut *sink, &mut *source, frame(number, 100)));
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 30 << 20,
        "2,000 payloads of 100 bytes keep {grown} bytes alive"
    );
    drop(kept);
}

#[test]
fn a_million_frames_leave_nothing_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut sink, mut source) = link();
    let payload = Bytes::from(vec![1; 1 << 20]);
    let mut round = |frames: u64| {
        for number in 0..frames {
            let len = match number % 1_000 {
                0 => 1 << 20,
                1..20 => 40_000,
                20..100 => 3_000,
                _ => (number % 200) as usize,
            };
            let frame = Frame::new(descriptor(number), Payload::from(payload.slice(..len)));
            let got = pass(&mut *sink, &mut *source, frame);
            assert_eq!(got.payload.len(), len);
        }
    };
    round(20_000);
    let before = resident_bytes();
    round(1_000_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "a million frames left {grown} bytes");
}
