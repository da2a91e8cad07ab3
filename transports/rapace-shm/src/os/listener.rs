//! Links between processes that find each other by an address.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rapace_transport::socket_file::SocketFile;
use rustix::io::Errno;
use rustix::net::{SocketType, bind, connect as connect_socket, listen};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use super::address::Address;
use super::error::refused;
use super::platform::Os;
use super::set_up::{SET_UP_TIMEOUT, SetUpError, from_socket};
use super::watched::watch;
use crate::{ShmConfig, ShmTransport};

/// Connections whose set-up may be under way at once. Further ones wait in the backlog.
const SETTING_UP_MAX: usize = 64;

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 128;

#[cfg(target_os = "linux")]
const KIND: SocketType = SocketType::SEQPACKET;
#[cfg(not(target_os = "linux"))]
const KIND: SocketType = SocketType::STREAM;

/// Connects to a [`Listener`] of another process and sets up a link.
///
/// Needs a tokio runtime with I/O and time; takes at most [`SET_UP_TIMEOUT`] twice. Cancel safe.
///
/// # Errors
///
/// [`SetUpError::Address`] when nobody listens there; others as [`from_socket`].
pub async fn connect(
    address: impl Into<Address>,
    config: ShmConfig,
) -> Result<ShmTransport<Os>, SetUpError> {
    let address = address.into();
    let connected = tokio::time::timeout(SET_UP_TIMEOUT, connected_socket(&address)).await;
    let socket = connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| SetUpError::Address {
            doing: "connect to",
            address,
            source,
        })?;
    from_socket(socket, config).await
}

async fn connected_socket(address: &Address) -> io::Result<OwnedFd> {
    let socket = new_socket(KIND)?;
    let target = address.to_socket()?;
    let mut pause = Duration::from_millis(1);
    loop {
        match connect_socket(&socket, &target) {
            Ok(()) => return Ok(socket),
            Err(Errno::INTR) => {}
            // The backlog of the listener is full, and no event tells when it has room again.
            Err(Errno::AGAIN) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Err(err) => return Err(err.into()),
        }
    }
}

/// A close-on-exec, non-blocking Unix socket.
#[cfg(target_os = "linux")]
fn new_socket(kind: SocketType) -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, kind, flags, None)
        .map_err(|err| refused("create a socket", err))
}

#[cfg(not(target_os = "linux"))]
fn new_socket(kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, kind, None)
        .map_err(|err| refused("create a socket", err))?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&socket, rustix::fs::OFlags::NONBLOCK)?;
    Ok(socket)
}

/// Waits for processes that [`connect`].
///
/// Its socket's file is removed when it is dropped, unless another process has put its own there
/// meanwhile. Connections whose set-up is under way are closed then; links that stand go on.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
    address: Address,
    config: ShmConfig,
    setting_up: JoinSet<Result<ShmTransport<Os>, SetUpError>>,
    _file: Option<SocketFile>,
}

impl Listener {
    /// Listens at `address`; every link gets a lane of this `config`.
    ///
    /// A socket file that a dead process has left behind is replaced; one on which somebody
    /// listens, and a file that is no socket, are not touched. The mode of the file follows the
    /// process's umask, so put it into a directory that only its user can enter. Needs a tokio
    /// runtime with I/O.
    ///
    /// # Errors
    ///
    /// [`SetUpError::Address`], with `AddrInUse` when somebody listens there.
    pub fn bind(address: impl Into<Address>, config: ShmConfig) -> Result<Self, SetUpError> {
        let mut address = address.into();
        if let Address::Path(path) = &mut address
            && let Ok(absolute) = std::path::absolute(&path)
        {
            // A relative path must still mean the same when the file is removed.
            *path = absolute;
        }
        match listening_socket(&address) {
            Ok((socket, file)) => Ok(Listener {
                socket,
                address,
                config,
                setting_up: JoinSet::new(),
                _file: file,
            }),
            Err(source) => Err(SetUpError::Address {
                doing: "listen on",
                address,
                source,
            }),
        }
    }

    /// The next link. Cancel safe.
    ///
    /// Connections are set up at the same time, so that a silent one holds up nobody; they come in
    /// the order in which they are ready.
    ///
    /// # Errors
    ///
    /// What kept one connection from becoming a link. It concerns that connection, and the listener
    /// stays usable, except that [`SetUpError::Address`] concerns this process (no descriptor is
    /// left, for example): wait a little before the next try then.
    pub async fn accept(&mut self) -> Result<ShmTransport<Os>, SetUpError> {
        loop {
            let may_accept = self.setting_up.len() < SETTING_UP_MAX;
            tokio::select! {
                biased;
                Some(done) = self.setting_up.join_next() => match done {
                    Ok(link) => return link,
                    Err(failed) => match failed.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // The runtime is being shut down, and this task with it.
                        Err(_) => std::future::pending().await,
                    },
                },
                accepted = accepted_socket(&self.socket), if may_accept => {
                    let socket = accepted.map_err(|source| SetUpError::Address {
                        doing: "accept on",
                        address: self.address.clone(),
                        source,
                    })?;
                    self.setting_up.spawn(from_socket(socket, self.config.clone()));
                }
            }
        }
    }

    /// Where this listens.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }
}

/// The next connection. Cancel safe: nothing is waited for after it was accepted.
async fn accepted_socket(listener: &AsyncFd<OwnedFd>) -> io::Result<OwnedFd> {
    loop {
        let mut ready = listener.readable().await?;
        match accept_socket(listener.get_ref()) {
            Ok(socket) => return Ok(socket),
            Err(Errno::AGAIN) => ready.clear_ready(),
            // Its peer gave the connection up while it waited.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(err) => return Err(refused("accept a connection", err)),
        }
    }
}

#[cfg(target_os = "linux")]
fn accept_socket(listener: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, accept_with};
    accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

#[cfg(not(target_os = "linux"))]
fn accept_socket(listener: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::accept(listener)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

fn listening_socket(address: &Address) -> io::Result<(AsyncFd<OwnedFd>, Option<SocketFile>)> {
    let socket = new_socket(KIND)?;
    let target = address.to_socket()?;
    let bind = || Ok(bind(&socket, &target)?);
    let file = match address {
        Address::Path(path) => Some(SocketFile::bind(path, bind)?.1),
        Address::Abstract(_) => {
            bind()?;
            None
        }
    };
    listen(&socket, BACKLOG)?;
    let socket = watch(socket, Interest::READABLE)?;
    Ok((socket, file))
}
