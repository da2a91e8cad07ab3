//! Progress on standard error: bars on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How progress is shown.
pub(crate) enum Progress {
    /// Bars that redraw themselves.
    Bars {
        /// The bars.
        bars: MultiProgress,
        /// Whether they may have colours.
        colours: bool,
    },
    /// One line per phase.
    Lines,
    /// Not at all, for builds that take a moment and come often.
    Silent,
}

/// Lines of the log, written beside the bars.
struct BesideBars(MultiProgress);

/// A phase of the build, with a known number of things to do.
pub(crate) struct Phase {
    name: &'static str,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    lines: bool,
}

impl Progress {
    /// Bars if standard error is a terminal; colours unless `NO_COLOR` is set and not empty.
    pub(crate) fn detect() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::Bars {
            bars: MultiProgress::new(),
            colours,
        }
    }

    /// Shows the log from now on: errors, or what `RUST_LOG` asks for.
    pub(crate) fn show_log(&self) {
        let filter = EnvFilter::builder()
            .with_default_directive(LevelFilter::ERROR.into())
            .from_env_lossy();
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        match self {
            Self::Bars { bars, colours } => {
                let bars = bars.clone();
                log.with_ansi(*colours)
                    .with_writer(move || BesideBars(bars.clone()))
                    .init();
            }
            Self::Lines => log.with_ansi(false).with_writer(io::stderr).init(),
            Self::Silent => {}
        }
    }

    /// Begins a phase.
    pub(crate) fn phase(&self, name: &'static str, total: usize) -> Phase {
        let total = total as u64;
        let bar = match self {
            Self::Bars { bars, colours } => {
                let template = if *colours {
                    "{prefix:>9} {bar:30.cyan/dim} {pos:>3}/{len} {msg:.dim}"
                } else {
                    "{prefix:>9} {bar:30} {pos:>3}/{len} {msg}"
                };
                let style = ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = bars.add(ProgressBar::new(total));
                bar.set_style(style.progress_chars("━╸─"));
                bar.set_prefix(name);
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Self::Lines | Self::Silent => None,
        };
        Phase {
            name,
            total,
            done: AtomicU64::new(0),
            bar,
            lines: matches!(self, Self::Lines),
        }
    }

    /// Takes the bars away, half full as they are.
    pub(crate) fn clear(&self) {
        if let Self::Bars { bars, .. } = self {
            // Not worth failing for when the terminal is gone.
            let _ = bars.clear();
        }
    }

    /// Says something beside the bars.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Bars { bars, .. } => {
                // The note is not worth failing for when the terminal is gone.
                let _ = bars.println(text);
            }
            Self::Lines => eprintln!("{text}"),
            Self::Silent => {}
        }
    }
}

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Phase {
    /// Notes that one thing, named `what`, is done.
    pub(crate) fn tick(&self, what: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            bar.inc(1);
            if done == self.total {
                bar.finish_with_message("");
            }
        } else if self.lines && done == self.total {
            eprintln!("{} {done}/{}", self.name, self.total);
        }
    }
}
