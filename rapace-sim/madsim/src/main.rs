//! Runs one world under one seed, in this process; or a range of seeds, each in a process of its
//! own.
//!
//! One process per seed and world: tokio keeps some of its state for the whole process, and so may
//! others.

use std::ops::RangeInclusive;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use madsim::runtime::Runtime;
use rapace_sim_madsim::worlds;

/// A run takes well under a second; a busy machine may need more.
const REAL_TIME_MAX: Duration = Duration::from_mins(1);

const USAGE: &str = "\
usage: rapace-sim-madsim list
       rapace-sim-madsim run WORLD --seed N [--log]
       rapace-sim-madsim sweep [--seeds A..B] [--world WORLD] [--jobs N]

  list    the names of the worlds
  run     one world under one seed, twice, in this process; fails if the second run differs.
          --log prints every event
  sweep   every seed from A to B (default 1..5, B included), each world in a process of its own,
          N at a time (default 2)

exit codes: 0 all well, 1 a world failed, 2 wrong usage";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match *args {
        ["list"] => {
            for (name, _) in worlds::ALL {
                println!("{name}");
            }
            Some(true)
        }
        ["run", world, ref options @ ..] => run(world, options),
        ["sweep", ref options @ ..] => sweep(options),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Some(true)
        }
        _ => None,
    };
    match done {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs one world, twice; a panic ends the process with its message.
fn run(world: &str, options: &[&str]) -> Option<bool> {
    let (seed, log) = match *options {
        ["--seed", seed] => (seed.parse().ok()?, false),
        ["--seed", seed, "--log"] => (seed.parse().ok()?, true),
        _ => return None,
    };
    let Some(start) = worlds::find(world) else {
        eprintln!("no world `{world}`; see `list`");
        return Some(false);
    };
    let what = format!("{world} seed {seed}");
    // Outside of the simulation: virtual time stands still while a task spins.
    std::thread::spawn(move || {
        std::thread::sleep(REAL_TIME_MAX);
        eprintln!("{what}: not done after {REAL_TIME_MAX:?} of real time: a task spins");
        std::process::exit(1);
    });
    // What MADSIM_TEST_CHECK_DETERMINISM=1 does: every random draw and the time of it are compared.
    let report = Runtime::check_determinism(seed, madsim::Config::default(), start);
    if log {
        print!("{}", report.log);
    }
    let hash = xxhash_rust::xxh3::xxh3_64(report.log.as_bytes());
    let events = report.log.lines().count();
    println!(
        "{world} seed {seed}: {events} events, {} answers, hash {hash:016x}",
        report.answered
    );
    Some(true)
}

fn sweep(options: &[&str]) -> Option<bool> {
    let (mut seeds, mut only, mut jobs) = (1..=5, None, 2);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options.next()?;
        match *option {
            "--seeds" => seeds = range(value)?,
            "--world" => only = Some(*value),
            "--jobs" => jobs = value.parse::<usize>().ok().filter(|jobs| *jobs > 0)?,
            _ => return None,
        }
    }
    let started = Instant::now();
    let names = worlds::ALL.map(|(name, _)| name);
    let wanted = names
        .iter()
        .filter(|name| only.is_none_or(|only| only == **name));
    let runs: Vec<(u64, &str)> = seeds
        .clone()
        .flat_map(|seed| wanted.clone().map(move |name| (seed, *name)))
        .collect();
    if runs.is_empty() {
        eprintln!("nothing to run: no such world or no seeds");
        return Some(false);
    }
    let (mut failed, mut answers, mut events) = (Vec::new(), 0, 0);
    for batch in runs.chunks(jobs) {
        let children: Vec<_> = batch
            .iter()
            .map(|(seed, name)| child(*seed, name))
            .collect();
        for (&(seed, name), child) in batch.iter().zip(children) {
            match child.and_then(std::process::Child::wait_with_output) {
                Ok(output) if output.status.success() => {
                    let line = String::from_utf8_lossy(&output.stdout).into_owned();
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let number = |unit: &str| -> u64 {
                        let at = words.iter().position(|word| word.starts_with(unit));
                        let number = at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok());
                        number.unwrap_or_default()
                    };
                    events += number("events");
                    answers += number("answers");
                }
                Ok(output) => {
                    eprint!("{}", String::from_utf8_lossy(&output.stderr));
                    failed.push((seed, name));
                }
                Err(error) => {
                    eprintln!("cannot run {name} seed {seed}: {error}");
                    failed.push((seed, name));
                }
            }
        }
    }
    for (seed, name) in &failed {
        println!("FAILED {name} seed {seed}; replay: ./sweep.sh run {name} --seed {seed} --log");
    }
    println!(
        "madsim: {} runs ({} seeds x {} worlds, each twice), {} failed, {events} events, \
         {answers} answers, {:.1} s",
        runs.len(),
        seeds.count(),
        runs.iter()
            .map(|(_, name)| name)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        failed.len(),
        started.elapsed().as_secs_f64(),
    );
    Some(failed.is_empty())
}

fn child(seed: u64, world: &str) -> std::io::Result<std::process::Child> {
    Command::new(std::env::current_exe()?)
        .args(["run", world, "--seed", &seed.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// `7`, or `1..20` with both ends.
fn range(text: &str) -> Option<RangeInclusive<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..=to.parse().ok()?),
        None => text.parse().ok().map(|seed| seed..=seed),
    }
}
