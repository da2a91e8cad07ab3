//! What is printed, and what happens when that is not possible.
//!
//! A verdict does not depend on who reads it: when stdout is closed (`… | head`) the work goes on
//! quietly and ends with its own exit code. When stdout cannot be written for any other reason, a full
//! disk say, that is said on stderr and is an exit code of its own.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU8, Ordering};

/// Prints a line to stdout.
macro_rules! say {
    ($($word:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($word)*)))
    };
}

/// As `say!`, without a new line.
macro_rules! say_on {
    ($($word:tt)*) => {
        $crate::output::print(format_args!($($word)*))
    };
}

/// Prints a line to stderr. Unlike `eprintln!` it does not panic when that cannot be written: there
/// is no place left where it could be said.
macro_rules! complain {
    ($($word:tt)*) => {
        $crate::output::complain(format_args!($($word)*))
    };
}

/// Somebody may read it.
const OPEN: u8 = 0;
/// Nobody reads it any more.
const CLOSED: u8 = 1;
/// It cannot be written.
const BROKEN: u8 = 2;

/// What stdout is.
static STDOUT: AtomicU8 = AtomicU8::new(OPEN);

pub(crate) fn print(text: fmt::Arguments<'_>) {
    if is_open() {
        noted(io::stdout().lock().write_fmt(text));
    }
}

pub(crate) fn complain(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether what is printed may still be read.
pub(crate) fn is_open() -> bool {
    STDOUT.load(Ordering::Relaxed) == OPEN
}

/// Prints what is left; whether everything could be written that somebody wanted to read.
pub(crate) fn finish() -> bool {
    if is_open() {
        noted(io::stdout().lock().flush());
    }
    STDOUT.load(Ordering::Relaxed) != BROKEN
}

/// Remembers that stdout cannot be written, and says it once unless nobody wants to read.
pub(crate) fn noted(written: io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        STDOUT.store(CLOSED, Ordering::Relaxed);
    } else if STDOUT.swap(BROKEN, Ordering::Relaxed) != BROKEN {
        complain!("error: stdout cannot be written: {error}");
    }
}
