//! The file of a listening Unix socket: claimed from a dead owner, removed with the listener.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Which file a path names at some time: device and inode.
type FileId = (u64, u64);

/// A socket's file, removed on drop if the path still names it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: FileId,
}

impl SocketFile {
    /// Binds a socket to `path` with `bind`.
    ///
    /// A socket file that a dead process left behind is replaced; `bind` is called a second time
    /// then.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where somebody listens at `path`, or may, and where it names a file that is no
    /// socket: neither is touched. Otherwise what `bind` returns.
    pub fn bind<T>(path: &Path, bind: impl Fn() -> io::Result<T>) -> io::Result<(T, SocketFile)> {
        let socket = match bind() {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse => replace_stale(path, bind)?,
            other => other?,
        };
        // The path is looked at once more at the end; a relative one must mean the same then.
        let path = std::path::absolute(path)?;
        let id = socket_at(&path)?;
        Ok((socket, SocketFile { path, id }))
    }
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

/// Removes the socket file of a dead process, and binds.
///
/// The lock on the directory keeps two processes that both found the file stale from removing each
/// other's new one.
fn replace_stale<T>(path: &Path, bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let absolute = std::path::absolute(path)?;
    let directory = File::open(absolute.parent().unwrap_or(Path::new("/")))?;
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(TryLockError::Error(err)) => return Err(err),
    }
    let found = socket_at(path)?;
    // A datagram socket cannot connect to one of another kind, so that asking leaves no connection
    // with a listener that lives. A dead one refuses before kinds are compared.
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
    bind()
}
