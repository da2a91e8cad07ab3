//! Listening sockets, and the life of a Unix socket's file.

use std::io;

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
        #[expect(dead_code, reason = "removes the file on drop")] unix::SocketFile,
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
            Address::Unix(path) => unix::bind(path).map(|(listener, file)| Listener {
                socket: Socket::Unix(listener, file),
                local_addr: address.clone(),
            }),
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

async fn bind_tcp(host_port: &str) -> io::Result<Listener> {
    let listener = TcpListener::bind(host_port).await?;
    let local_addr = Address::Tcp(listener.local_addr()?.to_string());
    Ok(Listener {
        socket: Socket::Tcp(listener),
        local_addr,
    })
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, TryLockError};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};

    use tokio::net::UnixListener;

    /// Which file a path named at some time: device and inode.
    type FileId = (u64, u64);

    /// A socket's file, removed on drop if the path still names it.
    #[derive(Debug)]
    pub(super) struct SocketFile {
        path: PathBuf,
        id: FileId,
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if socket_at(&self.path).is_ok_and(|id| id == self.id) {
                // Nobody is left to tell, and a file that stays is replaced by the next bind.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// The socket that `path` names; other kinds of file are an error.
    fn socket_at(path: &Path) -> io::Result<FileId> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.file_type().is_socket() {
            Ok((metadata.dev(), metadata.ino()))
        } else {
            Err(io::ErrorKind::AddrInUse.into())
        }
    }

    pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        // The id is taken from the path later; relative paths must still mean the same then.
        let path = std::path::absolute(path)?;
        let listener = match UnixListener::bind(&path) {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse => replace_stale(&path)?,
            other => other?,
        };
        let id = socket_at(&path)?;
        Ok((listener, SocketFile { path, id }))
    }

    /// Removes the socket file of a dead process and binds.
    ///
    /// The lock on the directory keeps two processes that both found the file stale from
    /// removing each other's new one.
    fn replace_stale(path: &Path) -> io::Result<UnixListener> {
        let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(TryLockError::Error(err)) => return Err(err),
        }
        let found = socket_at(path)?;
        // A datagram socket cannot connect to a stream socket, so asking leaves no connection in
        // the queue of a listener that lives; but a dead one refuses before types are compared.
        match UnixDatagram::unbound()?.connect(path) {
            Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            // Somebody listens, or it cannot be known.
            Ok(()) | Err(_) => return Err(io::ErrorKind::AddrInUse.into()),
        }
        match socket_at(path) {
            Ok(now) if now == found => fs::remove_file(path)?,
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
        UnixListener::bind(path)
    }
}
