//! Which kind of link host and plugin use over the socket that they share.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use rapace_stream::StreamTransport;
use rapace_transport::Transport;
use tokio::net::UnixStream;

#[cfg(feature = "shm")]
use rapace_shm::{ShmConfig, os::SetUp};

#[cfg(feature = "shm")]
use crate::pending::PendingTransport;

/// The kind of link between a host and its plugin. The host chooses; the plugin follows.
///
/// Either way the two share a socket that the plugin inherits, and its hang-up is the end of the
/// link.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Wire {
    /// Shared memory, with the socket as its control socket: payloads are read where they were
    /// written, and a busy link makes no system call. The default where there is memory that only
    /// one process can write: on Linux.
    ///
    /// The configuration is that of the host's lane; the plugin chooses its own with
    /// [`PluginBuilder::shm`](crate::PluginBuilder::shm).
    #[cfg(feature = "shm")]
    Shm(ShmConfig),
    /// Frames on the socket itself (\[stream.frame\]).
    Stream,
}

impl Default for Wire {
    fn default() -> Self {
        #[cfg(all(feature = "shm", target_os = "linux"))]
        return Wire::Shm(ShmConfig::default());
        #[cfg(not(all(feature = "shm", target_os = "linux")))]
        Wire::Stream
    }
}

impl Wire {
    /// Its name in the environment of the plugin.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "shm")]
            Wire::Shm(_) => "shm",
            Wire::Stream => "stream",
        }
    }

    /// The kind of this name, as this build knows it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            #[cfg(feature = "shm")]
            "shm" => Some(Wire::Shm(ShmConfig::default())),
            "stream" => Some(Wire::Stream),
            _ => None,
        }
    }

    /// The host's end of a new link, and the socket for the plugin. Both sockets are CLOEXEC from
    /// the start.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O.
    pub(crate) fn link(&self) -> io::Result<(Box<dyn Transport>, OwnedFd)> {
        match self {
            #[cfg(feature = "shm")]
            Wire::Shm(config) => {
                let (ours, theirs) = rapace_shm::socket_pair().map_err(into_io)?;
                let begun = SetUp::begin(ours, config.clone()).map_err(into_io)?;
                let info = begun.info();
                // No time limit: that of the handshake includes this.
                let link = async move { begun.finish().await.map_err(Into::into) };
                Ok((Box::new(PendingTransport::new(info, link)), theirs))
            }
            Wire::Stream => {
                let (ours, theirs) = StdUnixStream::pair()?;
                Ok((stream(ours)?, theirs.into()))
            }
        }
    }

    /// The plugin's end.
    pub(crate) async fn accept(self, socket: OwnedFd) -> io::Result<Box<dyn Transport>> {
        match self {
            #[cfg(feature = "shm")]
            Wire::Shm(config) => {
                let link = rapace_shm::from_socket(socket, config).await;
                Ok(Box::new(link.map_err(into_io)?))
            }
            Wire::Stream => stream(socket.into()),
        }
    }
}

fn stream(socket: StdUnixStream) -> io::Result<Box<dyn Transport>> {
    socket.set_nonblocking(true)?;
    let socket = UnixStream::from_std(socket)?;
    Ok(Box::new(StreamTransport::from(socket)))
}

#[cfg(feature = "shm")]
fn into_io(error: rapace_shm::SetUpError) -> io::Error {
    match error {
        rapace_shm::SetUpError::System(error) => error,
        other => io::Error::other(other),
    }
}
