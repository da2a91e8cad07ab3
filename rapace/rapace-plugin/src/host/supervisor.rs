//! The task that starts, watches, restarts and stops one plugin.
//!
//! It alone holds the [`Process`], so the process cannot outlive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rapace_session::{Limits, Service, Session};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::error::{LifeEnd, PluginError};
use super::state::{PluginState, Shared, Stopped};
use crate::death::WatchedTransport;
use crate::process::{Exit, Launch, Process, Wanted};
use crate::restart::Restarts;

/// How long a process may take to end after SIGTERM before SIGKILL.
const TERMINATION_WAIT: Duration = Duration::from_millis(500);

/// What the handle wants; only ever raised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Wish {
    Run,
    Stop,
    Kill,
}

pub(super) struct Supervisor {
    pub(super) launch: Launch,
    pub(super) services: Vec<Arc<dyn Service>>,
    pub(super) limits: Limits,
    pub(super) host_name: Option<String>,
    pub(super) restarts: Restarts,
    pub(super) drain_timeout: Duration,
    pub(super) exit_timeout: Duration,
    pub(super) shared: Arc<Shared>,
    pub(super) wish: watch::Receiver<Wish>,
    pub(super) life: u64,
    /// Whether any life has been ready.
    pub(super) has_worked: bool,
}

/// A life that has begun: the process runs, the handshake has not been completed.
pub(super) struct Started {
    process: Process,
    session: Session,
    stopping: Arc<AtomicBool>,
    at: Instant,
}

enum Life {
    Ended(LifeEnd),
    Stopped(Stopped),
}

impl Supervisor {
    /// Starts the process and this side's session.
    pub(super) async fn start(&self) -> Result<Started, PluginError> {
        let at = Instant::now();
        let not_started = |error: std::io::Error| PluginError::NotStarted {
            plugin: self.shared.name.clone(),
            program: self.launch.program.clone(),
            error: error.into(),
        };
        // Before the process exists: this is where a runtime without I/O is found out.
        let (link, socket) = self.launch.wire.link().map_err(&not_started)?;
        let process = Process::spawn(&self.launch, socket)
            .await
            .map_err(not_started)?;
        self.shared.set_signaller(process.signaller());
        let stopping = Arc::new(AtomicBool::new(false));
        let transport = WatchedTransport {
            inner: link,
            exit: process.exit_watch(),
            stopping: stopping.clone(),
        };
        let mut session = Session::builder()
            .runtime(self.shared.runtime.clone())
            .limits(self.limits.clone());
        if let Some(name) = &self.host_name {
            session = session.name(name.clone());
        }
        for service in &self.services {
            session = session.serve_shared(service.clone());
        }
        let session = session.connect(transport).map_err(PluginError::Build)?;
        Ok(Started {
            process,
            session,
            stopping,
            at,
        })
    }

    /// Life after life, until the plugin is stopped or given up.
    pub(super) async fn run(mut self, first: Started) {
        let mut started = first;
        loop {
            let reason = match self.live(started).await {
                Life::Stopped(how) => {
                    return self.shared.publish(PluginState::Stopped(how), None);
                }
                Life::Ended(end) => PluginError::Ended(Arc::new(end)),
            };
            started = match self.next_life(reason).await {
                Ok(started) => started,
                Err(last) => return self.shared.publish(last, None),
            };
        }
    }

    /// One life, from the handshake to the end of the process.
    async fn live(&mut self, started: Started) -> Life {
        let Started {
            process,
            session,
            stopping,
            at,
        } = started;
        let (life, pid) = (self.life, process.pid);
        let mut was_ready = false;
        let end = tokio::select! {
            biased;
            _ = stop_wished(&mut self.wish) => None,
            ready = session.ready() => match ready {
                Err(end) => Some(end),
                Ok(()) => {
                    was_ready = true;
                    self.has_worked = true;
                    self.shared.publish(PluginState::Ready { life, pid }, Some(session.clone()));
                    tokio::select! {
                        biased;
                        _ = stop_wished(&mut self.wish) => None,
                        end = session.closed() => Some(end),
                    }
                }
            },
        };
        let Some(end) = end else {
            return Life::Stopped(self.stop(process, session, &stopping, was_ready).await);
        };
        let uptime = at.elapsed();
        self.shared
            .publish(PluginState::Stopping { life, pid }, None);
        // A plugin that said goodbye may finish what it does; one that broke the protocol or does
        // not answer any more may not, and one that died has ended already.
        if !end.is_clean() {
            process.want(Wanted::Kill);
        }
        let (exit, _) = self.end_process(&process).await;
        let plugin = self.shared.name.clone();
        let Exit {
            reason: exit,
            stderr,
        } = exit;
        Life::Ended(LifeEnd {
            plugin,
            session: end,
            exit,
            stderr,
            uptime,
            was_ready,
        })
    }

