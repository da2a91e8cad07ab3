//! How far the stream transport is from the bare socket under it.
//!
//! Ping-pong of small frames, and frames of several lengths one way, over a Unix socket pair, rapace-stream
//! and plain tokio reads and writes alternating, medians of the rounds. The same bytes cross the
//! socket in both.
//!
//! `cargo run --release -p rapace-stream --example floor [ROUNDS [FILTER]]`
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::future::{Future, poll_fn};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::{ChannelId, MethodId};
use rapace_stream::StreamTransport;
use rapace_transport::{FrameSink, FrameSource, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const PINGS: u32 = 20_000;
const SMALL_BYTES: usize = 60;
/// Length prefix, descriptor and payload.
const SMALL_FRAME_BYTES: usize = 1 + 64 + SMALL_BYTES;
/// One way: what a frame carries, and how many bytes a round carries in all.
const ONE_WAY: [(&str, usize, usize); 5] = [
    ("16 B one way, MB/s", 16, 100 << 20),
    ("200 B one way, MB/s", 200, 100 << 20),
    ("4 KiB one way, MB/s", 4 << 10, 200 << 20),
    ("64 KiB one way, MB/s", 64 << 10, 400 << 20),
    ("1 MiB one way, MB/s", 1 << 20, 400 << 20),
];
/// Bare writes and reads are of at most this many bytes at once, unless a frame is longer.
const PIECE_BYTES: usize = 256 << 10;

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(9);
    row(
        "ping-pong, one thread, µs",
        rounds,
        || run(ping_pong_bare(pair())) / f64::from(PINGS) * 1e6,
        || run(ping_pong_frames(pair())) / f64::from(PINGS) * 1e6,
    );
    row(
        "ping-pong, two threads, µs",
        rounds,
        || apart(ping_bare, pong_bare) / f64::from(PINGS) * 1e6,
        || apart(ping_frames, pong_frames) / f64::from(PINGS) * 1e6,
    );
    for (what, len, bytes) in ONE_WAY {
        let count = bytes / (len + 64);
        let total = count * (len + 64);
        let piece = len.max(PIECE_BYTES);
        row(
            what,
            rounds,
            || {
                total as f64
                    / 1e6
                    / apart(
                        |s| read_bare(s, total, piece),
                        |s| write_bare(s, total, piece),
                    )
            },
            || {
                total as f64
                    / 1e6
                    / apart(
                        |s| read_frames(s, count, len),
                        |s| write_frames(s, count, len),
                    )
            },
        );
    }
}

/// Runs both alternately and prints their medians and the ratio, unless the filter leaves it out.
fn row(what: &str, rounds: usize, bare: impl Fn() -> f64, ours: impl Fn() -> f64) {
    if std::env::args()
        .nth(2)
        .is_some_and(|filter| !what.contains(&filter))
    {
        return;
    }
    let mut samples: Vec<(f64, f64)> = (0..rounds).map(|_| (bare(), ours())).collect();
    let mut median = |key: fn(&(f64, f64)) -> f64| {
        samples.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&samples[rounds / 2])
    };
    let (bare, ours, ratio) = (
        median(|sample| sample.0),
        median(|sample| sample.1),
        median(|sample| sample.1 / sample.0),
    );
    println!("{what:34} bare {bare:9.2}   rapace-stream {ours:9.2}   ratio {ratio:.3}");
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime")
        .block_on(work)
}

type Sockets = (
    std::os::unix::net::UnixStream,
    std::os::unix::net::UnixStream,
);

fn pair() -> Sockets {
    let (a, b) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    a.set_nonblocking(true).expect("non-blocking");
    b.set_nonblocking(true).expect("non-blocking");
    (a, b)
}

fn tokio_stream(socket: std::os::unix::net::UnixStream) -> UnixStream {
    UnixStream::from_std(socket).expect("inside a runtime")
}

