//! How far a sweep is: a bar on a terminal, else a line now and then.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rapace_sim::SweepReport;

/// Without a terminal a line is printed this often, and one at the beginning.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// On a terminal the line changes this often.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Steps of the bar.
const WHOLE: u64 = 1_000;

/// What a sweep shows while it runs.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    time: Option<Duration>,
    total: Option<u64>,
    /// When it was shown last.
    last: Option<Instant>,
}

impl Progress {
    /// Of a sweep over so many seeds, or for so long, or until the first of both.
    pub(crate) fn new(total: Option<u64>, time: Option<Duration>) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(WHOLE);
            // What does not fit into the line is cut off, so what matters most stands first.
            let style = if colour {
                "{bar:12.cyan/blue} {wide_msg}"
            } else {
                "{bar:12} {wide_msg}"
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
            last: None,
        }
    }

    /// After every seed.
    pub(crate) fn show(&mut self, so_far: &SweepReport) {
        let now = Instant::now();
        let every = if self.bar.is_some() {
            BAR_EVERY
        } else {
            PLAIN_EVERY
        };
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < every)
        {
            return;
        }
        self.last = Some(now);
        let line = line(so_far, self.total, self.time);
        match &self.bar {
            Some(bar) => {
                bar.set_position((done(so_far, self.total, self.time) * WHOLE as f64) as u64);
                bar.set_message(line);
            }
            None => complain!("{line}"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
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

/// Live counts.
fn line(so_far: &SweepReport, total: Option<u64>, time: Option<Duration>) -> String {
    let hit: u64 = so_far.faults.values().map(|count| count.hit).sum();
    let of_total = total.map_or_else(String::new, |total| format!("/{}", grouped(total)));
    let of_time = time.map_or_else(String::new, |time| format!("/{}", clock(time)));
    format!(
        "{}{of_time}  {}{of_total} seeds, {} failed, {} faults hit, {} calls, {} events/s",
        clock(so_far.real_time),
        grouped(so_far.seeds),
        so_far.failures.len(),
        grouped(hit),
        grouped(so_far.calls),
        grouped(so_far.steps_per_second() as u64),
    )
}

/// 75 seconds as 1:15.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
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
        assert!(line(&so_far, Some(6_000), minute).starts_with("0:15/1:00  30/6,000 seeds"));
    }
}
