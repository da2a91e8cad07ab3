//! From a connected socket to a link.
//!
//! Both sides do the same at the same time: make a lane and two bells, send them in one record,
//! and wait for the peer's. Neither side waits before it has sent, so neither can wait for ever,
//! and a peer that stays silent is given up after [`SET_UP_TIMEOUT`].

use std::future::poll_fn;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use std::{fmt, io};

use rapace_transport::{Death, LinkError, LinkInfo};

use super::address::Address;
use super::bell::Bell;
use super::error::refused;
use super::mapping::Mapping;
use super::memory_file::{self, Refused};
use super::platform::Os;
use super::record::{Record, VERSION};
use super::socket::{Received, Socket};
use crate::transport::Parts;
use crate::{Memory, ShmConfig, ShmTransport};

/// How long the peer may take for its part of setting up a link. A process that was just started
/// does it within milliseconds of its `main`.
pub const SET_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a link of a connected socket, for example one end of [`socket_pair`] that this process has
/// inherited. The peer does the same with the other end.
///
/// Needs a tokio runtime with I/O and time. Cancel safe: nothing is left behind, and the peer sees
/// the hang-up.
///
/// # Errors
///
/// See [`SetUpError`].
///
/// # Panics
///
/// In a tokio runtime without I/O or without time.
pub async fn from_socket(
    socket: OwnedFd,
    config: ShmConfig,
) -> Result<ShmTransport<Os>, SetUpError> {
    let begun = SetUp::begin(socket, config)?;
    match tokio::time::timeout(SET_UP_TIMEOUT, begun.finish()).await {
        Ok(done) => done,
        Err(_) => Err(SetUpError::TimedOut),
    }
}

/// A connected pair of sockets of the kind that [`from_socket`] takes, both close-on-exec: one end
/// for this process and one for a child to inherit.
///
/// # Errors
///
/// No descriptor is left.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd), SetUpError> {
    new_pair().map_err(|err| SetUpError::System(refused("create a pair of sockets", err)))
}

#[cfg(target_os = "linux")]
fn new_pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

#[cfg(not(target_os = "linux"))]
fn new_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    // The standard library sets close-on-exec the best way that each system has.
    let (one, other) = std::os::unix::net::UnixStream::pair()?;
    Ok((one.into(), other.into()))
}

/// Both ends of a link within this process: for tests and measurements.
///
/// # Errors
///
/// See [`SetUpError`].
pub async fn pair(config: ShmConfig) -> Result<(ShmTransport<Os>, ShmTransport<Os>), SetUpError> {
    let (one, other) = socket_pair()?;
    let (one, other) = (from_socket(one, config.clone()), from_socket(other, config));
    futures_util::future::try_join(one, other).await
}

/// This side of a link, before the peer has done anything: [`from_socket`] in two steps, for who
/// has to know that the local part works before there is a peer.
#[derive(Debug)]
pub struct SetUp {
    config: ShmConfig,
    control: Socket,
    own: Mapping,
    own_data: Bell,
    own_room: Bell,
    for_peer: ForPeer,
}

/// What the peer gets. A link that stands does without these descriptors.
#[derive(Debug)]
struct ForPeer {
    lane: OwnedFd,
    data: OwnedFd,
    room: OwnedFd,
    process: Option<OwnedFd>,
}

impl SetUp {
    /// Makes this side's lane and bells. Needs nothing of the peer, and neither waits nor sends.
    ///
    /// # Errors
    ///
    /// [`SetUpError::System`]: no memory or no descriptor is left, for example.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O.
    pub fn begin(socket: OwnedFd, config: ShmConfig) -> Result<Self, SetUpError> {
        Self::begin_here(socket, config).map_err(SetUpError::System)
    }

    fn begin_here(socket: OwnedFd, config: ShmConfig) -> io::Result<Self> {
        let control = Socket::new(socket)?;
        let own = memory_file::create(config.lane_len_bytes())?;
        crate::prepare_lane(&own, &config);
        let (own_data, data) = Bell::create()?;
        let (own_room, room) = Bell::create()?;
        let for_peer = ForPeer {
            lane: own.take_file()?,
            data,
            room,
            process: own_process(),
        };
        Ok(SetUp {
            config,
            control,
            own,
            own_data,
            own_room,
            for_peer,
        })
    }

