//! Raw bytes both ways.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use facet::Shape;
use rapace_codec::{Port, PortError, PortKind};
use rapace_core::session::{PortKind as WireKind, SendBlocked};
use rapace_core::{ChannelId, Payload};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::attach::{Outgoing, PortAccept, PortAttach};
use super::link::PortLink;
use super::receiver::Receiver;
use crate::caller::Link;
use crate::encode;
use crate::error::StreamError;

/// The most bytes that one frame of a tunnel carries. Smaller than the window, so that both ends
/// work at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A pipe of bytes in both directions that hangs on a call (\[tunnel\]): `AsyncRead` and
/// `AsyncWrite`.
///
/// Who passes one to a call makes a pair and keeps the other end: see [`Tunnel::pair`]. Who gets
/// one as an argument or return value just uses it. `shutdown` ends the sending direction only
/// (half-close); dropping it ends both.
///
/// Writes wait while the reader's window is full (\[credit\]).
pub struct Tunnel {
    end: End,
}

enum End {
    /// Bound to a channel, or soon to be.
    Live(Arc<TunnelEnd>),
    /// To be passed to a call; the other end of the pair is held by the user.
    ToPass(Mutex<Option<Arc<TunnelEnd>>>),
}

/// The user's end of a tunnel; knows its channel once the call is under way.
pub(crate) struct TunnelEnd {
    state: Mutex<TunnelState>,
}

enum TunnelState {
    Unbound {
        reader: Option<Waker>,
        writer: Option<Waker>,
        dropped: bool,
    },
    Bound(Box<Bound>),
    Failed(StreamError),
}

struct Bound {
    receiver: Receiver,
    /// What was received and not yet read.
    rest: Bytes,
}

impl Tunnel {
    /// Two ends: keep the first, pass the second to a call.
    ///
    /// ```ignore
    /// let (mut tunnel, remote) = Tunnel::pair();
    /// let copied = tokio::spawn(client.pipe(remote));
    /// tunnel.write_all(b"hello").await?;
    /// tunnel.shutdown().await?;
    /// ```
    pub fn pair() -> (Tunnel, Tunnel) {
        let state = TunnelState::Unbound {
            reader: None,
            writer: None,
            dropped: false,
        };
        let end = Arc::new(TunnelEnd {
            state: Mutex::new(state),
        });
        let kept = Tunnel {
            end: End::Live(end.clone()),
        };
        let passed = Tunnel {
            end: End::ToPass(Mutex::new(Some(end))),
        };
        (kept, passed)
    }
}

impl TunnelEnd {
    fn bound(session: Link, link: Arc<PortLink>) -> Arc<Self> {
        let bound = Bound {
            receiver: Receiver::new(session, link),
            rest: Bytes::new(),
        };
        Arc::new(TunnelEnd {
            state: Mutex::new(TunnelState::Bound(Box::new(bound))),
        })
    }

    fn lock(&self) -> MutexGuard<'_, TunnelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call is under way: the tunnel's channel is open.
    pub(super) fn bind(&self, session: Link, link: Arc<PortLink>) {
        let bound = Bound {
            receiver: Receiver::new(session, link),
            rest: Bytes::new(),
        };
        self.change(TunnelState::Bound(Box::new(bound)));
    }

    /// The call never came to be.
    pub(super) fn fail(&self, error: &StreamError) {
        self.change(TunnelState::Failed(error.clone()));
    }

