//! Unix and TCP sockets.
//!
//! | module | owns |
//! |---|---|
//! | `address` | [`Address`]: `unix:PATH` and `tcp:HOST:PORT` as text |
//! | `listener` | [`Listener`], and the life of a Unix socket's file |
//!
//! Every descriptor made here is close-on-exec, so no child process inherits it (row 12).

mod address;
mod listener;

use std::{fmt, io};

pub use address::{Address, AddressError};
pub use listener::Listener;

use crate::StreamTransport;

/// Connects to `unix:PATH` or `tcp:HOST:PORT`.
///
/// Cancel safe: a connection that was half made is dropped. There is no timeout here; a TCP
/// connect to a silent host lasts as long as the system lets it.
pub async fn connect(address: &str) -> Result<StreamTransport, NetError> {
    let address: Address = address.parse()?;
    match &address {
        #[cfg(unix)]
        Address::Unix(path) => tokio::net::UnixStream::connect(path)
            .await
            .map(StreamTransport::from),
        Address::Tcp(host_port) => tokio::net::TcpStream::connect(host_port)
            .await
            .map(StreamTransport::from),
    }
    .map_err(|source| NetError::Io {
        doing: "connect to",
        address,
        source,
    })
}

/// Why a socket could not be made or used.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetError {
    /// The caller's text is no address.
    Address(AddressError),
    /// The system refused.
    Io {
        /// What was tried: `connect to`, `listen on`, `accept on`.
        doing: &'static str,
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetError::Address(err) => err.fmt(f),
            NetError::Io {
                doing,
                address,
                source,
            } => write!(f, "cannot {doing} {address}: {source}"),
        }
    }
}

impl std::error::Error for NetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NetError::Address(err) => Some(err),
            NetError::Io { source, .. } => Some(source),
        }
    }
}

impl From<AddressError> for NetError {
    fn from(err: AddressError) -> Self {
        NetError::Address(err)
    }
}
