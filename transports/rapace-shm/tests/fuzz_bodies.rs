//! The fuzz body on inputs of a corpus, and for some seconds on random ones from a seed.
#![allow(
    clippy::disallowed_methods,
    reason = "it measures, and the environment says which seed"
)]

use std::time::{Duration, Instant};

use rapace_shm::fuzz_bodies::peer;

/// splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

fn input(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let len = random(&mut state) % 400;
    let mut bytes: Vec<u8> = (0..len).map(|_| random(&mut state) as u8).collect();
    // Headers are wrong in an eighth of them: elsewhere nothing runs.
    if let Some(first) = bytes.first_mut()
        && !seed.is_multiple_of(8)
    {
        *first &= !4;
    }
    bytes
}

#[test]
fn a_hostile_peer_is_refused_whatever_it_writes() {
    let begin = Instant::now();
    let first = std::env::var("RAPACE_SHM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut seed = first.unwrap_or(0);
    while begin.elapsed() < Duration::from_secs(3) {
        let bytes = input(seed);
        let result = std::panic::catch_unwind(|| peer(&bytes));
        assert!(
            result.is_ok(),
            "seed {seed} fails: replay it with RAPACE_SHM_SEED={seed}"
        );
        seed += 1;
    }
    println!("{} inputs", seed - first.unwrap_or(0));
}

/// Each word of the peer's lane in turn, changed to each kind of wrong value between two frames.
#[test]
fn every_word_that_the_peer_polls_is_refused_or_harmless() {
    for spin in [0, 2] {
        for word in 0..=72 {
            for kind in 0..8 {
                for place in [word % 100, 150] {
                    peer(&[
                        spin, 7, 20, 7, 200, 0, 20, 12, place, word, kind, 3, 3, 9, 11, 0, 200, 2,
                        90, 3,
                    ]);
                }
            }
        }
    }
}

#[test]
fn the_corpus_is_taken() {
    for bytes in [
        &[][..],
        &[0],
        &[4, 0, 4],
        &[4, 3, 7, 0xFF, 0xFF],
        &[0, 7, 255, 3, 15, 0, 0, 3],
    ] {
        peer(bytes);
    }
}
