//! One line for each event.

use std::fmt::{self, Write as _};

use super::{CallEnd, FrameEvent, Happening, LinkChange, ProcessChange, Trace, TraceEvent};
use crate::fault::FrameKind;
use crate::time::Nanos;

/// Texts longer than this many characters are cut in a line; the data has them whole.
const TEXT_CHARS_MAX: usize = 120;

impl fmt::Display for Trace {
    /// The trace as text: what snapshots hold. Virtual time stands first, in milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = Columns::of(self);
        for event in &self.events {
            columns.line(f, event)?;
        }
        Ok(())
    }
}

/// Widths, so that the columns of a trace stand under each other.
struct Columns {
    time: usize,
    process: usize,
    channel: usize,
    /// Whether link names say anything that the processes at the ends do not.
    link: usize,
}

impl Columns {
    fn of(trace: &Trace) -> Self {
        let last = trace.events.last().map_or(Nanos::ZERO, |event| event.at);
        let names = trace.processes.iter().map(|name| name.chars().count());
        let mut channel = 1;
        for event in &trace.events {
            if let Happening::Frame(frame) = &event.what {
                channel = channel.max(frame.channel.to_string().len());
            }
        }
        let named_after_end = |link: &super::TraceLink| link.ends.contains(&link.name);
        let link = if trace.links.iter().all(named_after_end) {
            0
        } else {
            let names = trace.links.iter().map(|link| link.name.chars().count());
            names.max().unwrap_or(0)
        };
        Columns {
            time: millis(last).len().max(8),
            process: names.max().unwrap_or(0).max(4),
            channel,
            link,
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, event: &TraceEvent) -> fmt::Result {
        write!(f, "{:>width$}  ", millis(event.at), width = self.time)?;
        match &event.what {
            Happening::Frame(frame) => self.frame(f, event.at, frame),
            Happening::Fault { fault, hit } => {
                let hit = if *hit { "" } else { " (nothing to hit)" };
                writeln!(f, "!! {}{hit}", fault.what)
            }
            Happening::Process {
                process,
                life,
                change,
            } => {
                write!(f, "** {process}")?;
                if *life > 1 {
                    write!(f, " #{life}")?;
                }
                match change {
                    ProcessChange::Spawned => writeln!(f, " spawned"),
                    ProcessChange::Ready(peer) => writeln!(f, " ready for {peer}"),
                    ProcessChange::Killed => writeln!(f, " killed"),
                    ProcessChange::Exited(why) => writeln!(f, " exited: {}", cut(why)),
                    ProcessChange::Panicked(why) => writeln!(f, " panicked: {}", cut(why)),
                    ProcessChange::Hung => writeln!(f, " hangs"),
                    ProcessChange::Resumed => writeln!(f, " goes on"),
                    ProcessChange::Finished => writeln!(f, " finished"),
                }
            }
            Happening::Link { link, life, change } => {
                write!(f, "-- link {link}")?;
                if *life > 1 {
                    write!(f, " #{life}")?;
                }
                match change {
                    LinkChange::Up => writeln!(f, " up"),
                    LinkChange::Ended { at, reason } => {
                        writeln!(f, " ended at {at}: {}", cut(reason))
                    }
                }
            }
            Happening::Call {
                process,
                call,
                label,
                outcome,
            } => {
                write!(f, "-- {process} call {call} {}", cut(label))?;
                match outcome {
                    None => writeln!(f, " …"),
                    Some(CallEnd::Ok(value)) => writeln!(f, " = {}", cut(value)),
                    Some(CallEnd::Err(error)) => writeln!(f, " failed: {}", cut(error)),
                    Some(CallEnd::Dropped) => writeln!(f, " dropped"),
                }
            }
            Happening::Mark { name } => writeln!(f, "++ {name}"),
            Happening::Note { process, text } => writeln!(f, "-- {process}: {}", cut(text)),
            Happening::Failure { text } => writeln!(f, "?? {}", text.replace('\n', "⏎")),
        }
    }

    fn frame(&self, f: &mut fmt::Formatter<'_>, at: Nanos, frame: &FrameEvent) -> fmt::Result {
        if self.link > 0 {
            write!(f, "{:<width$}  ", frame.link, width = self.link)?;
        }
        let width = self.process;
        write!(f, "{:>width$} → {:<width$}  ", frame.from, frame.to)?;
        if frame.channel == 0 {
            write!(f, "{:>width$}  ", "", width = self.channel + 1)?;
        } else {
            write!(f, "#{:<width$}  ", frame.channel, width = self.channel)?;
        }
        write!(f, "{:<8}  ", frame.verb)?;
        let mut rest = String::new();
        if let Some(method) = &frame.method
            && matches!(frame.verb, FrameKind::Request | FrameKind::Response)
        {
            rest.push_str(method);
        }
        rest.push_str(&cut(&frame.text));
        if frame.verb == FrameKind::Data && frame.flags.iter().any(|flag| flag == "EOS") {
            rest.push_str(" end");
        }
        if let Some(deadline) = frame.deadline {
            write!(rest, " within {deadline}")?;
        }
        if let Some(credit) = frame.credit {
            write!(rest, " +{credit} bytes")?;
        }
        match frame.received {
            None => rest.push_str("  ✗ lost"),
            Some(then) if then > at => write!(rest, "  ({})", rounded(then - at))?,
            Some(_) => {}
        }
        writeln!(f, "{}", rest.trim())
    }
}

/// Milliseconds with microseconds, so that columns stand under each other.
fn millis(at: Nanos) -> String {
    format!("{}.{:03}", at.0 / 1_000_000, at.0 / 1_000 % 1_000)
}

/// A span in whole microseconds, or as it is when it is shorter.
fn rounded(span: Nanos) -> Nanos {
    if span.0 < 1_000 {
        span
    } else {
        Nanos(span.0 / 1_000 * 1_000)
    }
}

fn cut(text: &str) -> String {
    let text = text.replace('\n', "⏎");
    if text.chars().count() <= TEXT_CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(TEXT_CHARS_MAX - 1).collect();
    format!("{head}…")
}
