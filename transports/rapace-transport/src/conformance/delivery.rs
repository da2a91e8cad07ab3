//! What arrives is what was sent.

use bytes::Bytes;
use futures_util::future::{join, join4};
use std::future::poll_fn;

use crate::Room;
use rapace_core::frame::{Frame, Payload};

use super::traffic::{check, descriptor, flush, frame, pattern, recv, recv_all, send, send_all};
use super::{Pair, PairConfig};

/// The lengths at which framings change: around the inline limit, the one-byte and two-byte
/// varint, 4 KiB, 64 KiB and 1 MiB.
const LENGTHS: [usize; 23] = [
    0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 4_095, 4_096, 16_255, 16_383, 16_384, 16_385, 32_767,
    32_768, 65_535, 65_536, 65_537, 262_145, 1_048_576,
];

/// Frames arrive in the order of sending, whatever their lengths.
pub async fn order_is_kept(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    let len_of = |number: u64| match number % 7 {
        0 => 0,
        1 => 16,
        2 => 17,
        3 => 300,
        4 => 5,
        5 => 20_000,
        _ => 1_024,
    };
    join(
        send_all(&mut *sink, 0..5_000, len_of),
        recv_all(&mut *source, 0..5_000, len_of),
    )
    .await;
}

async fn every_length(pair: impl AsyncFn(PairConfig) -> Pair, config: PairConfig) {
    let (a, b) = pair(config).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    source.raise_payload_limit(2 << 20);
    // Twice, so that the second round meets buffers that the first has grown.
    let rounds = LENGTHS.len() as u64 * 2;
    let len_of = |number: u64| LENGTHS[number as usize % LENGTHS.len()];
    join(
        send_all(&mut *sink, 0..rounds, len_of),
        recv_all(&mut *source, 0..rounds, len_of),
    )
    .await;
}

/// Payloads of every length at which a framing changes arrive whole.
pub async fn every_payload_size_arrives_whole(pair: impl AsyncFn(PairConfig) -> Pair) {
    every_length(pair, PairConfig::USUAL).await;
}

/// The same with buffers so small that most frames are split.
pub async fn every_payload_size_arrives_whole_through_small_buffers(
    pair: impl AsyncFn(PairConfig) -> Pair,
) {
    every_length(pair, PairConfig::SMALL).await;
}

/// No ceiling at 16 MB once the limit has been raised.
pub async fn row_17_a_payload_of_17_mib_arrives(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    source.raise_payload_limit(64 << 20);
    let len_of = |number: u64| if number == 1 { 17 << 20 } else { 40 };
    join(
        send_all(&mut *sink, 0..3, len_of),
        recv_all(&mut *source, 0..3, len_of),
    )
    .await;
}

/// Payloads of 0 to 16 bytes arrive by value with an inline slot, longer ones do not, however the
/// sender held them (\[frame.inline\]).
pub async fn short_payloads_are_inline(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    for len in 0..=18_usize {
        let number = len as u64;
        let bytes = pattern(number, len);
        let (head, tail) = (bytes.slice(..len / 2), bytes.slice(len / 2..));
        for payload in [
            Payload::from(bytes.clone()),
            Payload::Bytes(bytes.clone()),
            Payload::Chain(vec![head, tail]),
        ] {
            let got = join(
                send(&mut *sink, Frame::new(descriptor(number), payload)),
                recv(&mut *source),
            )
            .await;
            got.0.expect("sending");
            check(&got.1.expect("receiving"), number, len);
        }
    }
}

/// Every field that the sender chooses arrives, unknown flag bits included.
pub async fn descriptors_arrive_unchanged(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    for number in [0, 1, 0xFFFF_FFFF, u64::MAX] {
        for len in [3, 30] {
            let (sent, got) = join(send(&mut *sink, frame(number, len)), recv(&mut *source)).await;
            sent.expect("sending");
            check(&got.expect("receiving"), number, len);
        }
    }
}

/// A payload in several runs arrives as their concatenation in one run.
pub async fn chains_arrive_as_one_run(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let gather = a.info().gather_bytes_min.min(1 << 20);
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    source.raise_payload_limit(8 << 20);
    let cuts: [&[usize]; 9] = [
        &[],
        &[0, 0],
        &[1, 2],
        &[10, 0, 10],
        &[gather, 1],
        &[1, gather],
        &[gather - 1, gather, gather + 1],
        &[5, gather, 5, gather, 5],
        &[200, 100_000, 1, 16],
    ];
    for (number, cut) in (0..).zip(cuts) {
        let len = cut.iter().sum();
        let mut rest = pattern(number, len);
        let chain: Vec<Bytes> = cut.iter().map(|run| rest.split_to(*run)).collect();
        let whole = Frame::new(descriptor(number), Payload::Chain(chain));
        let (sent, got) = join(send(&mut *sink, whole), recv(&mut *source)).await;
        sent.expect("sending");
        check(&got.expect("receiving"), number, len);
    }
}

