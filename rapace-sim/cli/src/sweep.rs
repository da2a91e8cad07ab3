//! Many seeds, and the table of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rapace_sim::scenario::SavedPlan;
use rapace_sim::{Report, Sweep, SweepReport, standard};

use crate::args::SweepArgs;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, clock, counted, grouped};
use crate::seeds::{Seeds, Shard};
use crate::shrink::shrunk;
use crate::subject::replay_again;
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
    if range.is_empty() {
        say!(
            "shard {shard} of {seeds} has no seeds, since there are more shards than seeds; \
             nothing was run"
        );
        return Ok(Ended::Fine);
    }
    let start = range.start;
    let interrupt = Interrupt::catch();
    let over = Sweep::over(range);
    let config = Sweep {
        threads: args.threads.unwrap_or(over.threads),
        failures_max: args.failures.unwrap_or(1),
        time_max: time,
        stop: interrupt.stop.clone(),
        ..over
    };
    let mut progress = Progress::new();
    let report = rapace_sim::sweep(&config, standard::world, |so_far| {
        progress.show(|_| {
            let done = done(so_far, total, time);
            (Some(done), fields(so_far, total, time))
        });
    });
    progress.end();
    interrupt.no_longer();
    let stopped = interrupt.code();
    if stopped.is_some() {
        say!("stopped; this is what came until then\n");
    }
    let covered = covered(start, &report, seeds, shard);
    say!("{}", table(&report, &covered, columns()));
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

/// The seeds that were run, which are those from the first one on, and of what they are a part.
fn covered(start: u64, report: &SweepReport, asked: Seeds, shard: Shard) -> String {
    let run = Seeds {
        start,
        end: Some(start.saturating_add(report.seeds)),
    };
    match (run == asked, shard.count) {
        (true, _) => run.to_string(),
        (false, 1) => format!("{run} of {asked}"),
        (false, _) => {
            let part = asked.of(shard);
            let part = Seeds {
                start: part.start,
                end: asked.end.map(|_| part.end),
            };
            if run == part {
                format!("{run}: shard {shard} of {asked}")
            } else {
                format!("{run} of {part}: shard {shard} of {asked}")
            }
        }
    }
}

/// How much is done, from 0 to 1: of the seeds or of the time, whichever is over first.
fn done(so_far: &SweepReport, total: Option<u64>, time: Option<Duration>) -> f64 {
    let of_seeds = total.map_or(0.0, |total| so_far.seeds as f64 / total.max(1) as f64);
    let of_time = time.map_or(0.0, |time| {
        so_far.real_time.as_secs_f64() / time.as_secs_f64().max(1e-9)
    });
    of_seeds.max(of_time).min(1.0)
}

/// Live counts, what matters most first.
fn fields(so_far: &SweepReport, total: Option<u64>, time: Option<Duration>) -> Vec<String> {
    let hit: u64 = so_far.faults.values().map(|count| count.hit).sum();
    let of_time = time.map_or_else(String::new, |time| format!("/{}", clock(time)));
    let now = clock(so_far.real_time);
    vec![
        match total {
            Some(total) => {
                let (seeds, total) = (grouped(so_far.seeds), grouped(total));
                format!("{now}{of_time}  {seeds}/{total} seeds")
            }
            None => format!("{now}{of_time}  {}", counted(so_far.seeds, "seed")),
        },
        format!("{} failed", so_far.failures.len()),
        format!("{} faults hit", grouped(hit)),
        counted(so_far.calls, "call"),
        format!("{} events/s", grouped(so_far.steps_per_second() as u64)),
    ]
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
fn table(report: &SweepReport, covered: &str, columns: usize) -> String {
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
    row("range", covered.to_owned());
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
                    say!("see it again: {}", replay_again(&path.to_string_lossy()));
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
    fn a_table_says_which_seeds_it_is_of() {
        let told = |seeds: u64, asked: &str, shard: &str| {
            let (asked, shard): (Seeds, Shard) = (asked.parse().unwrap(), shard.parse().unwrap());
            let report = SweepReport {
                seeds,
                ..SweepReport::default()
            };
            covered(asked.of(shard).start, &report, asked, shard)
        };
        assert_eq!(told(20, "0..20", "0/1"), "0..20");
        assert_eq!(told(7, "0..20", "0/1"), "0..7 of 0..20");
        assert_eq!(told(7, "0..", "0/1"), "0..7 of 0..");
        assert_eq!(told(5, "0..20", "1/4"), "5..10: shard 1/4 of 0..20");
        assert_eq!(told(2, "0..20", "1/4"), "5..7 of 5..10: shard 1/4 of 0..20");
        let open = told(2, "0..", "1/4");
        assert_eq!(
            open,
            "1099511627776..1099511627778 of 1099511627776..: shard 1/4 of 0.."
        );
    }

    #[test]
    fn what_is_over_first_fills_the_bar() {
        let so_far = SweepReport {
            seeds: 30,
            real_time: Duration::from_secs(15),
            ..SweepReport::default()
        };
        let minute = Some(Duration::from_mins(1));
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(near(done(&so_far, None, minute), 0.25));
        assert!(near(done(&so_far, Some(60), minute), 0.5));
        assert!(near(done(&so_far, Some(20), None), 1.0));
        assert!(near(done(&so_far, None, None), 0.0));
        assert_eq!(
            fields(&so_far, Some(6_000), minute)[0],
            "0:15/1:00  30/6,000 seeds"
        );
    }

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
