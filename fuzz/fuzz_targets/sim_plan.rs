//! Faults of the standard world: coverage-guided simulation.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rapace_sim::standard::fuzz_bodies::plan(bytes));
