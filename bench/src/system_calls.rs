//! Counts the system calls of running processes, with `perf stat`.
//!
//! perf is told over two pipes with names when to begin and to end, so that what is counted is a
//! round and nothing else. Counting slows each system call down: rounds that are counted are not
//! timed. Needs perf and the right to use tracepoints; without them nothing is counted.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;

const EVENT: &str = "raw_syscalls:sys_enter";
/// perf answers within milliseconds, or not at all.
const PATIENCE_MS: u16 = 3000;

/// Tries it on this process.
///
/// # Errors
///
/// Why counting does not work here.
pub(crate) fn check() -> Result<()> {
    let count = Count::start([std::process::id()])?;
    std::thread::yield_now();
    ensure!(count.stop()? > 0, "perf sees none");
    Ok(())
}

/// Counting in progress; ends unread when dropped.
pub(crate) struct Count {
    perf: Child,
    orders: File,
    answers: BufReader<File>,
    _folder: TempDir,
}

impl Count {
    /// Counts from when it returns.
    pub(crate) fn start(processes: impl IntoIterator<Item = u32>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (orders, answers) = (folder.path().join("orders"), folder.path().join("answers"));
        for pipe in [&orders, &answers] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        let processes: Vec<_> = processes.into_iter().map(|id| id.to_string()).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", EVENT, "--delay=-1"])
            .args(["-p", &processes.join(",")])
            .arg(format!(
                "--control=fifo:{},{}",
                orders.display(),
                answers.display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start perf")?;
        // Both ways, so that opening waits for nobody: perf may have ended instead.
        let open = |path| OpenOptions::new().read(true).write(true).open(path);
        let mut count = Self {
            perf,
            orders: open(&orders)?,
            answers: BufReader::new(open(&answers)?),
            _folder: folder,
        };
        count.order("enable")?;
        Ok(count)
    }

    /// How many there were since the start, in all processes.
    pub(crate) fn stop(mut self) -> Result<u64> {
        self.order("disable")?;
        kill(Pid::from_raw(self.perf.id() as i32), Signal::SIGINT)?;
        let mut told = String::new();
        let mut stderr = self.perf.stderr.take().context("stderr was piped")?;
        stderr.read_to_string(&mut told)?;
        let line = told.lines().find(|line| line.contains(EVENT));
        let count = line.and_then(|line| line.split(',').next());
        match count.with_context(|| format!("perf said {told:?}"))? {
            // No process did anything.
            "<not counted>" => Ok(0),
            count => count.parse().with_context(|| format!("perf said {told:?}")),
        }
    }

    /// Gives an order, and waits until it is carried out.
    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}")?;
        let mut answer = PollFd::new(self.answers.get_ref().as_fd(), PollFlags::POLLIN);
        let waiting = poll(std::slice::from_mut(&mut answer), PATIENCE_MS)?;
        ensure!(waiting > 0, "perf may not count here, or is missing");
        let mut said = Vec::new();
        self.answers.read_until(b'\n', &mut said)?;
        let said = String::from_utf8_lossy(&said);
        // perf ends its answers with a zero byte, which comes before the next one.
        let said = said.trim_matches(['\0', '\n']);
        ensure!(said == "ack", "perf said {said:?}");
        Ok(())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        // Gone already after `stop`.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_that_sleeps_makes_no_system_calls() {
        if let Err(error) = check() {
            eprintln!("skipped: {error:#}");
            return;
        }
        let mut idle = Command::new("sleep").arg("5").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let count = Count::start([idle.id()]).unwrap();
        assert_eq!(count.stop().unwrap(), 0);
        let this = Count::start([std::process::id()]).unwrap();
        drop(idle.try_wait());
        assert!(this.stop().unwrap() > 0);
        idle.kill().unwrap();
        idle.wait().unwrap();
    }
}
