//! Golden vectors: frames as an independent implementation puts them on a stream ([stream.frame],
//! [frame.desc], [frame.inline]).

mod pieces;

use std::fs;
use std::path::Path;

use pieces::{PieceReader, bytes_of, drain, source_over};
use rapace_stream::StreamConfig;
use rapace_transport::LinkError;

/// The hexadecimal lines after the last comment line that starts with `marker`.
fn section(text: &str, marker: &str) -> Option<Vec<u8>> {
    let mut found = None;
    let mut is_inside = false;
    for line in text.lines() {
        if line.starts_with('#') {
            is_inside = line.starts_with(marker);
            if is_inside {
                found = Some(Vec::new());
            }
        } else if is_inside && let Some(bytes) = &mut found {
            bytes.extend(line.split_whitespace().map(|byte| {
                u8::from_str_radix(byte, 16).unwrap_or_else(|err| panic!("{byte:?}: {err}"))
            }));
        }
    }
    found
}

#[test]
fn every_vector_reads_as_its_payload_and_is_written_back_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("the vectors") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a vector");
        let Some(bytes) = section(&text, "# full stream frame") else {
            continue;
        };
        let payload = section(&text, "# payload").expect("a payload section");
        let reader = PieceReader::new(bytes.clone(), Vec::new());
        let (mut frames, end) = drain(&mut *source_over(reader, StreamConfig::default()));
        assert_eq!(end, LinkError::Closed, "{}", path.display());
        assert_eq!(frames.len(), 1, "{}", path.display());
        let frame = frames.remove(0);
        assert_eq!(
            frame.payload.as_slice(),
            Some(&payload[..]),
            "{}",
            path.display()
        );
        assert!(bytes_of([frame]) == bytes, "{}", path.display());
        checked += 1;
    }
    assert_eq!(checked, 35, "vectors with a full stream frame");
}
