//! Frames after a good handshake: whatever they are, the session answers and forgets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_core::fuzz_bodies::receive(bytes));
