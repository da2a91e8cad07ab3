//! tarpc over its own Unix transport, with bincode.
//!
//! As its documentation has it: `BaseChannel::execute`, each request in a task of its own. Payloads
//! are `Bytes`, which serde writes and reads as one byte string; a `Vec<u8>` would go byte by byte.
//! The frame limit is raised from 8 MiB. tarpc has no streams.

use std::path::Path;

use ::tarpc::context::{self, Context};
use ::tarpc::serde_transport::unix;
use ::tarpc::server::{BaseChannel, Channel};
use ::tarpc::tokio_serde::formats::Bincode;
use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::net::UnixListener;

use crate::client::{Client, check_echo, check_sunk};

const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

#[::tarpc::service]
trait Bench {
    async fn echo(payload: Bytes) -> Bytes;
    async fn sink(payload: Bytes) -> u64;
}

#[derive(Clone)]
struct Server;

impl Bench for Server {
    async fn echo(self, _: Context, payload: Bytes) -> Bytes {
        payload
    }

    async fn sink(self, _: Context, payload: Bytes) -> u64 {
        payload.len() as u64
    }
}

/// One connection after another.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let mut incoming = unix::listen_on(listener, Bincode::default).await?;
    incoming.config_mut().max_frame_length(MAX_FRAME_LEN);
    while let Some(transport) = incoming.next().await {
        let requests = BaseChannel::with_defaults(transport?).execute(Server.serve());
        tokio::spawn(requests.for_each(async |request| drop(tokio::spawn(request))));
    }
    Ok(())
}

/// The client side.
#[derive(Clone)]
pub(crate) struct TarpcClient(BenchClient);

pub(crate) async fn connect(socket: &Path) -> Result<TarpcClient> {
    let mut transport = unix::connect(socket, Bincode::default);
    transport.config_mut().max_frame_length(MAX_FRAME_LEN);
    let config = ::tarpc::client::Config::default();
    Ok(TarpcClient(
        BenchClient::new(config, transport.await?).spawn(),
    ))
}

impl Client for TarpcClient {
    const STREAMS: bool = false;

    async fn echo(&self, payload: Bytes) -> Result<()> {
        let reply = self.0.echo(context::current(), payload.clone()).await?;
        check_echo(&payload, &reply)
    }

    async fn sink(&self, payload: Bytes) -> Result<()> {
        let receipt = self.0.sink(context::current(), payload.clone()).await?;
        check_sunk(&payload, receipt)
    }

    async fn items(&self, _count: u64) -> Result<()> {
        bail!("tarpc has no streams")
    }

    async fn chunks(&self, _count: u64, _len: u64) -> Result<()> {
        bail!("tarpc has no streams")
    }
}
