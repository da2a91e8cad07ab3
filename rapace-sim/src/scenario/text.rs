//! Traces as snapshots keep them: short enough to be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::model::Scenario;
use super::run::Verdict;
use crate::fault::FrameKind;
use crate::trace::{Happening, Trace, TraceEvent};

/// Of lines of one kind (the same sender and the same verb, calls of one process), so many of the
/// first and of the last are shown.
const FIRST_MAX: usize = 8;
const LAST_MAX: usize = 3;
/// Fewer lines than this in one place are shown rather than counted.
const GAP_LINES_MIN: usize = 4;

impl Verdict {
    /// What a snapshot keeps of a run: what the scenario is about, the trace, and how the calls
    /// ended. Lines that repeat are counted instead of shown.
    pub fn text(&self, scenario: &Scenario) -> String {
        let mut text = String::new();
        for line in wrapped(&scenario.about) {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(
            text,
            "over {}, seed {}\n",
            self.transport.name(),
            self.report.plan.seed
        );
        if let Some(trace) = &self.report.trace {
            text.push_str(&folded(trace));
        }
        text.push('\n');
        let width = scenario.calls.iter().map(|call| call.name.len()).max();
        for (call, outcomes) in scenario.calls.iter().zip(&self.outcomes) {
            let mut ends: BTreeMap<String, usize> = BTreeMap::new();
            for outcome in outcomes {
                let how = match &outcome.ended {
                    Ok(value) if value.is_null() => "fine".to_owned(),
                    Ok(value) => value.to_string(),
                    Err((ending, _)) => ending.to_string(),
                };
                *ends.entry(how).or_default() += 1;
            }
            let total = outcomes.len();
            let ends: Vec<String> = ends
                .into_iter()
                .map(|(how, count)| match total {
                    1 => how,
                    _ => format!("{count} × {how}"),
                })
                .collect();
            let width = width.unwrap_or(0);
            let _ = write!(text, "{:<width$}  {}", call.name, ends.join(", "));
            let mut reads: BTreeMap<&str, u64> = BTreeMap::new();
            for (name, count) in outcomes.iter().flat_map(|outcome| &outcome.reads) {
                *reads.entry(name).or_default() += count;
            }
            let several = reads.len() > 1;
            for (name, count) in reads.into_iter().filter(|(_, count)| several || *count > 0) {
                let _ = write!(text, ", {count} read");
                if several {
                    let _ = write!(text, " from {name}");
                }
            }
            text.push('\n');
        }
        for problem in &self.problems {
            let _ = writeln!(text, "?? {problem}");
        }
        text
    }
}

/// Which lines are of one kind; `None` for those that are always shown.
fn kind(event: &TraceEvent) -> Option<(String, FrameKind)> {
    match &event.what {
        Happening::Frame(frame) => Some((frame.from.clone(), frame.verb)),
        Happening::Call { process, .. } => Some((process.clone(), FrameKind::Any)),
        Happening::Process { process, .. } => Some((format!("process {process}"), FrameKind::Any)),
        Happening::Link { link, .. } => Some((format!("link {link}"), FrameKind::Any)),
        Happening::Mark { name } => Some((format!("mark {name}"), FrameKind::Any)),
        Happening::Note { process, .. } => Some((format!("note {process}"), FrameKind::Any)),
        Happening::Fault { .. } | Happening::Failure { .. } => None,
    }
}

/// The trace, with the middle of every kind of line left out and counted.
pub(super) fn folded(trace: &Trace) -> String {
    let mut totals: BTreeMap<(String, FrameKind), usize> = BTreeMap::new();
    for event in &trace.events {
        if let Some(kind) = kind(event) {
            *totals.entry(kind).or_default() += 1;
        }
    }
    let mut seen: BTreeMap<(String, FrameKind), usize> = BTreeMap::new();
    let lines = trace.to_string();
    let mut gap = Gap::default();
    let mut text = String::new();
    // One event is one line, as the trace promises.
    for (event, line) in trace.events.iter().zip(lines.lines()) {
        let hidden = kind(event).is_some_and(|kind| {
            let total = totals[&kind];
            let at = seen.entry(kind).or_default();
            *at += 1;
            total > FIRST_MAX + LAST_MAX + 1 && *at > FIRST_MAX && *at + LAST_MAX <= total
        });
        if hidden {
            gap.add(event, line);
            continue;
        }
        gap.close(&mut text);
        text.push_str(line);
        text.push('\n');
    }
    gap.close(&mut text);
    text
}

/// Lines that are left out, unless they are few.
#[derive(Default)]
struct Gap<'l> {
    lines: Vec<&'l str>,
    counts: BTreeMap<String, u64>,
}

impl<'l> Gap<'l> {
    fn add(&mut self, event: &TraceEvent, line: &'l str) {
        if self.lines.len() < GAP_LINES_MIN {
            self.lines.push(line);
        }
        let what = match &event.what {
            Happening::Frame(frame) => format!("{} from {}", frame.verb, frame.from),
            Happening::Call { process, .. } => format!("lines of {process}'s calls"),
            Happening::Process { process, .. } => format!("changes of {process}"),
            Happening::Link { link, .. } => format!("changes of link {link}"),
            _ => "others".to_owned(),
        };
        *self.counts.entry(what).or_default() += 1;
    }

    fn close(&mut self, text: &mut String) {
        let counts = std::mem::take(&mut self.counts).into_iter();
        let lines = std::mem::take(&mut self.lines);
        if lines.len() < GAP_LINES_MIN {
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
            return;
        }
        let counts: Vec<String> = counts
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        let _ = writeln!(text, "       …  {}", counts.join(", "));
    }
}

/// Lines of at most a hundred characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if last.chars().count() + word.chars().count() >= 100 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
