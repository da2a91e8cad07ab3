//! `rapace hostile`: the fuzz bodies of every parser on random and mutated bytes.
//!
//! | module | owns |
//! |---|---|
//! | `parsers` | which bodies there are, and how much memory each may take |
//! | `corpus` | inputs to start from: golden vectors, valid values, sessions made of valid frames |
//! | `mutate` | random numbers from a seed, and changes to inputs |
//! | `watch` | seeing from outside that an input takes too long |
//!
//! Each input is made from (seed, parser, number), so that a run repeats itself, and a failure is
//! replayed from its bytes alone.

mod corpus;
mod mutate;
mod parsers;
mod watch;

use std::io::IsTerminal as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use mutate::{Random, make_input};
use parsers::{PARSERS, Parser};
use watch::Watch;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// How often progress is shown: on a terminal, and elsewhere.
const PROGRESS_PERIODS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What a parser may keep over a whole run, in bytes: tables that are built at first use.
const KEPT_BYTES_MAX: usize = 1 << 20;

const AFTER_HELP: &str = "\
A parser fails when it panics, takes more than 5 s for one input, holds more memory than its bound
for that input, or keeps memory. The failing input is printed as hex with the command that replays it.

Examples:
  rapace hostile --seconds 150
  rapace hostile --seconds 20 --only receive --seed 7
  rapace hostile --only reader --replay 10ffffffff

Exit codes: 0 nothing failed, 1 something did, 2 the command line is wrong.";

