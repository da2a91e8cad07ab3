//! Typed streams.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use facet::{Facet, Shape};
use futures_core::Stream;
use rapace_codec::{Codec, Port, PortError, PortKind};
use rapace_core::session::PortKind as WireKind;
use tokio::sync::mpsc;

use super::attach::{Outgoing, PortAccept, PortAttach};
use super::pump::Encoded;
use super::receiver::Receiver;
use crate::error::StreamError;

/// A stream of `T` as an argument, or as (part of) the return value, of a service method
/// (\[stream\]).
///
/// Who sends makes one from any [`Stream`] ([`Streaming::new`]), an iterator
/// ([`Streaming::from_iter`]) or a sender half ([`Streaming::channel`]). Who receives reads it as a
/// `Stream` of `Result<T, StreamError>`. It may outlive its call's response. Dropping it before
/// its end tells the sender to stop (\[cancel\]).
///
/// A slow reader holds up its own sender only: the sender waits when the stream's window
/// ([`Limits::window_bytes`], 1 MiB by default) is full (\[credit\]).
///
/// [`Limits::window_bytes`]: rapace_core::session::Limits::window_bytes
pub struct Streaming<T: 'static> {
    /// The lock is taken only when the stream is passed to a call, through a shared reference.
    inner: Mutex<Inner<T>>,
}

enum Inner<T: 'static> {
    Local(Pin<Box<dyn Stream<Item = T> + Send>>),
    Channel(mpsc::Receiver<T>),
    Remote(Box<Remote<T>>),
    Taken,
}

struct Remote<T: 'static> {
    receiver: Receiver,
    codec: Codec<T>,
}

impl<T: Send + 'static> Streaming<T> {
    /// Sends what `items` yields, at the pace of the reader.
    pub fn new(items: impl Stream<Item = T> + Send + 'static) -> Self {
        Streaming {
            inner: Mutex::new(Inner::Local(Box::pin(items))),
        }
    }

    /// Sends the items of an iterator, at the pace of the reader.
    #[expect(
        clippy::should_implement_trait,
        reason = "the trait cannot ask for Send + 'static"
    )]
    pub fn from_iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        Self::new(Iterated(items.into_iter()))
    }

    /// A sender half and the stream of what is sent into it. `items_max` items wait between the
    /// two; then [`StreamSender::send`] waits.
    ///
    /// # Panics
    ///
    /// When `items_max` is 0.
    pub fn channel(items_max: usize) -> (StreamSender<T>, Self) {
        let (sender, receiver) = mpsc::channel(items_max);
        (
            StreamSender { sender },
            Streaming {
                inner: Mutex::new(Inner::Channel(receiver)),
            },
        )
    }
}

impl<T: Facet<'static>> Streaming<T> {
    /// The next item; `None` at the end. The same as `StreamExt::next`, without the import.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, StreamError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

struct Iterated<I>(I);

impl<I: Iterator> Unpin for Iterated<I> {}

impl<I: Iterator> Stream for Iterated<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

impl<T: Send + 'static> From<Vec<T>> for Streaming<T> {
    fn from(items: Vec<T>) -> Self {
        Self::from_iter(items)
    }
}

impl<T: 'static> Unpin for Streaming<T> {}

impl<T: Facet<'static>> Stream for Streaming<T> {
    type Item = Result<T, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let inner = self
            .get_mut()
            .inner
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        match inner {
            Inner::Local(items) => items.as_mut().poll_next(cx).map(|item| item.map(Ok)),
            Inner::Channel(items) => items.poll_recv(cx).map(|item| item.map(Ok)),
            Inner::Remote(remote) => remote.poll_next(cx),
            Inner::Taken => {
                *inner = Inner::Local(Box::pin(Iterated(std::iter::empty())));
                Poll::Ready(Some(Err(StreamError::Unattached)))
            }
        }
    }
}