    /// What the link will say of itself.
    pub fn info(&self) -> LinkInfo {
        crate::transport::link_info(&self.config)
    }

    /// Exchanges the descriptors with the peer, however long it takes for its part.
    ///
    /// Cancel safe: nothing is left behind, and the peer sees the hang-up.
    ///
    /// # Errors
    ///
    /// See [`SetUpError`]; never [`SetUpError::TimedOut`].
    pub async fn finish(self) -> Result<ShmTransport<Os>, SetUpError> {
        let config = self.config.clone();
        let parts = self.exchange().await?;
        ShmTransport::new(parts, config).map_err(|err| match err {
            LinkError::Malformed(what) => SetUpError::Malformed(what.as_ref().to_owned().into()),
            err => SetUpError::Link(err),
        })
    }

    /// As [`SetUp::finish`], but gives out what a link is made of: for who puts something of its own
    /// around the memory, the bells or the control socket, such as a test that kills a process at
    /// its k-th store.
    ///
    /// Cancel safe, as [`SetUp::finish`].
    ///
    /// # Errors
    ///
    /// See [`SetUpError`]; never [`SetUpError::TimedOut`] nor [`SetUpError::Link`].
    pub async fn exchange(self) -> Result<Parts<Os>, SetUpError> {
        let SetUp {
            config: _,
            control,
            own,
            own_data,
            own_room,
            for_peer,
        } = self;
        send_hello(&control, own.len_bytes() as u64, &for_peer).await?;
        drop(for_peer);
        let Hello {
            bytes,
            lane,
            data,
            room,
            process,
        } = receive_hello(&control).await?;
        let peer = open(lane, bytes)?;
        let peer_data = Bell::of_peer(data).map_err(SetUpError::System)?;
        let peer_room = Bell::of_peer(room).map_err(SetUpError::System)?;
        if let Some(process) = process
            && control.watch_process(process).is_err()
        {
            let what = "what it sent as its process cannot be watched";
            return Err(SetUpError::Malformed(what.into()));
        }
        Ok(Parts {
            own,
            peer,
            own_data,
            own_room,
            peer_data,
            peer_room,
            control,
        })
    }
}

async fn send_hello(control: &Socket, bytes: u64, sent: &ForPeer) -> Result<(), SetUpError> {
    let record = Record::Hello {
        bytes,
        with_process: sent.process.is_some(),
    };
    let mut descriptors = vec![sent.lane.as_fd(), sent.data.as_fd(), sent.room.as_fd()];
    descriptors.extend(sent.process.as_ref().map(AsFd::as_fd));
    let sent = poll_fn(|cx| control.poll_send_record(cx, record, &descriptors)).await;
    sent.map_err(|err| match err.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => SetUpError::HungUp,
        _ => SetUpError::System(err),
    })
}

/// What the peer has sent.
struct Hello {
    bytes: u64,
    lane: OwnedFd,
    data: OwnedFd,
    room: OwnedFd,
    process: Option<OwnedFd>,
}

async fn receive_hello(control: &Socket) -> Result<Hello, SetUpError> {
    let received = poll_fn(|cx| control.poll_receive(cx)).await;
    let malformed = |what: &'static str| Err(SetUpError::Malformed(what.into()));
    let (bytes, descriptors) = match received.map_err(SetUpError::System)? {
        Received::Record(Record::Hello { bytes, .. }, descriptors) => (bytes, descriptors),
        Received::Record(..) => return malformed("its first record is no hello"),
        Received::HungUp => return Err(SetUpError::HungUp),
        Received::Version(theirs) => {
            let ours = VERSION;
            return Err(SetUpError::Version { ours, theirs });
        }
        Received::Malformed(what) => return malformed(what),
    };
    let mut descriptors = descriptors.into_iter();
    match (descriptors.next(), descriptors.next(), descriptors.next()) {
        (Some(lane), Some(data), Some(room)) => Ok(Hello {
            bytes,
            lane,
            data,
            room,
            process: descriptors.next(),
        }),
        _ => malformed("its hello lacks descriptors"),
    }
}

