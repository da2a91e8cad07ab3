//! The fuzz body over streams that are valid, nearly valid, and noise.

mod pieces;

use pieces::bytes_of;
use proptest::prelude::*;
use rapace_stream::fuzz_bodies::reader;
use rapace_transport::conformance::traffic::frame;

fn valid(lengths: &[usize]) -> Vec<u8> {
    bytes_of((0..).zip(lengths).map(|(number, len)| frame(number, *len)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn reader_takes_noise(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        reader(&bytes);
    }

    #[test]
    fn reader_takes_frames_with_bytes_changed_and_cut(
        choice: u8,
        lengths in prop::collection::vec(prop_oneof![0_usize..80, 200_usize..3_000], 1..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = valid(&lengths);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.insert(0, choice);
        reader(&bytes);
    }
}

#[test]
fn reader_takes_the_corpus() {
    for bytes in [
        &[][..],
        &[0],
        &[
            0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
        ],
        &[0x1F, 0x80, 0x80, 0x80],
        &[0x00, 0x3F],
    ] {
        reader(bytes);
    }
}
