//! Encoding and decoding alone, without any link: four kinds of type.
//!
//! Every codec encodes into a buffer that is there already, and decodes into values of its own.
//! The codecs take turns round by round, as the peers do.

mod kinds;
mod postcard;
mod rapace;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::args::RunOptions;
use crate::run::Progress;
use crate::summary::Spread;

/// One codec's figures for one kind of type.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) kind: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) encoded_len: usize,
    /// Nanoseconds per value.
    pub(crate) encode_ns: Spread,
    pub(crate) decode_ns: Spread,
}

/// One codec for values of one type.
trait Codec<T> {
    fn name(&self) -> &'static str;

    /// The value's bytes, for the check before anything is timed.
    fn encoded(&mut self, value: &T) -> Result<Vec<u8>>;

    /// The value of these bytes, likewise.
    fn decoded(&self, bytes: &[u8]) -> Result<T>;

    /// Encodes `times` times into the same buffer; how long that took.
    fn time_encode(&mut self, value: &T, times: u64) -> Duration;

    /// Decodes `times` times, dropping the values; how long that took.
    fn time_decode(&self, bytes: &[u8], times: u64) -> Duration;
}

/// All kinds with all codecs.
pub(crate) fn measure(options: &RunOptions) -> Result<Vec<Timing>> {
    let mut timings = measure_kind(options, "small struct", &kinds::small())?;
    timings.extend(measure_kind(
        options,
        "1,000 structs of 8 fields",
        &kinds::rows(),
    )?);
    timings.extend(measure_kind(options, "1 MiB of bytes", &kinds::blob())?);
    timings.extend(measure_kind(options, "10,000 u32", &kinds::numbers())?);
    Ok(timings)
}

/// What is compared; the first is what the others are held against.
fn codecs<T>() -> Result<Vec<Box<dyn Codec<T>>>>
where
    T: serde::Serialize + serde::de::DeserializeOwned + facet::Facet<'static>,
{
    Ok(vec![
        Box::new(postcard::Postcard::default()),
        Box::new(rapace::Rapace::new()?),
    ])
}

fn measure_kind<T>(options: &RunOptions, kind: &'static str, value: &T) -> Result<Vec<Timing>>
where
    T: serde::Serialize + serde::de::DeserializeOwned + facet::Facet<'static> + PartialEq,
{
    let mut codecs = codecs::<T>()?;
    let mut progress = Progress::new(format!("codec {kind}"));
    // A codec's share of a round is spent half encoding, half decoding.
    let half = options.round() / 4;
    let mut runs = Vec::new();
    for codec in &mut codecs {
        let bytes = codec.encoded(value)?;
        ensure!(
            codec.decoded(&bytes)? == *value,
            "{} changes a {kind}",
            codec.name()
        );
        // Measuring how many fit in half a round warms up as well.
        let encodes = fitting(half, |times| codec.time_encode(value, times));
        let decodes = fitting(half, |times| codec.time_decode(&bytes, times));
        runs.push((bytes, encodes, decodes, Vec::new(), Vec::new()));
    }
    if let Some((first, ..)) = runs.first() {
        let same = runs.iter().all(|(bytes, ..)| bytes == first);
        ensure!(same, "the codecs write a {kind} differently");
    }
    for round in 0..options.rounds() as usize {
        progress.show(&format!("round {}/{}", round + 1, options.rounds()));
        for turn in 0..codecs.len() {
            let at = (round + turn) % codecs.len();
            let (bytes, encodes, decodes, encode_ns, decode_ns) = &mut runs[at];
            encode_ns.push(per_value(codecs[at].time_encode(value, *encodes), *encodes));
            decode_ns.push(per_value(codecs[at].time_decode(bytes, *decodes), *decodes));
        }
    }
    progress.done();
    let timings = codecs.iter().zip(runs).filter_map(|(codec, run)| {
        let (bytes, _, _, encode_ns, decode_ns) = run;
        Some(Timing {
            kind,
            codec: codec.name(),
            encoded_len: bytes.len(),
            encode_ns: Spread::of(encode_ns)?,
            decode_ns: Spread::of(decode_ns)?,
        })
    });
    Ok(timings.collect())
}

/// How many repetitions take about `budget`: doubled until a run is long enough to be scaled.
fn fitting(budget: Duration, mut run: impl FnMut(u64) -> Duration) -> u64 {
    let mut times = 1;
    loop {
        let took = run(times);
        if took >= budget / 4 {
            let scale = budget.as_secs_f64() / took.as_secs_f64();
            return ((times as f64 * scale) as u64).max(1);
        }
        times *= 2;
    }
}

fn per_value(took: Duration, times: u64) -> f64 {
    took.as_secs_f64() * 1e9 / times as f64
}

/// Runs `body` `times` times; how long that took.
fn time(times: u64, mut body: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        body();
    }
    start.elapsed()
}
