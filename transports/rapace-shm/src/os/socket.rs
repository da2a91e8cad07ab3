//! The control socket: records and descriptors, in both directions, and the end of the peer.
//!
//! A Unix socket that keeps records apart (SEQPACKET) where there is such a thing, and a stream of
//! fixed records otherwise. It stays open as long as the link and carries next to nothing; what it
//! is there for is to **end**: the kernel hangs it up when the last process that holds the other end
//! is gone, and this side sees that at once, without sending anything (row 11).
//!
//! A process that the peer has started by `fork` may hold that end open beyond the peer's death
//! (row 12). So on Linux the peer hands over a pidfd of itself as well, and its end counts as
//! hang-up too.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketType, recvmsg, sendmsg, shutdown,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::{refused, refused_because};
use super::mapping::Mapping;
use super::memory_file::{self, Refused};
use super::record::{NoRecord, RECORD, Record, VERSION};
use super::watched::watch;
use crate::{Control, Incoming, Memory, Outgoing};

/// The most descriptors that a record carries.
const DESCRIPTORS: usize = 4;

/// One end of a control socket. Needs a tokio runtime with I/O.
#[derive(Debug)]
pub struct Socket {
    fd: AsyncFd<OwnedFd>,
    /// Whether the system keeps records apart.
    keeps_records: bool,
    /// What has come of a record, on a stream.
    partial: Mutex<Partial>,
    /// See [`Control::expect_message`].
    expecting: AtomicBool,
    /// The peer's process, where it could be had.
    process: OnceLock<AsyncFd<OwnedFd>>,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What arrived, or did not.
#[derive(Debug)]
pub(super) enum Received {
    /// A record with exactly its descriptors.
    Record(Record, Vec<OwnedFd>),
    /// The peer is gone.
    HungUp,
    /// The peer speaks another version.
    Version(u32),
    /// The peer broke the protocol.
    Malformed(&'static str),
}

impl Socket {
    /// Takes over a connected Unix socket.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let doing = "use this descriptor as a control socket";
        let kind = rustix::net::sockopt::socket_type(&fd).map_err(|err| refused(doing, err))?;
        if kind != SocketType::SEQPACKET && kind != SocketType::STREAM {
            return Err(refused_because(
                doing,
                io::ErrorKind::InvalidInput,
                "it has to be a connected Unix socket of the kind that rapace_shm::socket_pair makes",
            ));
        }
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
            .and_then(|()| rustix::fs::fcntl_setfl(&fd, rustix::fs::OFlags::NONBLOCK))
            .map_err(|err| refused(doing, err))?;
        let fd = watch(fd, Interest::READABLE | Interest::WRITABLE)
            .map_err(|err| refused("watch a control socket", err))?;
        Ok(Socket {
            fd,
            keeps_records: kind == SocketType::SEQPACKET,
            partial: Mutex::default(),
            expecting: AtomicBool::new(false),
            process: OnceLock::new(),
        })
    }

    /// From now on the end of this process, a pidfd, is the end of the peer.
    pub(super) fn watch_process(&self, process: OwnedFd) -> io::Result<()> {
        let process = watch(process, Interest::READABLE)
            .map_err(|err| refused("watch the process of the peer", err))?;
        // Set once, by set-up.
        let _ = self.process.set(process);
        Ok(())
    }

    /// Sends a record with its descriptors, or nothing.
    pub(super) fn poll_send_record(
        &self,
        cx: &mut Context<'_>,
        record: Record,
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<()>> {
        debug_assert_eq!(record.descriptors(), descriptors.len());
        let bytes = record.to_bytes();
        loop {
            let mut ready = std::task::ready!(self.fd.poll_write_ready(cx))?;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                let fits = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
                debug_assert!(fits, "no record has more than {DESCRIPTORS} descriptors");
            }
            let sent = sendmsg(
                self.fd.get_ref(),
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                SEND_FLAGS,
            );
            match sent {
                Ok(RECORD) => return Poll::Ready(Ok(())),
                // A record is far below what any system takes at once, so that this is a system
                // which cannot do what it says.
                Ok(_) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(err) => {
                    // Most likely the peer is gone, which receiving tells for certain: its hang-up
                    // has come by now, and the runtime may not have heard of it yet.
                    self.expecting.store(true, Ordering::Relaxed);
                    return Poll::Ready(Err(refused("send on a control socket", err)));
                }
            }
        }
    }

    /// The next record.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        loop {
            // The process before the socket: what the peer sent before it died is there when its
            // death is, so that a look at the socket after that misses nothing.
            let process = match self.process.get() {
                Some(process) => process.poll_read_ready(cx).map_ok(drop),
                None => Poll::Pending,
            };
            let dead = process.is_ready();
            let socket = self.fd.poll_read_ready(cx);
            if let Poll::Ready(Err(err)) = process {
                return Poll::Ready(Err(err));
            }
            // Relaxed: whoever polls after it was set, in whatever thread, asks the system.
            let expecting = self.expecting.load(Ordering::Relaxed);
            if socket.is_pending() && !dead && !expecting {
                return Poll::Pending;
            }
            match self.receive() {
                Ok(Some(received)) => return Poll::Ready(Ok(received)),
                Ok(None) => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    if dead {
                        return Poll::Ready(Ok(Received::HungUp));
                    }
                    self.expecting.store(false, Ordering::Relaxed);
                    if let Poll::Ready(ready) = socket {
                        ready?.clear_ready();
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Poll::Ready(Err(err)),
            }
        }
    }

