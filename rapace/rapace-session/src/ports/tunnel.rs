//! Raw bytes both ways.

use std::any::Any;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use facet::Shape;
use rapace_codec::{Port, PortError, PortKind};
use rapace_core::Payload;
use rapace_core::session::{PortKind as WireKind, SendBlocked};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::attach::{Outgoing, PortAccept, PortAttach};
use super::link::PortLink;
use super::receiver::Receiver;
use crate::caller::Link;
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
        bound.rest.advance(len);
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
        let link = self.receiver.link();
        if link.is_sending_finished() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let channel = ready!(link.poll_channel(cx))?;
        let shared = &self.receiver.session().shared();
        let now = shared.runtime.now();
        let mut state = shared.lock();
        link.watch_writable(cx);
        let credit = state.core.send_credit(channel).unwrap_or(0).max(0);
        let frame_max = state.core.payload_limit() as usize;
        let len = bytes
            .len()
            .min(CHUNK_BYTES)
            .min(frame_max)
            .min(usize::try_from(credit).unwrap_or(usize::MAX));
        // Without credit the attempt fails, and tells the core that somebody waits for it.
        let len = len.max(1);
        match state
            .core
            .send_data(channel, Payload::copy_from_slice(&bytes[..len]), false)
        {
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
