//! What a plugin prints: forwarded line by line to tracing, the last lines of its standard error
//! kept for the report of its death.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::Level;

/// Bytes of a line that are forwarded and kept; the rest of a longer line is dropped.
const LINE_BYTES_MAX: usize = 4096;
/// Bytes read at once.
const READ_BYTES: usize = 8192;

/// The last lines that somebody wrote, oldest first.
#[derive(Debug)]
pub(crate) struct Tail {
    lines: Mutex<VecDeque<String>>,
    lines_max: usize,
}

impl Tail {
    pub(crate) fn new(lines_max: usize) -> Self {
        Tail {
            lines: Mutex::default(),
            lines_max,
        }
    }

    pub(crate) fn lines(&self) -> Arc<[String]> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    fn push(&self, line: &str) {
        if self.lines_max == 0 {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == self.lines_max {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Forwards everything that comes out of `pipe` until its end.
pub(crate) async fn forward(
    mut pipe: impl AsyncRead + Unpin,
    plugin: Arc<str>,
    pid: u32,
    output: Output,
    level: Option<Level>,
    tail: Option<Arc<Tail>>,
) {
    let mut lines = Lines::default();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let mut emit = |line: &str| {
        if let Some(tail) = &tail {
            tail.push(line);
        }
        if let Some(level) = level {
            emit_event(level, &plugin, pid, output, line);
        }
    };
    loop {
        buffer.clear();
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => lines.push(&buffer, &mut emit),
        }
    }
    lines.finish(&mut emit);
}

/// tracing fixes the level where the event is written, so there is one such place per level.
fn emit_event(level: Level, plugin: &str, pid: u32, output: Output, line: &str) {
    macro_rules! at {
        ($level:expr) => {
            match output {
                Output::Stdout => {
                    tracing::event!(target: "rapace::plugin", $level, plugin, pid, output = "stdout", "{line}");
                }
                Output::Stderr => {
                    tracing::event!(target: "rapace::plugin", $level, plugin, pid, output = "stderr", "{line}");
                }
            }
        };
    }
    match level {
        Level::ERROR => at!(Level::ERROR),
        Level::WARN => at!(Level::WARN),
        Level::INFO => at!(Level::INFO),
        Level::DEBUG => at!(Level::DEBUG),
        Level::TRACE => at!(Level::TRACE),
    }
}

/// Makes bytes into lines, in whatever pieces they come.
#[derive(Default)]
struct Lines {
    /// The beginning of the line that is not complete yet.
    started: Vec<u8>,
    /// Whether that line is already longer than what is kept of it.
    cut: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.complete(emit);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// The last line need not end with a newline.
    fn finish(&mut self, emit: &mut impl FnMut(&str)) {
        if !self.started.is_empty() {
            self.complete(emit);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.started.len();
        self.cut |= bytes.len() > room;
        self.started
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn complete(&mut self, emit: &mut impl FnMut(&str)) {
        let line = String::from_utf8_lossy(&self.started);
        if mem::take(&mut self.cut) {
            emit(&format!("{line}… (cut)"));
        } else {
            emit(line.strip_suffix('\r').unwrap_or(&line));
        }
        self.started.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let mut all = Vec::new();
        let mut lines = Lines::default();
        let mut emit = |line: &str| all.push(line.to_owned());
        for piece in pieces {
            lines.push(piece, &mut emit);
        }
        lines.finish(&mut emit);
        all
    }

    #[test]
    fn lines_are_found_however_the_bytes_are_cut() {
        let text = b"one\r\ntwo\n\nthree \xC3\xA9t\xC3\xA9\nbad \xFF\nno newline";
        let whole = lines_of(&[text]);
        assert_eq!(
            whole,
            ["one", "two", "", "three été", "bad \u{FFFD}", "no newline"]
        );
        for at in 0..text.len() {
            assert_eq!(lines_of(&[&text[..at], &text[at..]]), whole, "cut at {at}");
        }
    }

    #[test]
    fn a_line_without_end_holds_bounded_memory() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut emit = |line: &str| seen.push(line.len());
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], &mut emit);
        }
        assert!(lines.started.capacity() <= 2 * LINE_BYTES_MAX);
        lines.push(b"\nnext\n", &mut emit);
        assert_eq!(seen, [LINE_BYTES_MAX + "… (cut)".len(), 4]);
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let tail = Tail::new(2);
        for line in ["a", "b", "c"] {
            tail.push(line);
        }
        assert_eq!(&*tail.lines(), ["b", "c"]);
        let none = Tail::new(0);
        none.push("a");
        assert!(none.lines().is_empty());
    }
}