fn open(lane: OwnedFd, bytes: u64) -> Result<Mapping, SetUpError> {
    memory_file::open(lane, bytes).map_err(|refused| match refused {
        Refused::Malformed(what) => SetUpError::Malformed(what),
        Refused::System(err) => SetUpError::System(err),
    })
}

/// This process, for the peer to watch. A peer without it sees the hang-up of the socket, which is
/// later only if a child of this process keeps the socket open.
#[cfg(target_os = "linux")]
fn own_process() -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, getpid, pidfd_open};
    pidfd_open(getpid(), PidfdFlags::NONBLOCK).ok()
}

#[cfg(not(target_os = "linux"))]
fn own_process() -> Option<OwnedFd> {
    None
}

/// Why there is no link.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetUpError {
    /// The peer did not do its part within [`SET_UP_TIMEOUT`]: it hangs, or is no rapace peer.
    TimedOut,
    /// The peer closed its end, or died, before the link stood.
    HungUp,
    /// The peer was built with another version of rapace, whose set-up differs.
    Version {
        /// The version of the set-up here.
        ours: u32,
        /// The version of the peer.
        theirs: u32,
    },
    /// The peer sent what no rapace peer sends.
    Malformed(std::borrow::Cow<'static, str>),
    /// The local system refused; holds a [`SystemError`](super::SystemError) that says what and
    /// what to do about it.
    System(io::Error),
    /// A listener or a connection could not be had at this address.
    Address {
        /// What was tried: `connect to`, `listen on`, `accept on`.
        doing: &'static str,
        /// Where.
        address: Address,
        /// What the system said; `AddrInUse` when somebody else listens there.
        source: io::Error,
    },
    /// The link was set up, and ended at once.
    Link(LinkError),
}

impl fmt::Display for SetUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetUpError::TimedOut => write!(
                f,
                "the peer did not set up its side of the link within {} s: it hangs, or it speaks \
                 another transport",
                SET_UP_TIMEOUT.as_secs()
            ),
            SetUpError::HungUp => {
                f.write_str("the peer closed its end, or died, before the link was set up")
            }
            SetUpError::Version { ours, theirs } => write!(
                f,
                "the peer sets up shared memory by version {theirs}, this side by version {ours}: \
                 build both with the same rapace"
            ),
            SetUpError::Malformed(what) => write!(f, "the peer broke the set-up: {what}"),
            SetUpError::System(err) => err.fmt(f),
            SetUpError::Address {
                doing,
                address,
                source,
            } => {
                write!(f, "cannot {doing} {address}: {source}")?;
                match source.kind() {
                    io::ErrorKind::AddrInUse => f.write_str("; another process listens there"),
                    io::ErrorKind::ConnectionRefused => {
                        f.write_str("; nobody listens there any more")
                    }
                    io::ErrorKind::NotFound => f.write_str("; nobody listens there"),
                    _ => Ok(()),
                }
            }
            SetUpError::Link(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for SetUpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SetUpError::System(err) => Some(err),
            SetUpError::Address { source, .. } => Some(source),
            SetUpError::Link(err) => Some(err),
            _ => None,
        }
    }
}

impl From<SetUpError> for LinkError {
    /// For links that are set up while somebody waits for their first frame already.
    fn from(error: SetUpError) -> Self {
        let text = error.to_string();
        match error {
            SetUpError::HungUp => LinkError::PeerDied(Death::seen(text)),
            SetUpError::Version { .. } | SetUpError::Malformed(_) => {
                LinkError::Malformed(text.into())
            }
            SetUpError::TimedOut | SetUpError::System(_) | SetUpError::Address { .. } => {
                LinkError::Io(text.into())
            }
            SetUpError::Link(error) => error,
        }
    }
}
