//! Partial reads and writes at every byte boundary.

mod pieces;

use bytes::Bytes;
use pieces::{PieceReader, PieceWriter, bytes_of, drain, feed, flush, sink_over, source_over};
use proptest::prelude::*;
use rapace_core::frame::{Frame, Payload};
use rapace_stream::StreamConfig;
use rapace_transport::conformance::traffic::{check, descriptor, frame, pattern};
use rapace_transport::{Death, LinkError};

/// Three frames: inline, in the read buffer, and longer than what is gathered or read apart in
/// the small configuration.
const LENGTHS: [usize; 3] = [9, 40, 150];

/// Bounds so low that a frame of 150 bytes takes the path of a large payload.
fn small() -> StreamConfig {
    StreamConfig {
        queue_bytes_max: 1,
        gather_bytes_min: 64,
        read_bytes_min: 256,
        read_bytes_max: 256,
        large_bytes_min: 64,
        ..StreamConfig::default()
    }
}

fn three() -> Vec<u8> {
    bytes_of((0..).zip(LENGTHS).map(|(number, len)| frame(number, len)))
}

fn check_three(frames: &[Frame]) {
    assert_eq!(frames.len(), LENGTHS.len());
    for (number, len) in (0..).zip(LENGTHS) {
        check(&frames[number as usize], number, len);
    }
}

#[test]
fn three_frames_survive_reads_split_at_every_two_places() {
    let bytes = three();
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            for config in [StreamConfig::default(), small()] {
                let reader = PieceReader::new(bytes.clone(), vec![first, second]);
                let (frames, end) = drain(&mut *source_over(reader, config));
                check_three(&frames);
                assert_eq!(end, LinkError::Closed);
            }
        }
    }
}

#[test]
fn three_frames_survive_reads_of_every_size() {
    let bytes = three();
    for size in 1..=bytes.len() {
        for config in [StreamConfig::default(), small()] {
            let cuts = (0..bytes.len()).step_by(size).skip(1).collect();
            let reader = PieceReader::new(bytes.clone(), cuts);
            let (frames, end) = drain(&mut *source_over(reader, config));
            check_three(&frames);
            assert_eq!(end, LinkError::Closed);
        }
    }
}

#[test]
fn an_end_inside_a_frame_is_a_dead_peer_at_every_byte() {
    let bytes = three();
    let ends: Vec<usize> = LENGTHS
        .iter()
        .scan(0, |at, len| {
            *at += bytes_of([frame(0, *len)]).len();
            Some(*at)
        })
        .collect();
    for cut in 0..=bytes.len() {
        for config in [StreamConfig::default(), small()] {
            let reader = PieceReader::new(bytes[..cut].to_vec(), Vec::new());
            let (frames, end) = drain(&mut *source_over(reader, config));
            assert_eq!(frames.len(), ends.iter().filter(|end| **end <= cut).count());
            if cut == 0 || ends.contains(&cut) {
                assert_eq!(end, LinkError::Closed, "cut at {cut}");
            } else {
                let dead = LinkError::PeerDied(Death::seen("connection ended inside a frame"));
                assert_eq!(end, dead, "cut at {cut}");
            }
        }
    }
}

#[test]
fn three_frames_survive_writes_split_at_every_two_places() {
    let bytes = three();
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            for is_vectored in [false, true] {
                let writer = PieceWriter::new(vec![first, second], is_vectored);
                let mut sink = sink_over(
                    &writer,
                    StreamConfig {
                        queue_bytes_max: 1 << 20,
                        ..small()
                    },
                );
                for (number, len) in (0..).zip(LENGTHS) {
                    feed(&mut *sink, frame(number, len));
                }
                flush(&mut *sink);
                assert!(writer.written() == bytes, "cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn three_frames_survive_writes_of_every_size() {
    let bytes = three();
    for size in 1..=bytes.len() {
        for (is_vectored, config) in [
            (false, small()),
            (true, small()),
            (true, StreamConfig::default()),
        ] {
            let cuts = (0..bytes.len()).step_by(size).skip(1).collect();
            let writer = PieceWriter::new(cuts, is_vectored);
            let mut sink = sink_over(&writer, config);
            for (number, len) in (0..).zip(LENGTHS) {
                feed(&mut *sink, frame(number, len));
            }
            flush(&mut *sink);
            assert!(writer.written() == bytes, "writes of {size} bytes");
        }
    }
}

#[test]
fn more_large_runs_than_one_write_takes_are_all_written() {
    let runs: Vec<Bytes> = (0..500).map(|number| pattern(number, 70)).collect();
    let whole: Vec<u8> = runs.concat();
    let chain = Frame::new(descriptor(7), Payload::Chain(runs));
    for is_vectored in [false, true] {
        let writer = PieceWriter::new(vec![1_000, 1_001, 20_000], is_vectored);
        let mut sink = sink_over(&writer, small());
        feed(
            &mut *sink,
            Frame::new(chain.desc, Payload::Chain(vec![Bytes::from(whole.clone())])),
        );
        feed(&mut *sink, frame(8, 30));
        flush(&mut *sink);
        let reader = PieceReader::new(writer.written(), Vec::new());
        let (frames, end) = drain(&mut *source_over(reader, StreamConfig::default()));
        assert_eq!(end, LinkError::Closed);
        assert_eq!(frames[0].payload.as_slice(), Some(&whole[..]));
        check(&frames[1], 8, 30);
    }
    let writer = PieceWriter::new(vec![1_000, 1_001, 20_000], true);
    let mut sink = sink_over(&writer, small());
    feed(&mut *sink, chain);
    flush(&mut *sink);
    assert!(writer.written().ends_with(&whole));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any frames, written in any pieces and read in any other pieces through any buffers,
    /// arrive as they were.
    #[test]
    fn frames_survive_any_pieces(
        lengths in prop::collection::vec(
            prop_oneof![0_usize..40, 40_usize..400, 400_usize..60_000],
            1..12,
        ),
        write_cuts in prop::collection::vec(0_usize..200_000, 0..40),
        read_cuts in prop::collection::vec(0_usize..200_000, 0..40),
        is_vectored: bool,
        small_write: bool,
        small_read: bool,
    ) {
        let config = |is_small| if is_small { small() } else { StreamConfig::default() };
        let sorted = |mut cuts: Vec<usize>| { cuts.sort_unstable(); cuts };
        let writer = PieceWriter::new(sorted(write_cuts), is_vectored);
        let mut sink = sink_over(&writer, config(small_write));
        for (number, len) in (0..).zip(&lengths) {
            feed(&mut *sink, frame(number, *len));
        }
        flush(&mut *sink);
        let reader = PieceReader::new(writer.written(), sorted(read_cuts));
        let (frames, end) = drain(&mut *source_over(reader, config(small_read)));
        prop_assert_eq!(end, LinkError::Closed);
        prop_assert_eq!(frames.len(), lengths.len());
        for (number, len) in (0..).zip(&lengths) {
            check(&frames[number as usize], number, *len);
        }
    }
}
