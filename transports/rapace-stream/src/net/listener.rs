//! Listening sockets.

use std::io;

#[cfg(unix)]
use rapace_transport::socket_file::SocketFile;
use tokio::net::TcpListener;

use super::{Address, NetError};
use crate::StreamTransport;

/// A listening socket.
///
/// The file of a Unix socket is removed when the listener is dropped, unless another process has
/// put its own file there meanwhile.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local_addr: Address,
}

#[derive(Debug)]
enum Socket {
    #[cfg(unix)]
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "removes the file on drop")] SocketFile,
    ),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens on `unix:PATH` or `tcp:HOST:PORT`.
    ///
    /// Whoever may write to a Unix socket's file may connect; its mode follows the process's
    /// umask, so put it in a directory that only its user can enter.
    ///
    /// A socket file that a dead process left behind is replaced; one on which somebody listens,
    /// and a file that is no socket, are not touched: `AddrInUse`.
    pub async fn bind(address: &str) -> Result<Self, NetError> {
        let address: Address = address.parse()?;
        let bound = match &address {
            #[cfg(unix)]
            Address::Unix(path) => bind_unix(path),
            Address::Tcp(host_port) => bind_tcp(host_port).await,
        };
        bound.map_err(|source| NetError::Io {
            doing: "listen on",
            address,
            source,
        })
    }

    /// The next connection. Cancel safe.
    ///
    /// A connection that its peer gave up while it waited is skipped. Other errors (no free
    /// descriptors, for example) concern this process, not the listener, which stays usable: wait
    /// a little before the next try.
    pub async fn accept(&self) -> Result<StreamTransport, NetError> {
        loop {
            let accepted = match &self.socket {
                #[cfg(unix)]
                Socket::Unix(listener, _) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| StreamTransport::from(stream)),
                Socket::Tcp(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| StreamTransport::from(stream)),
            };
            match accepted {
                Ok(transport) => return Ok(transport),
                Err(err) if err.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(source) => {
                    return Err(NetError::Io {
                        doing: "accept on",
                        address: self.local_addr.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// Where this listens; for TCP with the port that the system chose.
    pub fn local_addr(&self) -> &Address {
        &self.local_addr
    }
}

#[cfg(unix)]
fn bind_unix(path: &std::path::Path) -> io::Result<Listener> {
    let (listener, file) = SocketFile::bind(path, || tokio::net::UnixListener::bind(path))?;
    Ok(Listener {
        socket: Socket::Unix(listener, file),
        local_addr: Address::Unix(path.to_owned()),
    })
}

async fn bind_tcp(host_port: &str) -> io::Result<Listener> {
    let listener = TcpListener::bind(host_port).await?;
    let local_addr = Address::Tcp(listener.local_addr()?.to_string());
    Ok(Listener {
        socket: Socket::Tcp(listener),
        local_addr,
    })
}
