//! Scenario files, saved plans and faults: read, or refused at a place in the text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_sim::scenario::fuzz_bodies::script(bytes));
