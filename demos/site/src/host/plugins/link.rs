//! Where a plugin runs: in a process of its own, or on the other end of a link inside this one.

use std::time::Duration;

use rapace::plugin::{Backoff, Plugin, PluginHost, Restart, ShmConfig, Wire};
use rapace::{Client, Session};

use super::FrontDesk;
use crate::host::error::BuildError;
use crate::plugins::markdown::SiteHostServer;
use crate::plugins::{self, Name};

/// How long a plugin may take to finish what it does when it is stopped, and then to end.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// How host and plugins are connected.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// One process per plugin, over shared memory.
    Shm,
    /// One process per plugin, over Unix sockets.
    Unix,
    /// All in this process.
    Mem,
}

impl Default for Transport {
    /// Shared memory where the plugins use it by themselves: on Linux.
    fn default() -> Self {
        if Wire::default() == Wire::Stream {
            Transport::Unix
        } else {
            Transport::Shm
        }
    }
}

/// A running plugin.
pub(super) struct Link {
    pub(super) name: Name,
    place: Place,
}

enum Place {
    /// Boxed because it is much larger than the other.
    Process(Box<PluginHost>),
    InProcess {
        host: Session,
        plugin: Session,
    },
}

impl Link {
    /// Starts the plugin and waits until it answers.
    ///
    /// `expendable` plugins are killed often and on purpose, so they come back without much delay.
    pub(super) async fn start(
        name: Name,
        transport: Transport,
        desk: FrontDesk,
        expendable: bool,
    ) -> Result<Self, BuildError> {
        let wire = match transport {
            Transport::Shm => Wire::Shm(ShmConfig::default()),
            Transport::Unix => Wire::Stream,
            Transport::Mem => {
                let place = connect(name, desk).await?;
                return Ok(Self { name, place });
            }
        };
        let process = spawn(name, desk, wire, expendable).await?;
        let place = Place::Process(Box::new(process));
        Ok(Self { name, place })
    }

    /// A plugin that was started elsewhere.
    #[cfg(test)]
    pub(super) fn to_process(name: Name, process: PluginHost) -> Self {
        let place = Place::Process(Box::new(process));
        Self { name, place }
    }

    /// A client of the plugin, which survives its restarts.
    pub(super) fn client<C: Client>(&self) -> C {
        match &self.place {
            Place::Process(process) => process.client(),
            Place::InProcess { host, .. } => host.client(),
        }
    }

    /// How often its process was started again.
    pub(super) fn restarts(&self) -> u64 {
        match &self.place {
            Place::Process(process) => process.restarts(),
            Place::InProcess { .. } => 0,
        }
    }

    /// SIGKILLs its process; says whether there was one.
    pub(super) fn kill(&self) -> bool {
        match &self.place {
            Place::Process(process) => process.kill(),
            Place::InProcess { .. } => false,
        }
    }

    /// Ends it in good order, and its process with it.
    pub(super) async fn shutdown(&self) {
        match &self.place {
            Place::Process(process) => {
                process.shutdown().await;
            }
            Place::InProcess { host, plugin } => {
                host.close().await;
                plugin.closed().await;
            }
        }
    }
}

/// Runs this very program as the plugin.
async fn spawn(
    name: Name,
    desk: FrontDesk,
    wire: Wire,
    expendable: bool,
) -> Result<PluginHost, BuildError> {
    let mut plugin = Plugin::current_exe()
        .args(["plugin", name.as_str()])
        .name(name.as_str())
        .wire(wire)
        .shutdown_timeouts(SHUTDOWN, SHUTDOWN)
        .restart(restart(expendable));
    if name == Name::Markdown {
        plugin = plugin.serve(SiteHostServer::new(desk));
    }
    let host = plugin.spawn().await?;
    host.ready().await?;
    Ok(host)
}

/// What happens after a plugin died.
pub(super) fn restart(expendable: bool) -> Restart {
    Restart::Always(Backoff {
        max: Duration::from_millis(if expendable { 20 } else { 1000 }),
        // What kills it may be a page that the author is about to put right, so it is never given
        // up. A call has its own end: its attempts are counted, and it has a deadline.
        limit: None,
        ..Backoff::default()
    })
}

/// Runs the plugin at the other end of a link inside this process.
async fn connect(name: Name, desk: FrontDesk) -> Result<Place, BuildError> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = plugins::serve(name, Session::builder()).accept(plugin_end)?;
    let host = match name {
        Name::Markdown => Session::builder().serve(SiteHostServer::new(desk)),
        _ => Session::builder(),
    };
    let host = host.connect(host_end)?;
    host.ready().await?;
    Ok(Place::InProcess { host, plugin })
}
