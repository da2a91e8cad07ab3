//! Encode and decode times against serde + postcard, alternating in one run.
//!
//! `cargo run --release -p rapace-codec --example codec_ratio [FILTER]`
//!
//! Runs the kinds of type whose name contains FILTER, or all. Prints the median time of one operation
//! in nanoseconds, the ratio of the medians, and how long compiling the codec took. Both sides encode
//! into a buffer that is kept and cleared; `serde_bytes` makes the peer's bytes as fast as they get.

// facet's derive writes unsafe functions for its own use; they guard no invariant of these types.
#![allow(clippy::unsafe_derive_deserialize)]
#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::Codec;
use serde::{Deserialize, Serialize};

#[derive(Facet, Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Small {
    id: u64,
    name: String,
}

#[derive(Facet, Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Row {
    id: u64,
    parent: Option<u32>,
    name: String,
    score: f64,
    flags: u16,
    delta: i32,
    live: bool,
    note: Option<String>,
}

#[derive(Facet, Clone, PartialEq, Debug)]
struct Blob {
    data: Bytes,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct SerdeBlob {
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

const ROUNDS: usize = 41;

fn main() {
    println!(
        "{:<24}{:>12}{:>12}{:>8}{:>12}{:>12}{:>8}{:>14}",
        "ns, median", "encode", "postcard", "ratio", "decode", "postcard", "ratio", "compile, us"
    );
    same("(i32, i32)", (-3, 70_000), 20_000);
    same(
        "small struct",
        Small {
            id: 123_456_789,
            name: "sixteen bytes ok".to_owned(),
        },
        10_000,
    );
    same(
        "1,000 x 8-field struct",
        (0..1000).map(row).collect::<Vec<_>>(),
        20,
    );
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| (i * 7) as u8).collect();
    compare(
        "1 MiB bytes",
        Blob {
            data: data.clone().into(),
        },
        SerdeBlob { data: data.clone() },
        20,
    );
    same(
        "10,000 u32, mixed",
        (0..10_000u32).map(mix).collect::<Vec<_>>(),
        50,
    );
    same(
        "10,000 u32, small",
        (0..10_000u32).map(|i| i % 100).collect::<Vec<_>>(),
        50,
    );
}

/// Numbers of all widths, in no order that a branch predictor could learn.
fn mix(i: u32) -> u32 {
    let hash = i.wrapping_mul(0x9e37_79b9) ^ (i >> 3).wrapping_mul(0x85eb_ca6b);
    hash >> (hash % 32)
}

fn row(i: u32) -> Row {
    Row {
        id: u64::from(i) * 1_000_003,
        parent: (!i.is_multiple_of(3)).then_some(i / 3),
        name: format!("row number {i}"),
        score: f64::from(i) * 0.25,
        flags: (i * 37) as u16,
        delta: i as i32 - 500,
        live: i.is_multiple_of(2),
        note: i.is_multiple_of(4).then(|| format!("note {i}")),
    }
}

fn same<T>(name: &str, value: T, repeat: usize)
where
    T: Facet<'static> + Serialize + for<'de> Deserialize<'de> + Clone,
{
    compare(name, value.clone(), value, repeat);
}

fn compare<T, S>(name: &str, ours: T, theirs: S, repeat: usize)
where
    T: Facet<'static>,
    S: Serialize + for<'de> Deserialize<'de>,
{
    if !name.contains(std::env::args().nth(1).as_deref().unwrap_or("")) {
        return;
    }
    let start = Instant::now();
    let codec = Codec::<T>::new().expect("the type has an encoding");
    let compiled = start.elapsed().as_nanos() as f64 / 1000.0;
    let mut out = Vec::new();
    codec.encode(&ours, &mut out, &mut ()).expect("encodes");
    let wire = postcard::to_stdvec(&theirs).expect("encodes");
    assert!(out == wire, "{name}: the bytes differ");
    let frame = Bytes::from(wire.clone());

    let mut buffer = Vec::new();
    let mut peer_buffer = Vec::new();
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(time(repeat, || {
            buffer.clear();
            codec
                .encode(black_box(&ours), &mut buffer, &mut ())
                .expect("encodes");
            black_box(&buffer);
        }));
        times[1].push(time(repeat, || {
            let mut taken = std::mem::take(&mut peer_buffer);
            taken.clear();
            peer_buffer = postcard::to_extend(black_box(&theirs), taken).expect("encodes");
            black_box(&peer_buffer);
        }));
        times[2].push(time(repeat, || {
            black_box(codec.decode(black_box(&frame), &mut ()).expect("decodes"));
        }));
        times[3].push(time(repeat, || {
            black_box(postcard::from_bytes::<S>(black_box(&wire)).expect("decodes"));
        }));
    }
    let [a, b, c, d] = times.map(median);
    println!(
        "{name:<24}{a:>12.1}{b:>12.1}{:>8.2}{c:>12.1}{d:>12.1}{:>8.2}{compiled:>14.1}",
        a / b,
        c / d
    );
}

fn time(repeat: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repeat {
        run();
    }
    start.elapsed().as_nanos() as f64 / repeat as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
