//! Random numbers from a seed, and changes to inputs.

/// The longest input, in bytes.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    /// The numbers of one input: another parser or another number gives others.
    pub(super) fn for_input(seed: u64, parser: &str, number: u64) -> Self {
        let mut mixed = Random(seed);
        for byte in parser.bytes() {
            mixed.0 ^= u64::from(byte);
            mixed.0 = mixed.next();
        }
        mixed.0 ^= number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed.0 = mixed.next();
        mixed
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Makes an input: noise now and then, otherwise one or several of the corpus with some changes.
pub(super) fn make_input(
    corpus: &[Vec<u8>],
    splice: bool,
    random: &mut Random,
    input: &mut Vec<u8>,
) {
    input.clear();
    if random.below(16) == 0 {
        let magnitude = random.below(11);
        let len = random.below(1 << magnitude);
        input.extend((0..len).map(|_| random.next() as u8));
        return;
    }
    let parts = if splice { 1 + random.below(12) } else { 1 };
    for _ in 0..parts {
        input.extend_from_slice(&corpus[random.below(corpus.len())]);
    }
    // Unchanged now and then: valid sequences reach the deepest states.
    for _ in 0..random.below(6) {
        change(corpus, random, input);
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn change(corpus: &[Vec<u8>], random: &mut Random, input: &mut Vec<u8>) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(16)).min(input.len());
    match random.below(9) {
        0 => input.truncate(at),
        1 => input.insert(at, random.next() as u8),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 if at < input.len() => input[at] = [0, 1, 2, 16, 0x7F, 0x80, 0xFF][random.below(7)],
        4 if at < input.len() => input[at] = random.next() as u8,
        5 => drop(input.drain(at..end)),
        6 => {
            // The same once more: repeated fields, ids, frames.
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        7 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            input.splice(at..at, other[from..].iter().copied());
        }
        _ if at + 4 <= input.len() => {
            // A whole number at its limits: lengths, ids, credit.
            let number = [0, 1, 63, 64, 1 << 16, 1 << 30, u32::MAX - 1, u32::MAX];
            input[at..at + 4].copy_from_slice(&number[random.below(number.len())].to_le_bytes());
        }
        _ => input.push(random.next() as u8),
    }
}