    fn change(&self, next: TunnelState) {
        let mut state = self.lock();
        let TunnelState::Unbound {
            reader,
            writer,
            dropped,
        } = &mut *state
        else {
            return;
        };
        let wakers = [reader.take(), writer.take()];
        if *dropped {
            // Nobody holds the kept end: dropping the bound half cancels the channel.
            drop(state);
            drop(next);
            return;
        }
        *state = next;
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let bound = match &mut *state {
            TunnelState::Bound(bound) => bound,
            TunnelState::Unbound { reader, .. } => {
                *reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            TunnelState::Failed(error) => return Poll::Ready(Err(error.clone().into())),
        };
        while bound.rest.is_empty() {
            match ready!(bound.receiver.poll_next(cx)) {
                Some(Ok(payload)) => bound.rest = payload.into_bytes(),
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = bound.rest.len().min(buf.remaining());
        buf.put_slice(&bound.rest[..len]);
        if len == bound.rest.len() {
            // Even without bytes it would keep the link's memory, for which the peer may be waiting
            // before it can send the next.
            bound.rest = Bytes::new();
        } else {
            bound.rest.advance(len);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let bound = match &mut *state {
            TunnelState::Bound(bound) => bound,
            TunnelState::Unbound { writer, .. } => {
                *writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            TunnelState::Failed(error) => return Poll::Ready(Err(error.clone().into())),
        };
        bound.poll_write(cx, bytes)
    }

    fn poll_write_shared(&self, cx: &mut Context<'_>, bytes: &Bytes) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        match &mut *state {
            TunnelState::Bound(bound) => bound.poll_write_shared(cx, bytes),
            TunnelState::Unbound { writer, .. } => {
                *writer = Some(cx.waker().clone());
                Poll::Pending
            }
            TunnelState::Failed(error) => Poll::Ready(Err(error.clone().into())),
        }
    }

    fn poll_read_shared(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.lock();
        let bound = match &mut *state {
            TunnelState::Bound(bound) => bound,
            TunnelState::Unbound { reader, .. } => {
                *reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            TunnelState::Failed(error) => return Poll::Ready(Err(error.clone().into())),
        };
        if !bound.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut bound.rest))));
        }
        loop {
            match ready!(bound.receiver.poll_next(cx)) {
                Some(Ok(payload)) if payload.is_empty() => {}
                Some(Ok(payload)) => return Poll::Ready(Ok(Some(payload.into_bytes()))),
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        match &mut *state {
            TunnelState::Bound(bound) => bound.poll_shutdown(cx),
            TunnelState::Unbound { writer, .. } => {
                *writer = Some(cx.waker().clone());
                Poll::Pending
            }
            TunnelState::Failed(error) => Poll::Ready(Err(error.clone().into())),
        }
    }

    fn drop_kept(&self) {
        let mut state = self.lock();
        if let TunnelState::Unbound { dropped, .. } = &mut *state {
            *dropped = true;
            return;
        }
        let ended = std::mem::replace(&mut *state, TunnelState::Failed(StreamError::Unattached));
        drop(state);
        drop(ended);
    }
}

impl Bound {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (channel, room) = ready!(self.poll_room(cx))?;
        let len = bytes.len().min(CHUNK_BYTES).min(room);
        let shared = self.receiver.session().shared();
        // Without the session's lock: others send meanwhile, and the room cannot shrink.
        let payload = encode::copied(&bytes[..len], shared.outlet());
        self.poll_send(cx, channel, payload)
    }

    /// Sends the front of `bytes` as it is; returns how much of it.
    fn poll_write_shared(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &Bytes,
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (channel, room) = ready!(self.poll_room(cx))?;
        let shared = self.receiver.session().shared();
        let whole = shared
            .lender
            .as_ref()
            .is_some_and(|lender| lender.owns(bytes));
        // A frozen loan costs the same however long it is; elsewhere both ends work at once on
        // smaller pieces.
        let len_max = if whole { usize::MAX } else { CHUNK_BYTES };
        let len = bytes.len().min(len_max).min(room);
        self.poll_send(cx, channel, Payload::from(bytes.slice(..len)))
    }

    /// The channel, and how many bytes may be sent on it now: 1 if none, since the attempt to send
    /// is what tells the core that somebody waits.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<(ChannelId, usize)>> {
        let link = self.receiver.link();
        if link.is_sending_finished() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let channel = ready!(link.poll_channel(cx))?;
        let state = self.receiver.session().shared().lock();
        let credit = state.core.send_credit(channel).unwrap_or(0).max(0);
        let room = usize::try_from(credit)
            .unwrap_or(usize::MAX)
            .min(state.core.payload_limit() as usize)
            .max(1);
        Poll::Ready(Ok((channel, room)))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        channel: ChannelId,
        payload: Payload,
    ) -> Poll<io::Result<usize>> {
        let len = payload.len();
        let shared = self.receiver.session().shared();
        let now = shared.runtime.now();
        let mut state = shared.lock();
        self.receiver.link().watch_writable(cx);
        match state.core.send_data(channel, payload, false) {
            Ok(()) => {
                shared.settle(state, now);
                Poll::Ready(Ok(len))
            }
            Err((SendBlocked::Closed | SendBlocked::TooLarge, _)) => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            Err((SendBlocked::Congested, _)) => {
                state.congested.push(cx.waker().clone());
                Poll::Pending
            }
            Err((SendBlocked::Credit, _)) => Poll::Pending,
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.receiver.link();
        if link.is_sending_finished() {
            return Poll::Ready(Ok(()));
        }
        let channel = ready!(link.poll_channel(cx))?;
        let shared = &self.receiver.session().shared();
        let now = shared.runtime.now();
        let mut state = shared.lock();
        state.core.send_eos(channel);
        if link.finish_sending() {
            state.ports.remove(&channel);
        }
        shared.settle(state, now);
        Poll::Ready(Ok(()))
    }
}

impl Tunnel {
    /// Sends all of `bytes` without copying them here: a frozen loan ([`crate::LoanMut`]) travels
    /// as it is, in one piece as far as the reader's window allows.
    ///
    /// Cancel safe: what was sent is taken off the front of `bytes`.
    ///
    /// # Errors
    ///
    /// As for writing: the tunnel was shut down, the reader dropped it, or the session is over.
    pub async fn send(&mut self, bytes: &mut Bytes) -> io::Result<()> {
        let end = self.live()?;
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| end.poll_write_shared(cx, bytes)).await?;
            bytes.advance(sent);
        }
        Ok(())
    }

    /// The next bytes in the pieces in which they arrived, in the memory where they arrived;
    /// `None` when the peer has shut down.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As for reading: the peer dropped the tunnel, or the session is over.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        let end = self.live()?;
        poll_fn(|cx| end.poll_read_shared(cx)).await
    }

    fn live(&self) -> io::Result<&TunnelEnd> {
        match &self.end {
            End::Live(end) => Ok(end),
            End::ToPass(_) => Err(StreamError::Unattached.into()),
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.live()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.live()?.poll_write(cx, bytes)
    }

    /// Written bytes are on their way already.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.live()?.poll_shutdown(cx)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        match &self.end {
            End::Live(end) => end.drop_kept(),
            // Passed on, or never used: then the kept end must not wait for ever.
            End::ToPass(end) => {
                let end = end.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(end) = end {
                    end.fail(&StreamError::Unattached);
                }
            }
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel(..)")
    }
}

