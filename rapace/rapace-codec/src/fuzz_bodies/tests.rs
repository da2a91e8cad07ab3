//! The fuzz bodies over seeds, mutations and random bytes, with every allocation counted.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

/// Counts what the current thread holds and has held at most.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn note(change: isize) {
    // A thread that is ending has no counters any more, and nobody to read them.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as isize - layout.size() as isize);
        // SAFETY: the caller's contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `body` and returns how much memory it held at most and how much it kept.
fn measured(body: impl FnOnce()) -> (usize, isize) {
    let before = LIVE.get();
    PEAK.set(before);
    body();
    ((PEAK.get() - before) as usize, LIVE.get() - before)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1));
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), random.next() as u8),
            2 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            3 if !bytes.is_empty() => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][random.below(6)],
            4 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            _ => {
                let tail = bytes[at.min(bytes.len())..].to_vec();
                bytes.extend(tail);
                bytes.truncate(4096);
            }
        }
    }
}

/// The static tables (codecs, hash state) that a first run builds and keeps.
fn warm_up() {
    for (_, body) in ALL {
        for seed in seeds() {
            body(&seed);
        }
    }
}

fn amplification() -> u64 {
    [
        Codec::<Collections>::new().map(|codec| codec.amplification()),
        Codec::<Node>::new().map(|codec| codec.amplification()),
        Codec::<Schema>::new().map(|codec| codec.amplification()),
        Codec::<Option<Result<Arc<Shape>, Box<Leaves>>>>::new().map(|codec| codec.amplification()),
    ]
    .into_iter()
    .map(|amplification| amplification.expect("the type has an encoding"))
    .max()
    .expect("there are types")
}

/// No leak, and no more memory than a multiple of the input plus what error messages take.
fn check(name: &str, body: Body, data: &[u8], amplification: u64) {
    let (peak, kept) = measured(|| body(data));
    assert_eq!(kept, 0, "{name} leaks on {data:02x?}");
    // Three values at a time live in a body, hash tables take twice their entries.
    // Elements without bytes are counted, not weighed; as JSON each is a value all the same.
    let empties = if name == "decode" { 0 } else { 8 << 20 };
    let allowed = 20_000 + empties + data.len() * amplification as usize * 8;
    assert!(
        peak <= allowed,
        "{name} takes {peak} bytes on {} bytes {data:02x?}",
        data.len()
    );
}

#[test]
fn mutated_and_random_bytes_neither_panic_nor_leak_nor_exhaust_memory() {
    // Set when compiling, RAPACE_FUZZ_ROUNDS makes a longer run and RAPACE_FUZZ_SEED another one.
    let rounds = option_env!("RAPACE_FUZZ_ROUNDS")
        .and_then(|n| n.parse().ok())
        .unwrap_or(6_000);
    warm_up();
    let amplification = amplification();
    let seeds = seeds();
    let mut random = Random(
        option_env!("RAPACE_FUZZ_SEED")
            .and_then(|n| n.parse().ok())
            .unwrap_or(1),
    );
    for (name, body) in ALL {
        for _ in 0..rounds {
            let mut data = if random.below(4) == 0 {
                (0..random.below(64)).map(|_| random.next() as u8).collect()
            } else {
                seeds[random.below(seeds.len())].clone()
            };
            mutate(&mut data, &mut random);
            check(name, *body, &data, amplification);
        }
    }
}

#[test]
fn every_truncation_of_every_seed_is_refused_without_a_leak() {
    warm_up();
    let amplification = amplification();
    for seed in seeds() {
        for len in 0..seed.len() {
            for (name, body) in ALL {
                check(name, *body, &seed[..len], amplification);
            }
        }
    }
}

#[test]
fn a_shared_slice_survives_one_byte_of_input() {
    warm_up();
    for byte in 0..=u8::MAX {
        check("decode", decode, &[4, byte], 64);
    }
}

#[test]
fn a_huge_count_of_empty_elements_is_refused_at_once() {
    let codec = Codec::<Vec<()>>::new().expect("the type has an encoding");
    let count = [0xff, 0xff, 0xff, 0x7f];
    let (peak, _) = measured(|| {
        let error = codec.decode_slice(&count, &mut ()).expect_err("too many");
        assert_eq!(error.kind, crate::DecodeErrorKind::TooManyEmptyElements);
    });
    assert!(peak < 1000);
    // A count that is allowed costs a table no room either.
    let codec = Codec::<HashMap<(), ()>>::new().expect("the type has an encoding");
    let (peak, _) = measured(|| {
        let map = codec.decode_slice(&[0x8a, 0xff, 0x01], &mut ());
        assert_eq!(map.map(|map| map.len()), Ok(1));
    });
    assert!(peak < 1000, "{peak}");
}

/// Runs `body` on a thread with so little stack.
fn with_stack(kib: usize, body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(kib << 10);
    let handle = thread.spawn(body).expect("a thread starts");
    handle.join().expect("the body does not panic");
}

/// An overflow would abort the test process. Optimised code needs less than half of this.
#[test]
fn the_deepest_value_fits_a_small_stack() {
    with_stack(STACK_KIB, || {
        let codec = Codec::<Node>::new().expect("the type has an encoding");
        let mut wire = [0, 1].repeat(128);
        wire.extend([0, 0, 0, 0]);
        wire.extend([0, 0].repeat(128));
        let value = codec.decode_slice(&wire, &mut ()).expect("decodes");
        assert_eq!(codec.encoded_len(&value), wire.len());
        let mut out = vec![0; wire.len()];
        assert_eq!(codec.encode_into(&value, &mut out, &mut ()), Ok(wire.len()));
        out.clear();
        codec.encode(&value, &mut out, &mut ()).expect("encodes");
        assert_eq!(out, wire);
    });
}

const STACK_KIB: usize = 512;

#[test]
fn deep_recursion_is_refused_and_the_limit_is_reachable() {
    let codec = Codec::<Node>::new().expect("the type has an encoding");
    let wire = |depth: usize| {
        // value "", next Some …, and for each level no children and no named ones.
        let mut wire = [0, 1].repeat(depth);
        wire.extend([0, 0, 0, 0]);
        wire.extend([0, 0].repeat(depth));
        wire
    };
    let deepest = codec
        .decode_slice(&wire(128), &mut ())
        .expect("128 levels are allowed");
    assert_eq!(codec.encoded_len(&deepest), wire(128).len());
    let mut bytes = Vec::new();
    codec
        .encode(&deepest, &mut bytes, &mut ())
        .expect("what decodes encodes");
    assert_eq!(bytes, wire(128));
    for depth in [129, 10_000] {
        let (_, kept) = measured(|| {
            let error = codec
                .decode_slice(&wire(depth), &mut ())
                .expect_err("too deep");
            assert_eq!(error.kind, crate::DecodeErrorKind::TooDeep);
            assert_eq!(error.position, 2 * 129);
            assert!(error.path.len() < 150, "{error}");
        });
        assert_eq!(kept, 0);
    }
    let mut deep = example_node(0);
    for _ in 0..200 {
        deep = Node {
            value: String::new(),
            next: Some(Box::new(deep)),
            children: Vec::new(),
            named: BTreeMap::new(),
        };
    }
    bytes.clear();
    bytes.push(42);
    let error = codec
        .encode(&deep, &mut bytes, &mut ())
        .expect_err("too deep");
    assert_eq!(error, crate::EncodeError::TooDeep);
    assert_eq!(bytes, [42], "a failed encode leaves the buffer as it was");
}
