//! The first frame of a peer, and every other message.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    rapace_core::fuzz_bodies::hello(bytes);
    rapace_core::fuzz_bodies::messages(bytes);
});
