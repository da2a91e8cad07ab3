//! tonic: gRPC over HTTP/2, over a Unix socket.
//!
//! Messages by prost's derive with `Bytes` fields, which decode without a copy; the glue is written
//! by `tonic-build` from `build.rs`. HTTP/2's windows and frame size are raised, since its defaults
//! (64 KiB and 16 KiB) are made for the internet, and the message limits from 4 MiB.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use ::tonic::transport::{Channel, Endpoint, Uri};
use ::tonic::{Request, Response, Status};
use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;

use crate::client::{Client, check_chunks, check_echo, check_items, check_sunk};

const MAX_MESSAGE_LEN: usize = 16 * 1024 * 1024;
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Of 16 KiB to 4 MiB, what moves 1 MiB payloads fastest here.
const MAX_FRAME_LEN: u32 = 256 * 1024;

/// Bytes, either way.
#[derive(Clone, PartialEq, ::prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

/// How many, or an item.
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub(crate) struct Count {
    #[prost(uint64, tag = "1")]
    value: u64,
}

/// How many chunks, of how many bytes.
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub(crate) struct ChunksRequest {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint64, tag = "2")]
    len: u64,
}

mod glue {
    #![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/bench.Bench.rs"));
}

use glue::bench_client::BenchClient;
use glue::bench_server::{Bench, BenchServer};

struct Server;

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[::tonic::async_trait]
impl Bench for Server {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn sink(&self, request: Request<Payload>) -> Result<Response<Count>, Status> {
        Ok(Response::new(Count {
            value: request.into_inner().data.len() as u64,
        }))
    }

    type ItemsStream = Replies<Count>;

    async fn items(&self, request: Request<Count>) -> Result<Response<Self::ItemsStream>, Status> {
        let items = (0..request.into_inner().value).map(|value| Ok(Count { value }));
        Ok(Response::new(Box::pin(stream::iter(items))))
    }

    type ChunksStream = Replies<Payload>;

    async fn chunks(
        &self,
        request: Request<ChunksRequest>,
    ) -> Result<Response<Self::ChunksStream>, Status> {
        let ChunksRequest { count, len } = request.into_inner();
        let data = Bytes::from(vec![7; len as usize]);
        let chunks = (0..count).map(move |_| Ok(Payload { data: data.clone() }));
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }
}

/// One connection after another.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let service = BenchServer::new(Server)
        .max_decoding_message_size(MAX_MESSAGE_LEN)
        .max_encoding_message_size(MAX_MESSAGE_LEN);
    ::tonic::transport::Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_LEN)
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

/// The client side.
#[derive(Clone)]
pub(crate) struct TonicClient(BenchClient<Channel>);

pub(crate) async fn connect(socket: &Path) -> Result<TonicClient> {
    let path = PathBuf::from(socket);
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    // The address is only the request's authority; the connector decides where it goes.
    let channel = Endpoint::from_static("http://bench.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_LEN)
        .connect_with_connector(connector)
        .await?;
    let client = BenchClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_LEN)
        .max_encoding_message_size(MAX_MESSAGE_LEN);
    Ok(TonicClient(client))
}

impl Client for TonicClient {
    const STREAMS: bool = true;

    async fn echo(&self, payload: Bytes) -> Result<()> {
        // Cloning the client is how tonic is called from several places at once.
        let reply = self
            .0
            .clone()
            .echo(Payload {
                data: payload.clone(),
            })
            .await?;
        check_echo(&payload, &reply.into_inner().data)
    }

    async fn sink(&self, payload: Bytes) -> Result<()> {
        let reply = self
            .0
            .clone()
            .sink(Payload {
                data: payload.clone(),
            })
            .await?;
        check_sunk(&payload, reply.into_inner().value)
    }

    async fn items(&self, count: u64) -> Result<()> {
        let mut items = self
            .0
            .clone()
            .items(Count { value: count })
            .await?
            .into_inner();
        let mut sum = 0;
        while let Some(item) = items.message().await? {
            sum += item.value;
        }
        check_items(count, sum)
    }

    async fn chunks(&self, count: u64, len: u64) -> Result<()> {
        let request = ChunksRequest { count, len };
        let mut chunks = self.0.clone().chunks(request).await?.into_inner();
        let mut total = 0;
        while let Some(chunk) = chunks.message().await? {
            total += chunk.data.len() as u64;
        }
        check_chunks(count, len, total)
    }
}