impl Port for Tunnel {
    const KIND: PortKind = PortKind::Tunnel;
    const TYPE_NAME: &'static str = "Tunnel";

    fn element() -> Option<&'static Shape> {
        None
    }

    fn attach(&self, ordinal: u32, cx: &mut dyn Any) -> Result<u32, PortError> {
        let Some(attach) = cx.downcast_mut::<PortAttach>() else {
            return Err(PortError::new("a tunnel cannot be sent here"));
        };
        let End::ToPass(end) = &self.end else {
            return Err(PortError::new("pass the second end of `Tunnel::pair()`"));
        };
        let taken = end.lock().unwrap_or_else(PoisonError::into_inner).take();
        match taken {
            Some(end) => attach.take(ordinal, Outgoing::Tunnel(end)),
            None => Err(PortError::new("this tunnel was sent already")),
        }
    }

    fn accept(ordinal: u32, port: u32, cx: &mut dyn Any) -> Result<Self, PortError> {
        let Some(accept) = cx.downcast_mut::<PortAccept>() else {
            return Err(PortError::new("a tunnel cannot be received here"));
        };
        let (session, link) = accept.accept(ordinal, port, WireKind::Tunnel)?;
        Ok(Tunnel {
            end: End::Live(TunnelEnd::bound(session, link)),
        })
    }
}
