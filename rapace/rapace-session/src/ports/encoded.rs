//! Streams and tunnels of calls whose types are known by their schema only.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use rapace_codec::{Port as _, PortError};
use rapace_core::session::PortKind as WireKind;

use super::attach::{Outgoing, PortAccept, PortAttach};
use super::pump::{Encoded, Verbatim};
use super::receiver::Receiver;
use super::tunnel::Tunnel;
use crate::error::StreamError;

/// A stream or tunnel that hangs on an [`EncodedCall`](crate::call::EncodedCall).
#[derive(Debug)]
pub enum EncodedPort {
    /// A stream of encoded items (\[stream\]).
    Stream(EncodedStream),
    /// A tunnel (\[tunnel\]); to pass one to a call, the second end of [`Tunnel::pair`].
    Tunnel(Tunnel),
}

/// As [`Streaming`](super::Streaming), with items that are encoded and stay so: each is the postcard
/// bytes of one value, as the method's schema describes it.
///
/// Dropping a received one before its end tells the sender to stop (\[cancel\]).
pub struct EncodedStream {
    inner: Inner,
}

enum Inner {
    Local(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    Remote(Box<Receiver>),
}

impl EncodedStream {
    /// Sends what `items` yields, at the pace of the reader.
    pub fn new(items: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        EncodedStream {
            inner: Inner::Local(Box::pin(items)),
        }
    }
}

impl Stream for EncodedStream {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.get_mut().inner {
            Inner::Local(items) => items.as_mut().poll_next(cx).map(|item| item.map(Ok)),
            Inner::Remote(receiver) => receiver
                .poll_next(cx)
                .map(|next| next.map(|item| item.map(rapace_core::Payload::into_bytes))),
        }
    }
}

impl fmt::Debug for EncodedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodedStream(..)")
    }
}

impl EncodedPort {
    /// Goes along with the call as the port that is declared at `ordinal`, counted from 0.
    pub(crate) fn attach(self, ordinal: u32, ports: &mut PortAttach) -> Result<(), PortError> {
        match self {
            EncodedPort::Stream(items) => {
                let source = Box::new(Encoded::new(items, Verbatim));
                ports.take(ordinal, Outgoing::Stream(source))?;
            }
            EncodedPort::Tunnel(tunnel) => {
                tunnel.attach(ordinal, ports)?;
            }
        }
        Ok(())
    }

    /// The port that is declared at `ordinal` of the answer, counted from 0.
    pub(crate) fn accept(
        ordinal: u32,
        port: u32,
        kind: WireKind,
        ports: &mut PortAccept,
    ) -> Result<Self, PortError> {
        Ok(match kind {
            WireKind::Stream => {
                let (session, link) = ports.accept(ordinal, port, kind)?;
                let receiver = Box::new(Receiver::new(session, link));
                EncodedPort::Stream(EncodedStream {
                    inner: Inner::Remote(receiver),
                })
            }
            WireKind::Tunnel => EncodedPort::Tunnel(Tunnel::accept(ordinal, port, ports)?),
        })
    }
}
