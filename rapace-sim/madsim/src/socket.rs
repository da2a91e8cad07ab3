//! madsim's TCP stream, in a process that can be killed.
//!
//! madsim kills a node by dropping its tasks one after the other, and their destructors still reach
//! the network: a dropped handler would send its last words. The sockets of a killed life say
//! nothing more; the peer sees the end of the stream when the last task that held one is gone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::TcpStream;

/// One life of a node, and whether it has been killed.
#[derive(Debug, Default)]
pub(crate) struct Life {
    killed: AtomicBool,
}

impl Life {
    /// From now on its sockets carry nothing.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }
}

/// A connection of one life of a node.
#[derive(Debug)]
pub(crate) struct Socket {
    life: Arc<Life>,
    stream: TcpStream,
}

impl Socket {
    pub(crate) fn new(life: &Arc<Life>, stream: TcpStream) -> Self {
        Socket {
            life: life.clone(),
            stream,
        }
    }

    /// The stream; a killed process never hears of it again.
    fn alive(self: Pin<&mut Self>) -> Option<Pin<&mut TcpStream>> {
        let socket = self.get_mut();
        let killed = socket.life.killed.load(Ordering::Relaxed);
        (!killed).then(|| Pin::new(&mut socket.stream))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.alive() {
            Some(stream) => stream.poll_read(cx, buf),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.alive() {
            Some(stream) => stream.poll_write(cx, buf),
            None => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.alive() {
            Some(stream) => stream.poll_flush(cx),
            None => Poll::Pending,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.alive() {
            Some(stream) => stream.poll_shutdown(cx),
            None => Poll::Pending,
        }
    }
}