/// A transport that lends gives exactly the asked length, and carries what was written there:
/// lent, frozen, and as a run between others.
pub async fn loans_arrive_like_other_payloads(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let lender = a.lender();
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    let Some(lender) = lender else { return };
    source.raise_payload_limit(1 << 20);
    let mut number = 0;
    for len in [0, 1, 16, 17, 1_000, 65_536] {
        for room in [
            Room::exact(len),
            Room {
                head: 9,
                len,
                tail: 7,
            },
        ] {
            for form in 0..4 {
                let mut loan = poll_fn(|cx| lender.poll_loan(cx, room))
                    .await
                    .expect("a loan");
                assert_eq!(loan.0.as_mut_slice().len(), len, "length of the loan");
                // The frame is `head` bytes of something else, the loan, and `tail` bytes.
                let (head, tail) = match form {
                    0 | 1 => (0, 0),
                    2 => (9, 7),
                    _ => (40, 300),
                };
                let whole = pattern(number, head + len + tail);
                let lent = &whole[head..head + len];
                loan.0.as_mut_slice().copy_from_slice(lent);
                assert_eq!(loan.0.as_slice(), lent, "what was written can be read");
                let payload = match form {
                    0 => Payload::Loan(loan),
                    1 => Payload::Bytes(loan.freeze()),
                    _ => Payload::Chain(vec![
                        whole.slice(..head),
                        loan.freeze(),
                        whole.slice(head + len..),
                    ]),
                };
                let frame = Frame::new(descriptor(number), payload);
                let (sent, got) = join(send(&mut *sink, frame), recv(&mut *source)).await;
                sent.expect("sending");
                check(&got.expect("receiving"), number, whole.len());
                number += 1;
                // A loan that is dropped unsent leaves no trace.
                drop(
                    poll_fn(|cx| lender.poll_loan(cx, room))
                        .await
                        .expect("a loan"),
                );
            }
        }
    }
    // One frozen loan in several frames, and read here as long as it is held.
    let mut loan = lender
        .try_loan(Room {
            head: 4,
            len: 5_000,
            tail: 0,
        })
        .expect("a loan");
    let whole = pattern(number, 5_004);
    loan.0.as_mut_slice().copy_from_slice(&whole[4..]);
    let frozen = loan.freeze();
    assert!(lender.owns(&frozen), "a frozen loan is known again");
    assert!(lender.owns(&frozen[7..20]), "so is a part of it");
    assert!(!lender.owns(&whole), "other memory is not");
    for _ in 0..3 {
        let chain = Payload::Chain(vec![whole.slice(..4), frozen.clone()]);
        let frame = Frame::new(descriptor(number), chain);
        let (sent, got) = join(send(&mut *sink, frame), recv(&mut *source)).await;
        sent.expect("sending");
        check(&got.expect("receiving"), number, whole.len());
        assert_eq!(frozen, whole[4..], "the frozen loan keeps its content");
    }
    flush(&mut *sink).await.expect("flushing");
}

/// Both directions carry frames at the same time, and neither waits for the other.
pub async fn both_directions_at_once(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::SMALL).await;
    let ((mut a_sink, mut a_source), (mut b_sink, mut b_source)) = (a.split(), b.split());
    a_source.raise_payload_limit(1 << 20);
    b_source.raise_payload_limit(1 << 20);
    let there = |number: u64| (number as usize * 7_919) % 90_000;
    let back = |number: u64| (number as usize * 104_729) % 130_000;
    join4(
        send_all(&mut *a_sink, 0..150, there),
        recv_all(&mut *b_source, 0..150, there),
        send_all(&mut *b_sink, 0..150, back),
        recv_all(&mut *a_source, 0..150, back),
    )
    .await;
}

/// Received payloads stay valid and unchanged while later frames arrive and after the link is
/// gone.
pub async fn payloads_outlive_the_link(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, keep), (keep_too, mut source)) = (a.split(), b.split());
    let len_of = |number: u64| [17, 600, 5_000, 50_000][number as usize % 4];
    let receive = async {
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(recv(&mut *source).await.expect("receiving"));
        }
        held
    };
    let ((), held) = join(send_all(&mut *sink, 0..40, len_of), receive).await;
    drop((sink, keep, keep_too, source));
    for (number, frame) in (0..).zip(&held) {
        check(frame, number, len_of(number));
    }
}
