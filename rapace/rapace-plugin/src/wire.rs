//! Which kind of link host and plugin use over the socket that they share.
//!
//! The one place to add another kind: shared memory, with this socket as its control socket.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;

use rapace_stream::StreamTransport;
use rapace_transport::Transport;
use tokio::net::UnixStream;

/// A kind of link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Wire {
    /// Frames on the socket itself (\[stream.frame\]).
    #[default]
    Stream,
}

impl Wire {
    /// Its name in the environment of the plugin.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wire::Stream => "stream",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Wire::Stream].into_iter().find(|wire| wire.name() == name)
    }

    /// The host's end.
    pub(crate) fn host(self, socket: UnixStream) -> Box<dyn Transport> {
        match self {
            Wire::Stream => Box::new(StreamTransport::from(socket)),
        }
    }

    /// The plugin's end.
    pub(crate) fn guest(self, socket: StdUnixStream) -> io::Result<Box<dyn Transport>> {
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        match self {
            Wire::Stream => Ok(Box::new(StreamTransport::from(socket))),
        }
    }
}
