//! A peer of a shared-memory link that writes what it likes into its own lane.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_shm::fuzz_bodies::peer(bytes));
