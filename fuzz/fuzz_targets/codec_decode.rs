//! Bytes as values, as schemas and as JSON. The first byte chooses which.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_codec::fuzz_bodies::any(bytes));
