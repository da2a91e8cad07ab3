//! The `rapace` command as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Everything here takes milliseconds; a machine under load takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// What was not read as lines before.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running `rapace subject`; killed on drop.
pub(crate) struct Subject {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Subject {
    pub(crate) fn start(args: &[&str]) -> Subject {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rapace"))
            .arg("subject")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Subject {
            child,
            stdout,
            address: String::new(),
        }
    }

    /// Listens, and is ready when this returns.
    pub(crate) fn listen(address: &str, more: &[&str]) -> Subject {
        let mut subject = Subject::start(&[&["--listen", address], more].concat());
        let line = subject.line();
        let address = line.strip_prefix("listening ");
        let address = address.unwrap_or_else(|| panic!("first line {line:?}"));
        subject.address = String::from(address);
        subject
    }

    pub(crate) fn tcp(more: &[&str]) -> Subject {
        Subject::listen("tcp:127.0.0.1:0", more)
    }

    /// The next line on standard output, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line.trim_end_matches('\n').to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Outcome {
        let by = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < by, "the subject is still running");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("text");
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("a pipe");
        pipe.read_to_string(&mut stderr).expect("text");
        Outcome {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended; what counts is that nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