    /// Stops a plugin because the handle wants it.
    async fn stop(
        &mut self,
        process: Process,
        session: Session,
        stopping: &AtomicBool,
        was_ready: bool,
    ) -> Stopped {
        // Relaxed: the flag guards no other data.
        stopping.store(true, Ordering::Relaxed);
        let state = PluginState::Stopping {
            life: self.life,
            pid: process.pid,
        };
        self.shared.publish(state, None);
        let mut drained = false;
        if was_ready {
            tokio::select! {
                biased;
                () = kill_wished(&mut self.wish) => {}
                end = timeout(self.drain_timeout, session.close()) => {
                    drained = end.is_ok_and(|end| end.is_clean());
                }
            }
        }
        session.abort();
        let (exit, forced) = self.end_process(&process).await;
        Stopped {
            exit: exit.reason,
            drained,
            forced,
        }
    }

    /// Waits for the exit, and forces it when it does not come. Says whether it had to.
    async fn end_process(&mut self, process: &Process) -> (Exit, bool) {
        let mut exit = process.exit_watch();
        let patience = tokio::select! {
            biased;
            exit = exit.wait() => return (exit, false),
            () = kill_wished(&mut self.wish) => Duration::ZERO,
            () = sleep(self.exit_timeout) => TERMINATION_WAIT,
        };
        if !patience.is_zero() {
            process.want(Wanted::Termination);
            tokio::select! {
                biased;
                exit = exit.wait() => return (exit, true),
                () = kill_wished(&mut self.wish) => {}
                () = sleep(patience) => {}
            }
        }
        process.want(Wanted::Kill);
        (exit.wait().await, true)
    }

    /// Waits as long as the policy says and starts the plugin again; gives the last state when
    /// there is no next life.
    async fn next_life(&mut self, mut reason: PluginError) -> Result<Started, PluginState> {
        loop {
            if !self.has_worked {
                return Err(PluginState::Failed { error: reason });
            }
            let Some(restart_in) = self.restarts.next(Instant::now()) else {
                return Err(PluginState::Failed {
                    error: self.given_up(reason),
                });
            };
            self.shared
                .publish(PluginState::Down { reason, restart_in }, None);
            tokio::select! {
                biased;
                _ = stop_wished(&mut self.wish) => {
                    return Err(PluginState::Stopped(Stopped::default()));
                }
                () = sleep(restart_in) => {}
            }
            self.life = self.shared.count_restart();
            self.shared
                .publish(PluginState::Starting { life: self.life }, None);
            match self.start().await {
                Ok(started) => return Ok(started),
                Err(error) => reason = error,
            }
        }
    }

    fn given_up(&self, last: PluginError) -> PluginError {
        match self.restarts.recent() {
            0 => last,
            restarts => PluginError::GaveUp {
                plugin: self.shared.name.clone(),
                restarts,
                window: self.restarts.window(),
                last: Box::new(last),
            },
        }
    }
}

/// Ready when the plugin is to be stopped, in whatever way.
async fn stop_wished(wish: &mut watch::Receiver<Wish>) -> Wish {
    // A handle that vanished without a word was dropped with its runtime.
    wish.wait_for(|wish| *wish >= Wish::Stop)
        .await
        .map_or(Wish::Kill, |wish| *wish)
}

async fn kill_wished(wish: &mut watch::Receiver<Wish>) {
    let _ = wish.wait_for(|wish| *wish >= Wish::Kill).await;
}
