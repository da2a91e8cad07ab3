//! What travels one way: payloads as words, whose sum shows that every byte arrived and was read.

const WORD: usize = size_of::<u64>();

/// Reads all of `payload`, whose length is a multiple of eight.
pub(crate) fn sum(payload: &[u8]) -> u64 {
    let (words, _) = payload.as_chunks::<WORD>();
    words.iter().fold(0, |sum: u64, word| {
        sum.wrapping_add(u64::from_le_bytes(*word))
    })
}

/// The same of what is words already.
pub(crate) fn sum_words(payload: &[u64]) -> u64 {
    payload.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

/// Writes all of `payload`, and says what [`sum`] it has now.
pub(crate) fn fill(payload: &mut [u8], value: u64) -> u64 {
    let (words, _) = payload.as_chunks_mut::<WORD>();
    words.fill(value.to_le_bytes());
    value.wrapping_mul(words.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_what_was_written() {
        let mut payload = [0; 64];
        let filled = fill(&mut payload, u64::MAX / 3);
        assert_eq!(sum(&payload), filled);
        payload[63] ^= 1;
        assert_ne!(sum(&payload), filled);
    }
}