    /// Receives once; `None` when a record is not complete yet.
    fn receive(&self) -> io::Result<Option<Received>> {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; RECORD];
        let wanted = RECORD - partial.bytes.len();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            self.fd.get_ref(),
            &mut [IoSliceMut::new(&mut buffer[..wanted])],
            &mut ancillary,
            RECEIVE_FLAGS,
        );
        let message = match received {
            Ok(message) => message,
            Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Some(Received::HungUp)),
            Err(err @ (Errno::AGAIN | Errno::INTR)) => return Err(err.into()),
            Err(err) => return Err(refused("receive on a control socket", err)),
        };
        let before = partial.descriptors.len();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                partial.descriptors.extend(descriptors);
            }
        }
        #[cfg(not(target_os = "linux"))]
        for descriptor in &partial.descriptors[before..] {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            // The kernel cuts off descriptors for two reasons: there is no room in this buffer, or
            // there is none in this process.
            return if partial.descriptors.len() - before < DESCRIPTORS {
                Err(refused("receive descriptors", Errno::MFILE))
            } else {
                Ok(Some(Received::Malformed(
                    "too many descriptors in a control record",
                )))
            };
        }
        if message.bytes == 0 {
            return Ok(Some(if partial.bytes.is_empty() {
                Received::HungUp
            } else {
                Received::Malformed("its control socket ended within a record")
            }));
        }
        partial
            .bytes
            .extend_from_slice(&buffer[..message.bytes.min(wanted)]);
        let cut = message.flags.contains(ReturnFlags::TRUNC);
        if self.keeps_records && (cut || message.bytes != RECORD) {
            return Ok(Some(Received::Malformed(
                "a control record of the wrong length",
            )));
        }
        if partial.descriptors.len() > DESCRIPTORS {
            return Ok(Some(Received::Malformed(
                "too many descriptors in a control record",
            )));
        }
        let Ok(bytes) = <&[u8; RECORD]>::try_from(partial.bytes.as_slice()) else {
            return Ok(None);
        };
        let record = Record::from_bytes(bytes);
        let Partial { descriptors, .. } = std::mem::take(&mut *partial);
        Ok(Some(match record {
            Ok(record) if record.descriptors() == descriptors.len() => {
                Received::Record(record, descriptors)
            }
            Ok(_) => Received::Malformed("a control record with the wrong number of descriptors"),
            Err(NoRecord::Version(version)) => Received::Version(version),
            Err(NoRecord::Malformed(what)) => Received::Malformed(what),
        }))
    }
}

#[cfg(target_os = "linux")]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC.union(RecvFlags::DONTWAIT);
#[cfg(not(target_os = "linux"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::DONTWAIT;

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
/// There a socket option says that a lost peer is an error and no signal; Rust programs ignore that
/// signal from their start anyhow.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;

impl Drop for Socket {
    fn drop(&mut self) {
        // Closing alone would not end the link if a child of this process, between `fork` and
        // `exec`, held this end too.
        let _ = shutdown(self.fd.get_ref(), Shutdown::Both);
    }
}

impl Control for Socket {
    type Memory = Mapping;

    fn create(&self, bytes: usize) -> io::Result<Mapping> {
        memory_file::create(bytes)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &Outgoing<'_, Mapping>,
    ) -> Poll<io::Result<()>> {
        match *message {
            Outgoing::Segment { serial, memory } => {
                let bytes = memory.len_bytes() as u64;
                let record = Record::Segment { serial, bytes };
                let file = memory.take_file()?;
                let sent = self.poll_send_record(cx, record, &[file.as_fd()]);
                if sent.is_pending() {
                    memory.put_back_file(file);
                }
                sent
            }
            Outgoing::Drop { serial } => self.poll_send_record(cx, Record::Drop { serial }, &[]),
        }
    }

    fn expect_message(&self) {
        self.expecting.store(true, Ordering::Relaxed);
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Mapping>>> {
        self.poll_receive(cx).map(|received| match received? {
            Received::HungUp => Ok(Incoming::HungUp),
            Received::Malformed(what) => Ok(Incoming::Malformed(what.into())),
            Received::Version(version) => Ok(Incoming::Malformed(
                format!("a control record of version {version}; here it is {VERSION}").into(),
            )),
            Received::Record(Record::Hello { .. }, _) => Ok(Incoming::Malformed(
                "a second hello on the control socket".into(),
            )),
            Received::Record(Record::Drop { serial }, _) => Ok(Incoming::Drop { serial }),
            Received::Record(Record::Segment { serial, bytes }, descriptors) => {
                segment(serial, bytes, descriptors)
            }
        })
    }
}

fn segment(serial: u32, bytes: u64, descriptors: Vec<OwnedFd>) -> io::Result<Incoming<Mapping>> {
    let Some(file) = descriptors.into_iter().next() else {
        return Ok(Incoming::Malformed("a segment without its memory".into()));
    };
    match memory_file::open(file, bytes) {
        Ok(memory) => Ok(Incoming::Segment { serial, memory }),
        Err(Refused::Malformed(what)) => Ok(Incoming::Malformed(what)),
        Err(Refused::System(err)) => Err(err),
    }
}
