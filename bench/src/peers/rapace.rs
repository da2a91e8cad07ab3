//! rapace itself: over a Unix socket or shared memory between two processes, and in process over
//! `rapace::mem`.
//!
//! Everything as its documentation has it: the generated client and server, default limits, no
//! setting for speed. Chunks are clones of one `Bytes`, which rapace writes from where it lies, as
//! the floor does.

use std::path::{Path, PathBuf};

use ::rapace::Client as _;
use ::rapace::stream::StreamTransport;
use ::rapace::{Session, Streaming};
use anyhow::{Context, Result};
use bytes::Bytes;
use rapace_shm::ShmConfig;
use rapace_shm::os::{Listener, connect as connect_link};
use tokio::net::{UnixListener, UnixStream};

use super::rounds::{Calls, Rounds};
use crate::client::{Client, check_chunks, check_echo, check_items, check_read, check_sunk};
use crate::work;

#[::rapace::service]
trait Bench {
    /// The same bytes.
    async fn echo(&self, payload: Bytes) -> Bytes;
    /// Their number.
    async fn sink(&self, payload: Bytes) -> u64;
    /// The sum of their words.
    async fn read(&self, payload: Bytes) -> u64;
    /// The integers below `count`.
    async fn items(&self, count: u64) -> Streaming<u64>;
    /// `count` chunks of `len` bytes.
    async fn chunks(&self, count: u64, len: u64) -> Streaming<Bytes>;
}

struct Subject;

impl Bench for Subject {
    async fn echo(&self, payload: Bytes) -> Bytes {
        payload
    }

    async fn sink(&self, payload: Bytes) -> u64 {
        payload.len() as u64
    }

    async fn read(&self, payload: Bytes) -> u64 {
        work::sum(&payload)
    }

    async fn items(&self, count: u64) -> Streaming<u64> {
        Streaming::from_iter(0..count)
    }

    async fn chunks(&self, count: u64, len: u64) -> Streaming<Bytes> {
        let chunk = Bytes::from(vec![7; len as usize]);
        Streaming::from_iter(std::iter::repeat_n(chunk, count as usize))
    }
}

/// One connection after another.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let session = Session::builder()
            .serve(BenchServer::new(Subject))
            .accept(StreamTransport::from(stream))?;
        // A session lives as long as somebody holds on to it.
        tokio::spawn(async move { drop(session.closed().await) });
    }
}

/// Likewise in shared memory, at an address of its own.
pub(crate) async fn serve_shared(listener: UnixListener) -> Result<()> {
    let path = listener.local_addr()?;
    let path = path.as_pathname().context("the socket has a path")?;
    let mut links = Listener::bind(lanes(path), ShmConfig::default())?;
    let mut client = Rounds::accept(listener).await?;
    // It connects to that address from now on.
    client.done(0)?;
    loop {
        let session = Session::builder()
            .serve(BenchServer::new(Subject))
            .accept(links.accept().await?)?;
        tokio::spawn(async move { drop(session.closed().await) });
    }
}

/// Where the server listens for links.
fn lanes(socket: &Path) -> PathBuf {
    socket.with_extension("lanes")
}

/// The client side. In process it holds the serving session as well.
#[derive(Clone)]
pub(crate) struct RapaceClient {
    client: BenchClient,
    /// The link lends memory in which the server reads.
    lends: bool,
    _sessions: Vec<Session>,
}

pub(crate) async fn connect(socket: &Path) -> Result<RapaceClient> {
    let stream = UnixStream::connect(socket).await?;
    let session = Session::builder().connect(StreamTransport::from(stream))?;
    session.ready().await.context("the handshake failed")?;
    Ok(RapaceClient {
        client: session.client(),
        lends: false,
        _sessions: vec![session],
    })
}

pub(crate) async fn connect_shared(socket: &Path) -> Result<RapaceClient> {
    Calls::connect(socket)?.end()?;
    let link = connect_link(lanes(socket), ShmConfig::default()).await?;
    let session = Session::builder().connect(link)?;
    session.ready().await.context("the handshake failed")?;
    Ok(RapaceClient {
        client: session.client(),
        lends: true,
        _sessions: vec![session],
    })
}

/// Starts both sessions; needs a tokio runtime around it.
pub(crate) fn start() -> Result<RapaceClient> {
    let (near, far) = ::rapace::mem::pair();
    let serving = Session::builder()
        .serve(BenchServer::new(Subject))
        .accept(far)?;
    let calling = Session::builder().connect(near)?;
    Ok(RapaceClient {
        client: calling.client(),
        lends: false,
        _sessions: vec![serving, calling],
    })
}

impl Client for RapaceClient {
    const STREAMS: bool = true;
    const READS: bool = true;

    async fn read(&self, payload: Bytes, sum: u64) -> Result<()> {
        check_read(sum, self.client.read(payload).await?)
    }

    fn lends(&self) -> bool {
        self.lends
    }

    async fn fill(&self, len: usize, value: u64) -> Result<()> {
        let mut loan = self.client.caller().loan(len).await?;
        let sum = work::fill(&mut loan, value);
        check_read(sum, self.client.read(loan.freeze()).await?)
    }

    async fn echo(&self, payload: Bytes) -> Result<()> {
        let reply = self.client.echo(payload.clone()).await?;
        check_echo(&payload, &reply)
    }

    async fn sink(&self, payload: Bytes) -> Result<()> {
        let receipt = self.client.sink(payload.clone()).await?;
        check_sunk(&payload, receipt)
    }

    async fn items(&self, count: u64) -> Result<()> {
        let mut items = self.client.items(count).await?;
        let mut sum = 0;
        while let Some(item) = items.next().await {
            sum += item?;
        }
        check_items(count, sum)
    }

    async fn chunks(&self, count: u64, len: u64) -> Result<()> {
        let mut chunks = self.client.chunks(count, len).await?;
        let mut total = 0;
        while let Some(chunk) = chunks.next().await {
            total += chunk?.len() as u64;
        }
        check_chunks(count, len, total)
    }
}
