//! Many seeds, and the table of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rapace_sim::scenario::SavedPlan;
use rapace_sim::{Report, Sweep, SweepReport, standard};

use crate::args::SweepArgs;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, grouped};
use crate::seeds::{Seeds, Shard};
use crate::shrink::shrunk;
use crate::{Ended, Unusable};

/// How long a sweep takes when nothing says so.
const TIME: Duration = Duration::from_mins(1);
/// A sweep over fewer seeds cannot be expected to reach every mark.
const SEEDS_FOR_MARKS: u64 = 5_000;
/// Where plans of failures are written when nothing else is said.
pub(crate) const FOLDER: &str = "target/sim";

/// Sweeps the standard world.
pub(crate) fn sweep(args: &SweepArgs) -> Result<Ended, Unusable> {
    let seeds = args.seeds.unwrap_or(Seeds {
        start: 0,
        end: None,
    });
    let shard = args.shard.unwrap_or(Shard { index: 0, count: 1 });
    let time = match (args.time, seeds.end) {
        (None, None) => Some(TIME),
        (time, _) => time,
    };
    if let Some(folder) = &args.save {
        // Not only when the first failure is found, which may be after hours.
        fs::create_dir_all(folder).map_err(|error| {
            let folder = folder.display();
            Unusable(format!(
                "the folder {folder} cannot be made: {error}; give --save one that you can write to"
            ))
        })?;
    }
    let range = seeds.of(shard);
    let total = seeds.end.map(|_| range.end - range.start);
    let interrupt = Interrupt::catch();
    let over = Sweep::over(range);
    let config = Sweep {
        threads: args.threads.unwrap_or(over.threads),
        failures_max: args.failures.unwrap_or(1),
        time_max: time,
        stop: interrupt.stop.clone(),
        ..over
    };
    let mut progress = Progress::new(total, time);
    let report = rapace_sim::sweep(&config, standard::world, |so_far| progress.show(so_far));
    progress.end();
    interrupt.no_longer();
    let stopped = interrupt.code();
    if stopped.is_some() {
        say!("stopped; this is what came until then\n");
    }
    say!("{}", table(&report, columns()));
    let missed = report.marks_missed();
    let enough = report.seeds >= SEEDS_FOR_MARKS && report.failures.is_empty() && stopped.is_none();
    if !missed.is_empty() {
        say!("marks that were never reached: {}", missed.join(", "));
        if !enough {
            let seeds = grouped(SEEDS_FOR_MARKS);
            say!("(fine with so few seeds; a whole sweep of {seeds} or more fails for it)");
        }
    }
    let folder = args.save.as_deref().unwrap_or(Path::new(FOLDER));
    for failed in &report.failures {
        if stopped.is_some() {
            briefly(failed);
        } else {
            failure(failed, folder);
        }
    }
    Ok(match stopped {
        Some(code) => Ended::Stopped(code),
        None => Ended::from(report.failures.is_empty() && (missed.is_empty() || !enough)),
    })
}

/// How many columns lines may have: at most so many, and at least two words of the second column.
const COLUMNS: std::ops::RangeInclusive<usize> = 40..=96;

/// How wide a table may be where it goes to.
fn columns() -> usize {
    let screen = console::Term::stdout().size_checked();
    screen.map_or(*COLUMNS.end(), |(_, columns)| {
        usize::from(columns).clamp(*COLUMNS.start(), *COLUMNS.end())
    })
}

/// What the sweep did, for people.
fn table(report: &SweepReport, columns: usize) -> String {
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
    row("faults hit", wrapped(&faults.collect::<Vec<_>>(), columns));
    let marks = report.marks.iter();
    let marks = marks.map(|(mark, count)| format!("{mark} {}", grouped(*count)));
    row(
        "marks reached",
        wrapped(&marks.collect::<Vec<_>>(), columns),
    );
    row("failures", report.failures.len().to_string());
    text
}

/// A failure, for who has no time.
fn briefly(failed: &Report) {
    let seed = failed.plan.seed;
    say!("seed {seed} fails");
    if let Some(first) = failed.failures.first() {
        say!("  {first}");
    }
    say!("see it again: cargo sim replay {seed}");
    say!("the faults that matter: cargo sim shrink {seed}");
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
    let all = failed.plan.faults.len();
    let shrunk = shrunk(&standard::with_plan(failed.plan.clone()));
    match shrunk {
        Some(shrunk) => {
            match (shrunk.kept.len(), shrunk.simplified) {
                (0, _) => say!("  it takes none of its {all} faults"),
                (kept, 0) => say!("  it takes {kept} of its {all} faults:"),
                (kept, _) => say!("  it takes {kept} of its {all} faults, here made simple:"),
            }
            for fault in &shrunk.plan.faults {
                say!("    {fault}");
            }
            let path = folder.join(format!("seed-{seed}.toml"));
            // How it fails now, which need not be when it did before.
            let about = shrunk.report.failures.first();
            let about = about.map(ToString::to_string).unwrap_or_default();
            let saved = SavedPlan::standard(about, shrunk.plan).to_string();
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, saved));
            match written {
                Ok(()) => {
                    say!("see it again: cargo sim replay {}", path.display());
                    say!("with all faults, anywhere: cargo sim replay {seed}");
                }
                Err(error) => {
                    complain!("{} cannot be written: {error}", path.display());
                    say!("see it again: cargo sim replay {seed}");
                }
            }
        }
        None => say!("see it again: cargo sim replay {seed}"),
    }
}

/// Where the second column of the table begins.
const SECOND: usize = 16;

/// Entries in lines, behind the first column.
fn wrapped(entries: &[String], columns: usize) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    let mut column = SECOND;
    for (at, entry) in entries.iter().enumerate() {
        let len = entry.chars().count() + ", ".len();
        if at > 0 {
            if column + len > columns {
                let _ = write!(text, ",\n{:SECOND$}", "");
                column = SECOND;
            } else {
                text.push_str(", ");
            }
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
    fn entries_are_wrapped_where_the_terminal_ends() {
        let entries: Vec<String> = (0..40).map(|n| format!("kind_{n} {n}")).collect();
        for columns in [40, 61, 96] {
            let text = wrapped(&entries, columns);
            let mut lines = text.lines();
            let first = lines.next().expect("a line");
            assert!(SECOND + first.chars().count() <= columns, "{text}");
            assert!(lines.all(|line| line.chars().count() <= columns), "{text}");
            assert_eq!(text.split(',').count(), 40, "{text}");
        }
        assert_eq!(wrapped(&[], 40), "none");
    }
}