/// Runs the two ends on a thread each; the seconds that the first one took.
fn apart<A, B>(
    timed: impl FnOnce(UnixStream) -> A,
    other: impl FnOnce(UnixStream) -> B + Send,
) -> f64
where
    A: Future<Output = ()>,
    B: Future<Output = ()>,
{
    let (a, b) = pair();
    thread::scope(|scope| {
        scope.spawn(move || run(async move { other(tokio_stream(b)).await }));
        let begin = Instant::now();
        run(async move { timed(tokio_stream(a)).await });
        begin.elapsed().as_secs_f64()
    })
}

async fn ping_pong_bare((a, b): Sockets) -> f64 {
    let begin = Instant::now();
    tokio::join!(ping_bare(tokio_stream(a)), pong_bare(tokio_stream(b)));
    begin.elapsed().as_secs_f64()
}

async fn ping_pong_frames((a, b): Sockets) -> f64 {
    let begin = Instant::now();
    tokio::join!(ping_frames(tokio_stream(a)), pong_frames(tokio_stream(b)));
    begin.elapsed().as_secs_f64()
}

async fn ping_bare(stream: UnixStream) {
    let (mut reader, mut writer) = stream.into_split();
    let mut bytes = [7; SMALL_FRAME_BYTES];
    for _ in 0..PINGS {
        writer.write_all(&bytes).await.expect("writing");
        reader.read_exact(&mut bytes).await.expect("reading");
    }
}

async fn pong_bare(stream: UnixStream) {
    let (mut reader, mut writer) = stream.into_split();
    let mut bytes = [7; SMALL_FRAME_BYTES];
    for _ in 0..PINGS {
        reader.read_exact(&mut bytes).await.expect("reading");
        writer.write_all(&bytes).await.expect("writing");
    }
}

async fn read_bare(mut stream: UnixStream, total: usize, piece: usize) {
    let mut bytes = vec![0; piece];
    let mut left = total;
    while left > 0 {
        left -= stream.read(&mut bytes).await.expect("reading");
    }
}

async fn write_bare(mut stream: UnixStream, total: usize, piece: usize) {
    let bytes = vec![7; piece];
    let mut left = total;
    while left > 0 {
        let count = left.min(piece);
        stream.write_all(&bytes[..count]).await.expect("writing");
        left -= count;
    }
}

fn halves(stream: UnixStream) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
    let (sink, mut source) = Box::new(StreamTransport::from(stream)).split();
    source.raise_payload_limit(1 << 20);
    (sink, source)
}

async fn feed(sink: &mut dyn FrameSink, payload: Payload) {
    let desc = Descriptor::new(ChannelId(1), MethodId(2), Flags::DATA);
    poll_fn(|cx| sink.poll_ready(cx)).await.expect("sending");
    sink.send(Frame::new(desc, payload));
}

async fn flush(sink: &mut dyn FrameSink) {
    poll_fn(|cx| sink.poll_flush(cx)).await.expect("sending");
}

async fn recv(source: &mut dyn FrameSource) -> Payload {
    let frame = poll_fn(|cx| source.poll_recv(cx)).await;
    frame.expect("receiving").payload
}

async fn ping_frames(stream: UnixStream) {
    let (mut sink, mut source) = halves(stream);
    let payload = Bytes::from(vec![7; SMALL_BYTES]);
    for _ in 0..PINGS {
        feed(&mut *sink, Payload::Bytes(payload.clone())).await;
        flush(&mut *sink).await;
        assert_eq!(recv(&mut *source).await.len(), SMALL_BYTES);
    }
}

async fn pong_frames(stream: UnixStream) {
    let (mut sink, mut source) = halves(stream);
    for _ in 0..PINGS {
        let payload = recv(&mut *source).await;
        feed(&mut *sink, payload).await;
        flush(&mut *sink).await;
    }
}

async fn read_frames(stream: UnixStream, count: usize, len: usize) {
    let (_sink, mut source) = halves(stream);
    for _ in 0..count {
        assert_eq!(recv(&mut *source).await.len(), len);
    }
}

async fn write_frames(stream: UnixStream, count: usize, len: usize) {
    let (mut sink, _source) = halves(stream);
    let payload = Bytes::from(vec![7; len]);
    for _ in 0..count {
        feed(&mut *sink, Payload::from(payload.clone())).await;
    }
    flush(&mut *sink).await;
}