/// Throw random and mutated bytes at every parser.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// How long each parser is tried, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Where the random numbers start. Default: another one each time; it is printed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this parser: messages, hello, receive, reader, shm, decode, schema, json.
    #[arg(long, value_name = "PARSER")]
    only: Option<String>,
    /// Run one input, given as hex, and nothing else.
    #[arg(long, value_name = "HEX", requires = "only")]
    replay: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let chosen: Vec<&Parser> = PARSERS
        .iter()
        .filter(|parser| {
            arguments
                .only
                .as_deref()
                .is_none_or(|only| only == parser.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = PARSERS.iter().map(|parser| parser.name).collect();
        eprintln!("error: no such parser; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    quiet_panics();
    if let Some(hex) = &arguments.replay {
        return replay(chosen[0], hex);
    }
    let seed = arguments.seed.unwrap_or_else(seed_from_clock);
    println!("seed {seed}");
    let mut failed = false;
    let mut inputs = 0;
    let started = Instant::now();
    for parser in chosen {
        match attack(parser, seed, Duration::from_secs(arguments.seconds)) {
            Ok(count) => inputs += count,
            Err(failure) => {
                failure.print(parser, seed);
                failed = true;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let verdict = if failed { "FAILED" } else { "ok" };
    println!(
        "total: {inputs} inputs in {seconds:.0} s, {:.0} inputs/s: {verdict}",
        inputs as f64 / seconds
    );
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn replay(parser: &Parser, hex: &str) -> ExitCode {
    let Some(input) = from_hex(hex) else {
        eprintln!("error: --replay wants an even number of hexadecimal digits");
        return ExitCode::from(2);
    };
    let watch = Watch::start(parser.name, 0);
    match attempt(parser, &input, &watch) {
        Ok(taken) => {
            println!(
                "{}: {} bytes held at most {taken} bytes of memory: ok",
                parser.name,
                input.len()
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{} FAILED: {why}", parser.name);
            ExitCode::FAILURE
        }
    }
}

/// An input that a parser does not survive as it should.
struct Failure {
    number: u64,
    input: Vec<u8>,
    why: String,
}

impl Failure {
    fn print(&self, parser: &Parser, seed: u64) {
        let Failure { number, input, why } = self;
        println!(
            "{} FAILED at input {number} of seed {seed}: {why}",
            parser.name
        );
        if input.is_empty() {
            return;
        }
        println!(
            "replay: rapace hostile --only {} --replay {}",
            parser.name,
            to_hex(input)
        );
    }
}

/// Tries one parser for so long; the number of inputs when all is well.
fn attack(parser: &Parser, seed: u64, duration: Duration) -> Result<u64, Failure> {
    let corpus = (parser.corpus)();
    let watch = Watch::start(parser.name, seed);
    let mut input = Vec::new();
    let mut largest = 0;
    // What is built once and kept (codecs, hash states) is built before memory is compared.
    for (number, seed_input) in corpus.iter().enumerate() {
        largest = largest.max(try_input(parser, seed_input, number as u64, &watch)?);
    }
    let before = PeakAlloc.current_usage();
    let started = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    let period = if is_terminal {
        PROGRESS_PERIODS.0
    } else {
        PROGRESS_PERIODS.1
    };
    let mut next_progress = period;
    let mut number = 0_u64;
    loop {
        // Looking at the clock costs as much as a short input.
        if number.is_multiple_of(256) {
            let elapsed = started.elapsed();
            if elapsed >= duration {
                break;
            }
            if elapsed >= next_progress {
                next_progress += period;
                progress(parser.name, number, elapsed, is_terminal);
            }
        }
        let mut random = Random::for_input(seed, parser.name, number);
        make_input(&corpus, parser.splice, &mut random, &mut input);
        largest = largest.max(try_input(parser, &input, number, &watch)?);
        number += 1;
    }
    input = Vec::new();
    let kept = PeakAlloc.current_usage().saturating_sub(before);
    if kept > KEPT_BYTES_MAX {
        let why = format!("{kept} bytes of memory were kept over {number} inputs");
        return Err(Failure { number, input, why });
    }
    let seconds = started.elapsed().as_secs_f64();
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    println!(
        "{:<9} {number} inputs in {seconds:.0} s, {:.0} inputs/s, at most {} KiB held by one: ok",
        parser.name,
        number as f64 / seconds,
        largest / 1024
    );
    Ok(number)
}

fn try_input(parser: &Parser, input: &[u8], number: u64, watch: &Watch) -> Result<usize, Failure> {
    attempt(parser, input, watch).map_err(|why| Failure {
        number,
        input: input.to_vec(),
        why,
    })
}

/// Runs one input; how much memory was held at most, in bytes.
fn attempt(parser: &Parser, input: &[u8], watch: &Watch) -> Result<usize, String> {
    watch.begin(input);
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (parser.body)(input)));
    let taken = PeakAlloc.peak_usage().saturating_sub(before);
    watch.end();
    if outcome.is_err() {
        let message = LAST_PANIC
            .lock()
            .map_or_else(|_| String::new(), |last| last.clone());
        return Err(format!("panicked: {message}"));
    }
    let allowed = parser.memory_base + parser.memory_per_byte * input.len();
    if taken > allowed {
        let len = input.len();
        return Err(format!(
            "held {taken} bytes of memory for {len} bytes; at most {allowed} are allowed"
        ));
    }
    Ok(taken)
}

/// What the last panic said; panics are caught and reported with their input instead.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = info.to_string();
        }
    }));
}

fn progress(name: &str, number: u64, elapsed: Duration, is_terminal: bool) {
    let rate = number as f64 / elapsed.as_secs_f64();
    let line = format!(
        "{name}: {} s, {number} inputs, {rate:.0}/s",
        elapsed.as_secs()
    );
    if is_terminal {
        eprint!("\r\x1b[K{line}");
    } else {
        eprintln!("{line}");
    }
}

fn seed_from_clock() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_nanos() as u64
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex
        .chars()
        .map(|char| char.to_digit(16))
        .collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(
        digits
            .chunks(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory is counted for the whole process, so that these tests must not overlap.
    static ALONE: Mutex<()> = Mutex::new(());

    fn alone() -> std::sync::MutexGuard<'static, ()> {
        ALONE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn parser(body: fn(&[u8])) -> Parser {
        Parser {
            name: "test",
            body,
            corpus: || vec![vec![1, 2, 3]],
            splice: false,
            memory_base: 4 << 20,
            memory_per_byte: 0,
        }
    }

    fn find(body: fn(&[u8])) -> Option<Failure> {
        attack(&parser(body), 1, Duration::from_millis(300)).err()
    }

    #[test]
    fn a_panic_is_found_with_the_input_that_replays_it() {
        let _alone = alone();
        quiet_panics();
        let body: fn(&[u8]) = |bytes| assert!(bytes.len() < 4, "four bytes");
        let failure = find(body).expect("found");
        assert!(failure.why.contains("four bytes"), "{}", failure.why);
        let again = from_hex(&to_hex(&failure.input)).expect("hex");
        let watch = Watch::start("test", 0);
        attempt(&parser(body), &again, &watch).expect_err("it fails again");
    }

    #[test]
    fn memory_beyond_the_bound_and_memory_kept_are_found() {
        let _alone = alone();
        let failure = find(|_| drop(std::hint::black_box(vec![1_u8; 32 << 20]))).expect("found");
        assert!(failure.why.contains("at most"), "{}", failure.why);
        let failure =
            find(|_| std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 16]))).expect("found");
        assert!(failure.why.contains("kept"), "{}", failure.why);
    }

    #[test]
    fn every_parser_survives_its_corpus_and_a_moment_of_noise() {
        let _alone = alone();
        for parser in PARSERS {
            if let Err(failure) = attack(parser, 2, Duration::from_millis(300)) {
                panic!(
                    "{}: {} on {}",
                    parser.name,
                    failure.why,
                    to_hex(&failure.input)
                );
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let _alone = alone();
        let corpus = (PARSERS[0].corpus)();
        let make = |number| {
            let mut input = Vec::new();
            make_input(
                &corpus,
                true,
                &mut Random::for_input(9, "x", number),
                &mut input,
            );
            input
        };
        assert_eq!(make(1), make(1));
        assert_ne!(
            (0..20).map(make).collect::<Vec<_>>(),
            (20..40).map(make).collect::<Vec<_>>()
        );
    }
}
