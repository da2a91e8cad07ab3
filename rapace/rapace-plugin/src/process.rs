//! One life of a plugin process: started, watched, signalled, reaped.
//!
//! A task per process owns the [`Child`]: nobody else waits for it or signals it, so a signal can
//! never reach another process that got its number.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rapace_transport::ExitReason;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Level;

use crate::handover::{self, Handover};
use crate::output::{self, Output, Tail};
use crate::wire::Wire;
use crate::{os, spawner};

/// How long after the exit the last lines of output are waited for. They are in the pipe by then;
/// only a grandchild that inherited the pipe keeps it from ending.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);

/// How to start the process, as often as needed.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: Arc<str>,
    pub(crate) program: PathBuf,
    /// What the process is told it was started as, if not `program`.
    pub(crate) arg0: Option<OsString>,
    pub(crate) args: Vec<OsString>,
    /// In order; `None` removes.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) env_clear: bool,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) own_process_group: bool,
    pub(crate) wire: Wire,
    pub(crate) stdout_level: Option<Level>,
    pub(crate) stderr_level: Option<Level>,
    pub(crate) stderr_lines_max: usize,
}

impl Launch {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(arg0) = &self.arg0 {
            command.arg0(arg0);
        }
        command.args(&self.args);
        if self.env_clear {
            command.env_clear();
        }
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        if self.own_process_group {
            command.process_group(0);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    /// `None` when the system did not tell, for example because the host ignores SIGCHLD.
    pub(crate) reason: Option<ExitReason>,
    /// The last lines of its standard error, oldest first.
    pub(crate) stderr: Arc<[String]>,
}

/// What somebody wants to happen to the process; only ever raised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wanted {
    Life,
    Termination,
    Kill,
}

/// A process. Dropping it kills and reaps the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    exit: ExitWatch,
    wanted: Arc<watch::Sender<Wanted>>,
}

impl Process {
    /// Starts the process, which inherits `theirs` and is told that it is its end of
    /// [`Launch::wire`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub(crate) async fn spawn(launch: &Launch, theirs: OwnedFd) -> io::Result<Process> {
        let theirs = above_stdio(theirs)?;

        let mut command = launch.command();
        command.env(
            handover::VARIABLE,
            Handover::of(&launch.wire, &theirs)?.to_string(),
        );
        os::prepare_child(&mut command, theirs, rustix::process::getpid());
        let mut child = spawner::spawn(command).await?;

        let pid = child.id().unwrap_or_default();
        let tail = Arc::new(Tail::new(launch.stderr_lines_max));
        let stdout = child.stdout.take().map(|pipe| {
            let name = launch.name.clone();
            let level = launch.stdout_level;
            tokio::spawn(output::forward(
                pipe,
                name,
                pid,
                Output::Stdout,
                level,
                None,
            ))
        });
        let stderr = child.stderr.take().map(|pipe| {
            let name = launch.name.clone();
            let level = launch.stderr_level;
            let tail = Some(tail.clone());
            tokio::spawn(output::forward(
                pipe,
                name,
                pid,
                Output::Stderr,
                level,
                tail,
            ))
        });
        let (exit_sender, exit) = watch::channel(None);
        let (wanted, wanted_receiver) = watch::channel(Wanted::Life);
        let watch = Watch {
            child,
            pipes: [stdout, stderr],
            tail: tail.clone(),
            group: launch.own_process_group,
            wanted: wanted_receiver,
            exit: exit_sender,
        };
        tokio::spawn(watch.run());
        Ok(Process {
            pid,
            exit: ExitWatch { exit, tail },
            wanted: Arc::new(wanted),
        })
    }

    /// Tells of the process's end to whoever holds it, without keeping the process alive.
    pub(crate) fn exit_watch(&self) -> ExitWatch {
        self.exit.clone()
    }

    /// Signals the process without keeping it alive.
    pub(crate) fn signaller(&self) -> Signaller {
        Signaller {
            wanted: Arc::downgrade(&self.wanted),
        }
    }

    /// Asks for the process's end; does not wait for it.
    pub(crate) fn want(&self, wanted: Wanted) {
        raise(&self.wanted, wanted);
    }
}

/// See [`Process::signaller`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Signaller {
    wanted: Weak<watch::Sender<Wanted>>,
}

impl Signaller {
    /// Whether there still was a process to signal.
    pub(crate) fn want(&self, wanted: Wanted) -> bool {
        match self.wanted.upgrade() {
            Some(sender) => {
                raise(&sender, wanted);
                true
            }
            None => false,
        }
    }
}

fn raise(sender: &watch::Sender<Wanted>, wanted: Wanted) {
    sender.send_if_modified(|current| {
        let raised = wanted > *current;
        *current = wanted.max(*current);
        raised
    });
}

/// Tells when and how the process ended.
#[derive(Clone, Debug)]
pub(crate) struct ExitWatch {
    exit: watch::Receiver<Option<Exit>>,
    tail: Arc<Tail>,
}

impl ExitWatch {
    /// Waits for its end. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Exit {
        let exit = self
            .exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| exit.clone());
        // The watching task is only dropped early when its runtime is, which kills the process.
        exit.unwrap_or_else(|| Exit {
            reason: None,
            stderr: self.tail.lines(),
        })
    }

    /// The last lines of its standard error so far.
    pub(crate) fn stderr(&self) -> Arc<[String]> {
        self.tail.lines()
    }
}

/// The task that owns the child.
struct Watch {
    child: Child,
    pipes: [Option<JoinHandle<()>>; 2],
    tail: Arc<Tail>,
    group: bool,
    wanted: watch::Receiver<Wanted>,
    exit: watch::Sender<Option<Exit>>,
}

impl Watch {
    async fn run(mut self) {
        let mut abandoned = false;
        let status = loop {
            tokio::select! {
                biased;
                status = self.child.wait() => break status,
                changed = self.wanted.changed(), if !abandoned => {
                    // Nobody wants the process any more once all senders are gone.
                    abandoned = changed.is_err();
                    let wanted =
                        if abandoned { Wanted::Kill } else { *self.wanted.borrow_and_update() };
                    self.signal(wanted);
                }
            }
        };
        let deadline = tokio::time::Instant::now() + OUTPUT_GRACE;
        for pipe in self.pipes.iter_mut().flatten() {
            if tokio::time::timeout_at(deadline, &mut *pipe).await.is_err() {
                pipe.abort();
            }
        }
        let reason = status.ok().and_then(exit_reason);
        self.exit.send_replace(Some(Exit {
            reason,
            stderr: self.tail.lines(),
        }));
    }

    /// The child has not been waited for yet, so its number is still its own.
    fn signal(&self, wanted: Wanted) {
        let signal = match wanted {
            Wanted::Life => return,
            Wanted::Termination => Signal::TERM,
            Wanted::Kill => Signal::KILL,
        };
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id as i32)) else {
            return;
        };
        // Fails only for a process that is dead already.
        let _ = if self.group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
    }
}

fn exit_reason(status: ExitStatus) -> Option<ExitReason> {
    match (status.code(), status.signal()) {
        (Some(code), _) => Some(ExitReason::Code(code)),
        (None, Some(signal)) => Some(ExitReason::Signal(signal)),
        (None, None) => None,
    }
}

/// A host whose own standard streams are closed can get a number below 3 for the socket, which
/// the child's standard streams would overwrite.
fn above_stdio(socket: OwnedFd) -> io::Result<OwnedFd> {
    if socket.as_raw_fd() > 2 {
        return Ok(socket);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&socket, 3)?)
}

#[cfg(test)]
mod tests;
