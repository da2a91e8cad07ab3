//! The floor in one process: a server task behind tokio's mpsc, replies through oneshots.
//!
//! Payloads of 64 KiB and more are copied once each way, as anything must that hands the other side
//! bytes of its own; passing the reference alone would measure nothing.

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::client::{Client, check_chunks, check_echo, check_items, check_sunk};

/// Requests, or items of one stream, that may wait.
const CAPACITY: usize = 1024;
/// Chunks of one stream that may wait: 4 MiB.
const CHUNK_CAPACITY: usize = 4;
const COPIED_LEN: usize = 64 * 1024;

enum Request {
    Echo(Bytes, oneshot::Sender<Bytes>),
    Sink(Bytes, oneshot::Sender<u64>),
    Items(u64, mpsc::Sender<u64>),
    Chunks(u64, u64, mpsc::Sender<Bytes>),
}

async fn serve(mut requests: mpsc::Receiver<Request>) {
    // A failed send only says that the caller has left.
    while let Some(request) = requests.recv().await {
        match request {
            Request::Echo(payload, reply) => drop(reply.send(handed_over(payload))),
            Request::Sink(payload, reply) => drop(reply.send(payload.len() as u64)),
            Request::Items(count, replies) => drop(tokio::spawn(async move {
                for item in 0..count {
                    if replies.send(item).await.is_err() {
                        return;
                    }
                }
            })),
            Request::Chunks(count, len, replies) => drop(tokio::spawn(async move {
                let chunk = Bytes::from(vec![7; len as usize]);
                for _ in 0..count {
                    if replies.send(handed_over(chunk.clone())).await.is_err() {
                        return;
                    }
                }
            })),
        }
    }
}

fn handed_over(payload: Bytes) -> Bytes {
    if payload.len() < COPIED_LEN {
        payload
    } else {
        Bytes::copy_from_slice(&payload)
    }
}

/// The client side.
#[derive(Clone)]
pub(crate) struct ChannelClient(mpsc::Sender<Request>);

/// Starts the server task; needs a tokio runtime around it.
pub(crate) fn start() -> ChannelClient {
    let (sender, requests) = mpsc::channel(CAPACITY);
    tokio::spawn(serve(requests));
    ChannelClient(sender)
}

impl ChannelClient {
    async fn send(&self, request: Request) -> Result<()> {
        self.0
            .send(request)
            .await
            .ok()
            .context("the server task is gone")
    }
}

impl Client for ChannelClient {
    const STREAMS: bool = true;

    async fn echo(&self, payload: Bytes) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Echo(handed_over(payload.clone()), reply))
            .await?;
        check_echo(&payload, &answer.await?)
    }

    async fn sink(&self, payload: Bytes) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Sink(handed_over(payload.clone()), reply))
            .await?;
        check_sunk(&payload, answer.await?)
    }

    async fn items(&self, count: u64) -> Result<()> {
        let (sender, mut items) = mpsc::channel(CAPACITY);
        self.send(Request::Items(count, sender)).await?;
        let mut sum = 0;
        while let Some(item) = items.recv().await {
            sum += item;
        }
        check_items(count, sum)
    }

    async fn chunks(&self, count: u64, len: u64) -> Result<()> {
        let (sender, mut chunks) = mpsc::channel(CHUNK_CAPACITY);
        self.send(Request::Chunks(count, len, sender)).await?;
        let mut total = 0;
        while let Some(chunk) = chunks.recv().await {
            total += chunk.len() as u64;
        }
        check_chunks(count, len, total)
    }
}
