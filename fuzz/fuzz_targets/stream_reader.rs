//! Bytes of a socket: frames or a refusal, the same however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_stream::fuzz_bodies::reader(bytes));
