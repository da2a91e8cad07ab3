//! What peers in shared memory have in common: the socket that begins and ends their rounds, and
//! spinning.
//!
//! A server of such a peer blocks on the socket between rounds, so that it does not take a core from
//! others; within a round it spins.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::net::UnixListener;

/// Longer than any message takes: the other side is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Spins until `look` finds something.
pub(super) fn spin<T>(mut look: impl FnMut() -> Option<T>) -> Result<T> {
    const LOOKS: u32 = 1 << 20;
    let mut since = None;
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = look() {
                return Ok(found);
            }
            std::hint::spin_loop();
        }
        let since = since.get_or_insert_with(Instant::now);
        ensure!(since.elapsed() < PATIENCE, "the other process is silent");
    }
}

/// The client's end of the socket.
pub(super) struct Calls(UnixStream);

impl Calls {
    pub(super) fn connect(path: &Path) -> Result<Self> {
        Ok(Self(UnixStream::connect(path)?))
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.0
    }

    /// Has the server do `work` from now on, until the client ends it as the two have agreed.
    pub(super) fn begin(&self, work: u8) -> Result<()> {
        (&self.0)
            .write_all(&[work])
            .context("the server process has ended")
    }

    /// Waits for what the server has to say of the round.
    pub(super) fn end(&self) -> Result<u64> {
        let mut result = [0; 8];
        (&self.0).read_exact(&mut result)?;
        Ok(u64::from_le_bytes(result))
    }
}

/// The server's end.
pub(super) struct Rounds(UnixStream);

impl Rounds {
    /// The first connection, as a blocking socket: nothing else runs in such a server meanwhile.
    pub(super) async fn accept(listener: UnixListener) -> Result<Self> {
        let (socket, _) = listener.accept().await?;
        let socket = socket.into_std()?;
        socket.set_nonblocking(false)?;
        Ok(Self(socket))
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.0
    }

    /// The next round's work; none when the client has left.
    pub(super) fn next(&mut self) -> Result<Option<u8>> {
        let mut work = [0];
        Ok((self.0.read(&mut work)? > 0).then_some(work[0]))
    }

    /// The round is over.
    pub(super) fn done(&mut self, result: u64) -> Result<()> {
        Ok(self.0.write_all(&result.to_le_bytes())?)
    }
}
