//! The server process: this binary again, driven over its stdin and stdout.
//!
//! The server says `listening` once it is. After that each line on its stdin asks for the CPU time
//! it has used, which it answers in nanoseconds; when stdin closes it exits. So a server cannot
//! outlive the run, however that ends, and the question costs it nothing while it is measured.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::net::UnixListener;

use crate::args::Runtime;
use crate::machine;
use crate::peers::Peer;

const LISTENING: &str = "listening";

/// A server process, seen from the one that measures; ends when dropped.
pub(crate) struct Server(Process);

impl Server {
    /// Returns once the server listens on `socket`.
    pub(crate) fn start(peer: Peer, socket: &Path, runtime: Runtime) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["server", peer.name()])
            .arg(socket)
            .args(["--runtime", runtime.argument()]);
        let mut process = Process::start(&mut command)?;
        process.expect(LISTENING)?;
        Ok(Self(process))
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.0.child.id()
    }

    /// CPU time the server has used so far, in user and kernel mode.
    pub(crate) fn cpu(&mut self) -> Result<Duration> {
        self.0
            .stdin
            .write_all(b"cpu\n")
            .context("the server process has ended")?;
        Ok(Duration::from_nanos(self.0.line()?.parse()?))
    }
}

/// A process of this binary, which exits when its stdin closes; killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start a child process")?;
        let stdin = child.stdin.take().context("stdin was piped")?;
        let stdout = child.stdout.take().context("stdout was piped")?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// Waits for the word with which a child says that it is ready.
    pub(crate) fn expect(&mut self, word: &str) -> Result<()> {
        let said = self.line()?;
        ensure!(
            said == word,
            "the child process said {said:?} instead of {word:?}"
        );
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to finish; that it may be gone already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server process itself.
pub(crate) fn serve(peer: Peer, socket: &Path, runtime: Runtime) -> Result<()> {
    runtime.build()?.block_on(async {
        let listener = UnixListener::bind(socket).context("bind the server's socket")?;
        println!("{LISTENING}");
        std::thread::spawn(answer_questions);
        peer.serve(listener).await
    })
}

fn answer_questions() {
    for _question in std::io::stdin().lock().lines() {
        match machine::cpu_time() {
            Ok(cpu) => println!("{}", cpu.as_nanos()),
            Err(error) => eprintln!("server: {error:#}"),
        }
    }
    std::process::exit(0);
}
