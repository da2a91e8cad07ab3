//! Many seeds, with a progress bar and a table.

use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rapace_sim::scenario::SavedPlan;
use rapace_sim::{Report, Sweep, SweepReport, shrink, standard};

use crate::args::SweepArgs;
use crate::seeds::{Seeds, Shard};

/// How long a sweep takes when nothing says so.
const TIME: Duration = Duration::from_mins(1);
/// A sweep over fewer seeds cannot be expected to reach every mark.
const SEEDS_FOR_MARKS: u64 = 5_000;
/// Without a terminal a line is printed this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Sweeps the standard world; false when something was found wrong.
pub(crate) fn sweep(args: &SweepArgs) -> bool {
    let seeds = args.seeds.unwrap_or(Seeds {
        start: 0,
        end: None,
    });
    let shard = args.shard.unwrap_or(Shard { index: 0, count: 1 });
    let time = match (args.time, seeds.end) {
        (None, None) => Some(TIME),
        (time, _) => time,
    };
    let range = seeds.of(shard);
    let total = seeds.end.map(|_| range.end - range.start);
    let over = Sweep::over(range);
    let config = Sweep {
        threads: args.threads.unwrap_or(over.threads).max(1),
        failures_max: args.failures.unwrap_or(1).max(1),
        time_max: time,
        ..over
    };
    let mut progress = Progress::new(total, time);
    let report = rapace_sim::sweep(&config, standard::world, |so_far| progress.show(so_far));
    progress.end();
    say!("{}", table(&report));
    let missed = report.marks_missed();
    let enough = report.seeds >= SEEDS_FOR_MARKS && report.failures.is_empty();
    if !missed.is_empty() {
        say!("marks that were never reached: {}", missed.join(", "));
        if !enough {
            say!("(a sweep of {SEEDS_FOR_MARKS} seeds or more fails for that)");
        }
    }
    let folder = args
        .save
        .clone()
        .unwrap_or_else(|| PathBuf::from("target/sim"));
    for failed in &report.failures {
        failure(failed, &folder);
    }
    report.failures.is_empty() && (missed.is_empty() || !enough)
}

/// How far a sweep is: a bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    time: Option<Duration>,
    total: Option<u64>,
    last: Instant,
}

impl Progress {
    fn new(total: Option<u64>, time: Option<Duration>) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let bar = std::io::stderr().is_terminal().then(|| {
            let length = total.or(time.map(|time| time.as_millis() as u64));
            let bar = ProgressBar::new(length.unwrap_or(0));
            let style = if colour {
                "{bar:30.cyan/blue} {msg}"
            } else {
                "{bar:30} {msg}"
            };
            // The template is a constant; without it the bar's own style would do.
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        Progress {
            bar,
            time,
            total,
            last: Instant::now(),
        }
    }

    fn show(&mut self, so_far: &SweepReport) {
        let now = Instant::now();
        match &self.bar {
            Some(bar) => {
                match (self.total, self.time) {
                    (Some(_), _) => bar.set_position(so_far.seeds),
                    (None, _) => bar.set_position(so_far.real_time.as_millis() as u64),
                }
                if now.duration_since(self.last) >= Duration::from_millis(100) {
                    self.last = now;
                    bar.set_message(line(so_far));
                }
            }
            None if now.duration_since(self.last) >= PLAIN_EVERY => {
                self.last = now;
                eprintln!("{}", line(so_far));
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Live counts.
fn line(so_far: &SweepReport) -> String {
    let hit: u64 = so_far.faults.values().map(|count| count.hit).sum();
    format!(
        "{} seeds, {} calls, {} faults hit, {}/s events, {} failed",
        grouped(so_far.seeds),
        grouped(so_far.calls),
        grouped(hit),
        grouped(so_far.steps_per_second() as u64),
        so_far.failures.len()
    )
}

/// What the sweep did, for people.
fn table(report: &SweepReport) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<14}  {value}");
    };
    let per_seed = report.real_time.as_secs_f64() * 1e3 / (report.seeds.max(1) as f64);
    row(
        "seeds",
        format!(
            "{} in {:.1} s, {per_seed:.2} ms each",
            grouped(report.seeds),
            report.real_time.as_secs_f64()
        ),
    );
    row(
        "events",
        format!(
            "{}, {} a second",
            grouped(report.steps),
            grouped(report.steps_per_second() as u64)
        ),
    );
    row("frames", grouped(report.frames));
    row("calls", grouped(report.calls));
    row(
        "virtual:real",
        format!("{}:1", grouped(report.time_ratio() as u64)),
    );
    let faults = report.faults.iter();
    let faults = faults.map(|(kind, count)| format!("{kind} {}", grouped(count.hit)));
    row("faults hit", wrapped(faults.collect()));
    let marks = report.marks.iter();
    let marks = marks.map(|(mark, count)| format!("{mark} {}", grouped(*count)));
    row("marks reached", wrapped(marks.collect()));
    row("failures", report.failures.len().to_string());
    text
}

/// A failure: the seed, the first thing that was wrong, the faults that matter, and how to see it
/// again.
fn failure(failed: &Report, folder: &Path) {
    let seed = failed.plan.seed;
    let first = failed.failures.first();
    say!("seed {seed} fails");
    if let Some(first) = first {
        say!("  {first}");
    }
    let about = first.map(ToString::to_string).unwrap_or_default();
    let all = failed.plan.faults.len();
    let shrunk = shrink(&standard::with_plan(failed.plan.clone()));
    match shrunk {
        Some(shrunk) => {
            say!("  {} of its {all} faults matter:", shrunk.plan.faults.len());
            for fault in &shrunk.plan.faults {
                say!("    {fault}");
            }
            let path = folder.join(format!("seed-{seed}.toml"));
            let saved = SavedPlan::standard(about, shrunk.plan).to_string();
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, saved));
            match written {
                Ok(()) => say!("see it again: cargo sim replay {}", path.display()),
                Err(error) => {
                    eprintln!("{} cannot be written: {error}", path.display());
                    say!("see it again: cargo sim replay {seed}");
                }
            }
        }
        None => say!("see it again: cargo sim replay {seed}"),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Entries in lines, behind the first column.
fn wrapped(entries: Vec<String>) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    let mut column = 0;
    for (at, entry) in entries.iter().enumerate() {
        let len = entry.chars().count() + 2;
        if at > 0 {
            text.push_str(if column + len > 80 {
                ",\n                "
            } else {
                ", "
            });
            column = if column + len > 80 { 0 } else { column };
        }
        text.push_str(entry);
        column += len;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
