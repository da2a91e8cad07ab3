//! The body of the fuzz target `stream_reader`, an ordinary function so that stable `cargo test`
//! can replay a corpus.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rapace_core::frame::{INLINE_LEN, Payload};
use rapace_transport::{LinkError, Transport};
use tokio::io::{AsyncRead, ReadBuf};

use crate::{StreamConfig, StreamTransport};

/// Yields its bytes in pieces of at most `piece` bytes, with a Pending before each.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    is_pending_next: bool,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.is_pending_next = !self.is_pending_next;
        if self.is_pending_next {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.bytes.len() - self.at;
        let count = left.min(self.piece).min(buf.remaining());
        buf.put_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

/// What a receiver makes of the bytes: message ids and payloads, and the end.
type Reading = (Vec<(u64, Vec<u8>)>, LinkError);

fn read(bytes: &[u8], piece: usize, limit: u32, config: StreamConfig) -> Reading {
    let reader = Pieces {
        bytes: bytes.to_vec(),
        at: 0,
        piece,
        is_pending_next: false,
    };
    let transport = StreamTransport::from_halves(reader, tokio::io::sink()).with_config(config);
    let (_sink, mut source) = Box::new(transport).split();
    source.raise_payload_limit(limit);
    let mut cx = Context::from_waker(Waker::noop());
    let mut frames = Vec::new();
    let mut payload_bytes = 0;
    loop {
        match source.poll_recv(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(Err(err)) => return (frames, err),
            Poll::Ready(Ok(frame)) => {
                let len = frame.payload.len();
                assert_eq!(frame.desc.payload_len as usize, len);
                assert_eq!(
                    matches!(frame.payload, Payload::Inline(_)),
                    len <= INLINE_LEN
                );
                payload_bytes += len;
                assert!(payload_bytes <= bytes.len(), "more payload than input");
                let payload = frame.payload.into_bytes();
                frames.push((frame.desc.msg_id, payload.to_vec()));
            }
        }
    }
}

/// Feeds arbitrary bytes to the receiving half. Panics when it panics, when a frame is not well
/// formed, or when the same bytes read differently in pieces and through other buffers.
pub fn reader(bytes: &[u8]) {
    let Some((choice, stream)) = bytes.split_first() else {
        return;
    };
    let limit = 1 << (10 + u32::from(choice % 16));
    let whole = read(stream, usize::MAX, limit, StreamConfig::default());
    let small = StreamConfig {
        read_bytes_min: 256,
        read_bytes_max: 512,
        large_bytes_min: 64,
        ..StreamConfig::default()
    };
    for piece in [1 + usize::from(choice / 16), 255] {
        for config in [StreamConfig::default(), small.clone()] {
            assert_eq!(
                read(stream, piece, limit, config),
                whole,
                "the same bytes read differently in pieces of {piece}"
            );
        }
    }
}
