//! How far something is that takes long: a bar on a terminal, else a line now and then.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal a line is printed this often, and one at the beginning.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// On a terminal the line changes this often.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Steps of the bar.
const WHOLE: u64 = 1_000;
/// A narrower terminal has room for counts only.
const COLUMNS_FOR_BAR: usize = 60;
/// Columns of the bar, and of the blank behind it.
const BAR: usize = 13;

/// What is shown meanwhile, on stderr.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    /// When it was shown last.
    last: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Progress {
            bar: is_terminal.then(|| ProgressBar::new(WHOLE)),
            begun: Instant::now(),
            last: None,
        }
    }

    /// After every step. If it is time to show something, `line` is asked for it with the time that
    /// has gone by: how much is done, from 0 to 1, if that is known; and the counts, what matters
    /// most first.
    pub(crate) fn show(&mut self, line: impl FnOnce(&str) -> (Option<f64>, Vec<String>)) {
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
        let (done, fields) = line(&clock(now.duration_since(self.begun)));
        let Some(bar) = &self.bar else {
            complain!("{}", fields.join(", "));
            return;
        };
        let columns = console::Term::stderr().size_checked();
        let columns = columns.map_or(80, |(_, columns)| usize::from(columns));
        let done = done.filter(|_| columns >= COLUMNS_FOR_BAR);
        bar.set_style(style(done.is_some()));
        bar.set_position((done.unwrap_or(0.0) * WHOLE as f64) as u64);
        let bar_columns = if done.is_some() { BAR } else { 0 };
        bar.set_message(fitting(&fields, columns.saturating_sub(bar_columns)));
    }

    /// Prints something else, without disturbing what is shown.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.last.is_some() => bar.suspend(print),
            _ => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(with_bar: bool) -> ProgressStyle {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let template = match (with_bar, colour) {
        (true, true) => "{bar:12.cyan/blue} {wide_msg}",
        (true, false) => "{bar:12} {wide_msg}",
        (false, _) => "{wide_msg}",
    };
    // The templates are constants; without them the bar's own style would do.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The first fields that fit wholly; half a number would be a wrong one.
fn fitting(fields: &[String], columns: usize) -> String {
    let mut line = String::new();
    for field in fields {
        let comma = if line.is_empty() { "" } else { ", " };
        let chars = line.chars().count() + comma.len() + field.chars().count();
        if chars > columns {
            break;
        }
        line.push_str(comma);
        line.push_str(field);
    }
    line
}

/// 75 seconds as 1:15.
pub(crate) fn clock(time: Duration) -> String {
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

/// `1 run`, `1,234 runs`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
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
        assert_eq!(counted(1, "run"), "1 run");
        assert_eq!(counted(1_234, "run"), "1,234 runs");
    }

    #[test]
    fn what_does_not_fit_into_the_line_is_left_out_and_not_cut() {
        let fields = ["0:15/1:00  30/6,000 seeds", "0 failed", "217,712 events/s"];
        let fields = fields.map(str::to_owned);
        let all = fields.join(", ");
        for columns in 0..80 {
            let line = fitting(&fields, columns);
            assert!(line.chars().count() <= columns, "{line}");
            assert!(all.starts_with(&line), "{line}");
            let rest = &all[line.len()..];
            let whole = rest.is_empty() || rest.starts_with(", ") || line.is_empty();
            assert!(whole, "{line}");
        }
        assert_eq!(fitting(&fields, 40), "0:15/1:00  30/6,000 seeds, 0 failed");
        assert_eq!(fitting(&fields, 80), all);
    }
}
