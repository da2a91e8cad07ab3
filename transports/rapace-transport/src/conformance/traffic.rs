//! Frames whose content can be checked, and the futures that carry them over a link.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use rapace_core::frame::{Descriptor, Flags, Frame, INLINE_LEN, Payload, SLOT_INLINE};
use rapace_core::{ChannelId, MethodId};

use crate::{FrameSink, FrameSource, LinkError};

/// Waits until the sink takes a frame, hands it over and flushes.
///
/// Dropping this future either leaves the frame unsent or leaves the sink to finish it.
pub async fn send(sink: &mut dyn FrameSink, frame: Frame) -> Result<(), LinkError> {
    feed(sink, frame).await?;
    flush(sink).await
}

/// Waits until the sink takes a frame and hands it over, without flushing.
pub async fn feed(sink: &mut dyn FrameSink, frame: Frame) -> Result<(), LinkError> {
    poll_fn(|cx| sink.poll_ready(cx)).await?;
    sink.send(frame);
    Ok(())
}

/// Writes out everything that was handed over.
pub async fn flush(sink: &mut dyn FrameSink) -> Result<(), LinkError> {
    poll_fn(|cx| sink.poll_flush(cx)).await
}

/// Flushes and closes.
pub async fn close(sink: &mut dyn FrameSink) -> Result<(), LinkError> {
    poll_fn(|cx| sink.poll_close(cx)).await
}

/// The next frame.
pub async fn recv(source: &mut dyn FrameSource) -> Result<Frame, LinkError> {
    poll_fn(|cx| source.poll_recv(cx)).await
}

/// Lets other tasks and the runtime run once.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The period of the payload pattern, in bytes; prime, so that no power of two hides a shift.
const PATTERN_LEN: usize = 65_521;

/// `len` bytes that begin elsewhere in the pattern for every frame number.
pub fn pattern(number: u64, len: usize) -> Bytes {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..PATTERN_LEN).map(|_| next()).collect()
    });
    let mut at = (number as usize).wrapping_mul(7_919) % PATTERN_LEN;
    let mut bytes = BytesMut::with_capacity(len);
    while bytes.len() < len {
        let run = (PATTERN_LEN - at).min(len - bytes.len());
        bytes.extend_from_slice(&pattern[at..at + run]);
        at = 0;
    }
    bytes.freeze()
}

/// A descriptor with a value in every field that the sender chooses.
pub fn descriptor(number: u64) -> Descriptor {
    let mut desc = Descriptor::new(
        ChannelId(number as u32 | 1),
        MethodId(0xA1B2_0000 ^ number as u32),
        // Bit 31 is one that nobody knows; transports carry it all the same.
        Flags::DATA | Flags::EOS | Flags(0x8000_0000),
    );
    desc.msg_id = number;
    desc.credit_grant = number as u32 ^ 0xFFFF;
    desc.deadline_ns = number.wrapping_mul(1_000_003);
    desc
}

/// Frame `number` with a payload of `len` bytes in one run.
pub fn frame(number: u64, len: usize) -> Frame {
    Frame::new(descriptor(number), Payload::from(pattern(number, len)))
}

/// Panics unless `got` is frame `number` with `len` bytes, whole and in the form that receivers
/// are promised.
pub fn check(got: &Frame, number: u64, len: usize) {
    assert_eq!(
        got.desc.msg_id, number,
        "frame {number} was expected next, frame {} came",
        got.desc.msg_id
    );
    let sent = descriptor(number);
    assert_eq!(got.desc.channel_id, sent.channel_id, "frame {number}");
    assert_eq!(got.desc.method_id, sent.method_id, "frame {number}");
    assert_eq!(got.desc.flags, sent.flags, "frame {number}");
    assert_eq!(got.desc.credit_grant, sent.credit_grant, "frame {number}");
    assert_eq!(got.desc.deadline_ns, sent.deadline_ns, "frame {number}");
    assert_eq!(
        got.desc.payload_len as usize, len,
        "frame {number}: payload_len"
    );
    let bytes = match &got.payload {
        Payload::Inline(inline) => inline.as_slice(),
        Payload::Bytes(bytes) => &bytes[..],
        other => panic!("frame {number}: a receiver was handed {other:?}"),
    };
    assert_eq!(bytes.len(), len, "frame {number}: length of the payload");
    assert!(
        bytes == pattern(number, len),
        "frame {number}: the {len} payload bytes are not those that were sent"
    );
    let is_inline = matches!(got.payload, Payload::Inline(_));
    assert_eq!(
        is_inline,
        len <= INLINE_LEN,
        "frame {number}: payloads of 16 bytes or less are handed over by value, others are not"
    );
    assert_eq!(
        got.desc.payload_slot == SLOT_INLINE,
        len <= INLINE_LEN,
        "frame {number}: payload_slot of {len} bytes ([frame.inline])"
    );
    if len <= INLINE_LEN {
        let mut padded = [0; INLINE_LEN];
        padded[..len].copy_from_slice(bytes);
        assert_eq!(
            got.desc.inline_payload, padded,
            "frame {number}: inline_payload is the payload and zeros ([frame.inline])"
        );
    }
}

/// Receives frames `numbers`, each with the length that `len_of` says.
pub async fn recv_all(
    source: &mut dyn FrameSource,
    numbers: std::ops::Range<u64>,
    len_of: impl Fn(u64) -> usize,
) {
    for number in numbers {
        match recv(source).await {
            Ok(frame) => check(&frame, number, len_of(number)),
            Err(err) => panic!("frame {number} was expected, the link ended: {err}"),
        }
    }
}

/// Sends frames `numbers` without waiting for each to be flushed, then flushes.
pub async fn send_all(
    sink: &mut dyn FrameSink,
    numbers: std::ops::Range<u64>,
    len_of: impl Fn(u64) -> usize,
) {
    for number in numbers {
        feed(sink, frame(number, len_of(number)))
            .await
            .unwrap_or_else(|err| panic!("sending frame {number}: {err}"));
    }
    flush(sink)
        .await
        .unwrap_or_else(|err| panic!("flushing: {err}"));
}
