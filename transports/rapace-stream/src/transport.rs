//! A reader and a writer made into a link.

use std::fmt;
use std::sync::Arc;

use rapace_transport::{DeadlineForm, FrameSink, FrameSource, LinkInfo, Transport};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::StreamConfig;
use crate::end::CloseSignal;
use crate::sink::StreamSink;
use crate::source::StreamSource;

/// A link over a byte stream (\[stream.frame\]).
///
/// The end of the stream between two frames is [`LinkError::Closed`], its end inside a frame (also
/// inside a length prefix) and a reset connection are [`LinkError::PeerDied`]. A half close counts
/// as the end of the link (\[call.lost\]).
///
/// Closing waits until the peer has read what was accepted, however long that takes; who cannot
/// wait drops the halves. Dropping both halves closes the stream, and what was accepted and not
/// flushed is then lost.
///
/// [`LinkError::Closed`]: rapace_transport::LinkError::Closed
/// [`LinkError::PeerDied`]: rapace_transport::LinkError::PeerDied
pub struct StreamTransport {
    // One indirect call per system call costs nothing that can be measured, and the halves are
    // compiled once.
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    kind: &'static str,
    config: StreamConfig,
}

impl StreamTransport {
    /// A link over one stream in both directions, for example `tokio::io::duplex` or a TLS
    /// stream. Its [`LinkInfo::kind`] is `stream`.
    ///
    /// The two halves share the stream behind a lock. Tokio's sockets do without: make their link
    /// with `StreamTransport::from`.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::from_halves(reader, writer)
    }

    /// A link over a reader and a writer that are apart already, for example a child's standard
    /// output and input. Its [`LinkInfo::kind`] is `stream`.
    pub fn from_halves(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        StreamTransport {
            reader: Box::new(reader),
            writer: Box::new(writer),
            kind: "stream",
            config: StreamConfig::default(),
        }
    }

    /// Changes what the link calls itself, for people.
    #[must_use]
    pub fn with_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Changes the bounds of the link's buffers.
    #[must_use]
    pub fn with_config(mut self, config: StreamConfig) -> Self {
        self.config = config.clamped();
        self
    }
}

#[cfg(all(feature = "net", unix))]
impl From<tokio::net::UnixStream> for StreamTransport {
    /// A link of kind `unix`.
    fn from(stream: tokio::net::UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self::from_halves(reader, writer).with_kind("unix")
    }
}

#[cfg(feature = "net")]
impl From<tokio::net::TcpStream> for StreamTransport {
    /// A link of kind `tcp`. Nagle's algorithm is switched off: frames are batched here already.
    fn from(stream: tokio::net::TcpStream) -> Self {
        // Only a connection that is broken already refuses the option, and its first read says
        // so better.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self::from_halves(reader, writer).with_kind("tcp")
    }
}

impl Transport for StreamTransport {
    fn info(&self) -> LinkInfo {
        LinkInfo {
            kind: self.kind,
            deadline: DeadlineForm::Remaining,
            payload_bytes_max: u32::MAX,
            gather_bytes_min: self.config.gather_bytes_min,
        }
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let close = Arc::new(CloseSignal::default());
        (
            Box::new(StreamSink::new(
                self.writer,
                &self.config,
                Arc::clone(&close),
            )),
            Box::new(StreamSource::new(self.reader, self.config, close)),
        )
    }
}

impl fmt::Debug for StreamTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTransport")
            .field("kind", &self.kind)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
