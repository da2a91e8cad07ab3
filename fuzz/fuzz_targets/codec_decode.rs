//! Bytes as values, as schemas and as JSON. The first byte chooses which.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice % 4 {
        0 => rapace_codec::fuzz_bodies::schema(rest),
        1 => rapace_codec::fuzz_bodies::json(rest),
        _ => rapace_codec::fuzz_bodies::decode(rest),
    }
});