impl<T: Facet<'static>> Remote<T> {
    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, StreamError>>> {
        let Some(next) = ready!(self.receiver.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let payload = match next {
            Ok(payload) => payload,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        Poll::Ready(Some(
            crate::encode::decode(&self.codec, &payload, &mut ()).map_err(|error| {
                let why = error.to_string();
                self.receiver.reject(&why);
                StreamError::Decode(why.into())
            }),
        ))
    }
}

/// A local stream in the form that the pump takes; it cannot fail.
struct Infallible<S>(S);

impl<S: Stream + Unpin> Stream for Infallible<S> {
    type Item = Result<S::Item, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item.map(Ok))
    }
}

struct Received<T: 'static>(mpsc::Receiver<T>);

impl<T> Stream for Received<T> {
    type Item = Result<T, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|item| item.map(Ok))
    }
}

impl<T: Facet<'static>> Stream for Remote<T> {
    type Item = Result<T, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next(cx)
    }
}

impl<T: 'static> Unpin for Remote<T> {}

impl<T: Facet<'static> + Send> Port for Streaming<T> {
    const KIND: PortKind = PortKind::Stream;
    const TYPE_NAME: &'static str = "Streaming";

    fn element() -> Option<&'static Shape> {
        Some(T::SHAPE)
    }

    fn attach(&self, ordinal: u32, cx: &mut dyn Any) -> Result<u32, PortError> {
        let Some(attach) = cx.downcast_mut::<PortAttach>() else {
            return Err(PortError::new("a stream cannot be sent here"));
        };
        let codec = Codec::<T>::cached().map_err(|problem| PortError::new(problem.to_string()))?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let source: Box<dyn super::pump::ItemSource> =
            match std::mem::replace(&mut *inner, Inner::Taken) {
                Inner::Local(items) => Box::new(Encoded::new(Infallible(items), codec)),
                Inner::Channel(items) => Box::new(Encoded::new(Received(items), codec)),
                Inner::Remote(remote) => Box::new(Encoded::new(remote, codec)),
                Inner::Taken => return Err(PortError::new("this stream was sent already")),
            };
        attach.take(ordinal, Outgoing::Stream(source))
    }

    fn accept(ordinal: u32, port: u32, cx: &mut dyn Any) -> Result<Self, PortError> {
        let Some(accept) = cx.downcast_mut::<PortAccept>() else {
            return Err(PortError::new("a stream cannot be received here"));
        };
        let codec = Codec::<T>::cached().map_err(|problem| PortError::new(problem.to_string()))?;
        let (session, link) = accept.accept(ordinal, port, WireKind::Stream)?;
        let receiver = Receiver::new(session, link);
        Ok(Streaming {
            inner: Mutex::new(Inner::Remote(Box::new(Remote { receiver, codec }))),
        })
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming(..)")
    }
}

/// The sending half of a stream made with [`Streaming::channel`]. Dropping the last clone ends
/// the stream.
pub struct StreamSender<T> {
    sender: mpsc::Sender<T>,
}

impl<T> StreamSender<T> {
    /// Sends one item; waits while the reader is behind.
    ///
    /// Cancel safe: a dropped `send` has sent nothing.
    ///
    /// # Errors
    ///
    /// When nobody will read it any more; the item comes back.
    pub async fn send(&self, item: T) -> Result<(), StreamClosed<T>> {
        self.sender
            .send(item)
            .await
            .map_err(|error| StreamClosed(error.0))
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Resolves when nobody reads any more.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

impl<T> Clone for StreamSender<T> {
    fn clone(&self) -> Self {
        StreamSender {
            sender: self.sender.clone(),
        }
    }
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSender(..)")
    }
}

/// The stream is closed: the reader dropped it, its call was cancelled, or the session ended.
/// Holds the item that was not sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamClosed<T>(pub T);

impl<T> fmt::Debug for StreamClosed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamClosed(..)")
    }
}

impl<T> fmt::Display for StreamClosed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads this stream any more")
    }
}

impl<T> std::error::Error for StreamClosed<T> {}
