//! The peers, one file each: its server, its client, and how it was configured for speed.
//!
//! Adding one: a file with `serve` and `connect` (or, in process, `start`), a variant of [`Peer`],
//! and a line in each `match` here.

pub(crate) mod channel;
pub(crate) mod descriptors;
pub(crate) mod eventfd;
pub(crate) mod iceoryx2;
pub(crate) mod link;
pub(crate) mod rapace;
pub(crate) mod raw;
pub(crate) mod ring;
mod rounds;
pub(crate) mod tarpc;
pub(crate) mod tonic;

use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;
use tokio::net::UnixListener;

use self::eventfd::Sleep;
use crate::client::Subject;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// rapace over a Unix socket.
    Rapace,
    /// rapace over shared memory.
    RapaceShm,
    /// The floor of two processes: frames by hand on a tokio Unix socket.
    Raw,
    /// tarpc over its Unix transport, with bincode.
    Tarpc,
    /// tonic (gRPC over HTTP/2) over a Unix socket.
    Tonic,
    /// iceoryx2 in shared memory, polling.
    Iceoryx2,
    /// rapace's shared memory without a session.
    RapaceLink,
    /// Its ring of descriptors alone.
    RapaceRing,
    /// The floor of shared memory: bare rings, both sides spinning.
    Ring,
    /// The floor of waking a process: blocking reads of an eventfd.
    Eventfd,
    /// The same in tokio tasks, through AsyncFd.
    EventfdTokio,
    /// rapace within one process.
    RapaceMem,
    /// The floor in one process: tokio's mpsc and oneshot channels.
    Channel,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rapace => "rapace",
            Self::RapaceShm => "rapace-shm",
            Self::Raw => "raw",
            Self::Tarpc => "tarpc",
            Self::Tonic => "tonic",
            Self::Iceoryx2 => "iceoryx2",
            Self::RapaceLink => "rapace-link",
            Self::RapaceRing => "rapace-ring",
            Self::Ring => "ring",
            Self::Eventfd => "eventfd",
            Self::EventfdTokio => "eventfd-tokio",
            Self::RapaceMem => "rapace-mem",
            Self::Channel => "channel",
        }
    }

    /// Whether both sides are in one process; otherwise they are two on a Unix socket.
    pub(crate) fn in_process(self) -> bool {
        match self {
            Self::RapaceMem | Self::Channel => true,
            Self::Rapace
            | Self::RapaceShm
            | Self::Raw
            | Self::Tarpc
            | Self::Tonic
            | Self::Iceoryx2
            | Self::RapaceLink
            | Self::RapaceRing
            | Self::Ring
            | Self::Eventfd
            | Self::EventfdTokio => false,
        }
    }

    /// Serves one connection after another until the process ends.
    pub(crate) async fn serve(self, listener: UnixListener) -> Result<()> {
        match self {
            Self::Rapace => rapace::serve(listener).await,
            Self::RapaceShm => rapace::serve_shared(listener).await,
            Self::Raw => raw::serve(listener).await,
            Self::Tarpc => tarpc::serve(listener).await,
            Self::Tonic => tonic::serve(listener).await,
            Self::Iceoryx2 => iceoryx2::serve(listener).await,
            Self::RapaceLink => link::serve(listener).await,
            Self::RapaceRing => descriptors::serve(listener).await,
            Self::Ring => ring::serve(listener).await,
            Self::Eventfd => eventfd::serve(listener, Sleep::Blocking).await,
            Self::EventfdTokio => eventfd::serve(listener, Sleep::Tokio).await,
            Self::RapaceMem | Self::Channel => bail!("{} has no server process", self.name()),
        }
    }

    /// Connects to a server process.
    pub(crate) async fn connect(self, socket: &Path) -> Result<Box<dyn Subject>> {
        Ok(match self {
            Self::Rapace => Box::new(rapace::connect(socket).await?),
            Self::RapaceShm => Box::new(rapace::connect_shared(socket).await?),
            Self::Raw => Box::new(raw::connect(socket).await?),
            Self::Tarpc => Box::new(tarpc::connect(socket).await?),
            Self::Tonic => Box::new(tonic::connect(socket).await?),
            Self::Iceoryx2 => Box::new(iceoryx2::connect(socket)?),
            Self::RapaceLink => Box::new(link::connect(socket).await?),
            Self::RapaceRing => Box::new(descriptors::connect(socket)?),
            Self::Ring => Box::new(ring::connect(socket)?),
            Self::Eventfd => Box::new(eventfd::connect(socket, Sleep::Blocking)?),
            Self::EventfdTokio => Box::new(eventfd::connect(socket, Sleep::Tokio)?),
            Self::RapaceMem | Self::Channel => bail!("{} has no server process", self.name()),
        })
    }

    /// Starts both sides in this process; needs a tokio runtime around it.
    pub(crate) fn start(self) -> Result<Box<dyn Subject>> {
        Ok(match self {
            Self::RapaceMem => Box::new(rapace::start()?),
            Self::Channel => Box::new(channel::start()),
            _ => bail!("{} needs a server", self.name()),
        })
    }
}
