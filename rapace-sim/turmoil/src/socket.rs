//! turmoil's TCP stream, in a process that can be killed.
//!
//! turmoil crashes a host by dropping its tokio runtime, and destructors still reach the network:
//! a dropped handler would send its last words, as no process does that is killed. Worse, tokio
//! drops the tasks of a runtime in an order that depends on how many tasks the whole test process
//! has ever spawned, so the second run of a seed would differ from the first.
//!
//! So the sockets of one life of a host know when it has been killed. From then on nothing is
//! written, and the first of them that is dropped closes them all, oldest first, as a kernel does
//! that cleans up after a process.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

type Slot = Mutex<Option<TcpStream>>;

/// One life of a host: its sockets, and whether it has been killed.
#[derive(Debug, Default)]
pub(crate) struct Life {
    killed: AtomicBool,
    /// In the order in which they were made.
    sockets: Mutex<Vec<Weak<Slot>>>,
}

impl Life {
    /// From now on its sockets carry nothing.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    fn close_all(&self) {
        let sockets = std::mem::take(&mut *lock(&self.sockets));
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            let stream = lock(&socket).take();
            drop(stream);
        }
    }
}

/// A connection of one life of a host.
#[derive(Debug)]
pub(crate) struct Socket {
    life: Arc<Life>,
    slot: Arc<Slot>,
}

impl Socket {
    pub(crate) fn new(life: &Arc<Life>, stream: TcpStream) -> Self {
        let slot = Arc::new(Mutex::new(Some(stream)));
        let mut sockets = lock(&life.sockets);
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&slot));
        drop(sockets);
        Socket {
            life: life.clone(),
            slot,
        }
    }

    /// Polls the stream; a killed process never hears of it again.
    fn poll<T>(
        &self,
        poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.life.is_killed() {
            return Poll::Pending;
        }
        match lock(&self.slot).as_mut() {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.life.is_killed() {
            self.life.close_all();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
