//! The floor of two processes: what is left when an RPC library does nothing.
//!
//! A frame is its payload's length and a verb, both `u32` in little endian, then the payload. One
//! read and one write per message, no allocation, no dispatch, payloads looked at where they were
//! read. 64 calls in flight are one write of 64 requests, answered by one write of 64 replies.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, MutexGuard};

use crate::client::{Client, check_chunks, check_echo, check_items, check_sunk};

const HEADER_LEN: usize = 8;
/// Frames up to this size are read with whatever follows them in one go; the rest of a larger one
/// is read exactly, so that no payload is moved once it has arrived.
const READ_AHEAD: usize = 64 * 1024;

const ECHO: u32 = 0;
const SINK: u32 = 1;
const ITEMS: u32 = 2;
const CHUNKS: u32 = 3;
/// The end of a stream.
const END: u32 = 4;

struct Frame {
    verb: u32,
    /// Where header and payload are in the buffer.
    whole: Range<usize>,
}

impl Frame {
    fn payload(&self) -> Range<usize> {
        self.whole.start + HEADER_LEN..self.whole.end
    }
}

struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// What has arrived and was not taken yet.
    start: usize,
    end: usize,
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: vec![0; 2 * READ_AHEAD],
            start: 0,
            end: 0,
        }
    }

    /// The next frame, if it has arrived whole.
    fn take(&mut self) -> Option<Frame> {
        let len = self.frame_len()?;
        if self.end - self.start < len {
            return None;
        }
        let whole = self.start..self.start + len;
        self.start = whole.end;
        Some(Frame {
            verb: word(&self.buffer, whole.start + 4),
            whole,
        })
    }

    /// The next frame's whole length, once its header is here.
    fn frame_len(&self) -> Option<usize> {
        (self.end - self.start >= HEADER_LEN)
            .then(|| HEADER_LEN + word(&self.buffer, self.start) as usize)
    }

    /// Reads once. Frames taken before are gone. False at the end of the connection.
    async fn fill(&mut self) -> Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = self.frame_len().unwrap_or(HEADER_LEN).max(READ_AHEAD);
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if wanted > self.buffer.len() {
                self.buffer.resize(wanted, 0);
            }
        }
        let limit = if wanted > READ_AHEAD {
            self.start + wanted
        } else {
            self.buffer.len()
        };
        let read = self.stream.read(&mut self.buffer[self.end..limit]).await?;
        self.end += read;
        Ok(read > 0)
    }

    async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Ok(frame);
            }
            ensure!(self.fill().await?, "the server closed the connection");
        }
    }
}

/// One connection after another.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve_connection(Connection::new(stream)).await {
                eprintln!("raw server: {error:#}");
            }
        });
    }
}

async fn serve_connection(mut connection: Connection) -> Result<()> {
    // A client that ends, however it does, ends its connection; what follows is not to be served.
    while connection.fill().await.unwrap_or(false) {
        // An echo's reply is the request as it lies in the buffer, so a run of them is one write.
        let mut echo = connection.start..connection.start;
        while let Some(frame) = connection.take() {
            if frame.verb == ECHO {
                echo.end = frame.whole.end;
                continue;
            }
            flush(&mut connection, &echo).await?;
            echo = frame.whole.end..frame.whole.end;
            reply(&mut connection, &frame).await?;
        }
        flush(&mut connection, &echo).await?;
    }
    Ok(())
}

async fn flush(connection: &mut Connection, echo: &Range<usize>) -> Result<()> {
    if !echo.is_empty() {
        connection
            .stream
            .write_all(&connection.buffer[echo.clone()])
            .await?;
    }
    Ok(())
}

async fn reply(connection: &mut Connection, frame: &Frame) -> Result<()> {
    let payload = &connection.buffer[frame.payload()];
    match frame.verb {
        SINK => {
            let mut out = Vec::with_capacity(16);
            push_frame(&mut out, SINK, &(payload.len() as u64).to_le_bytes());
            connection.stream.write_all(&out).await?;
        }
        ITEMS => {
            let count = long(payload, 0);
            let mut out = Vec::with_capacity(READ_AHEAD + 2 * HEADER_LEN);
            for item in 0..count {
                push_frame(&mut out, ITEMS, &item.to_le_bytes());
                if out.len() >= READ_AHEAD {
                    connection.stream.write_all(&out).await?;
                    out.clear();
                }
            }
            push_frame(&mut out, END, &[]);
            connection.stream.write_all(&out).await?;
        }
        CHUNKS => {
            let (count, len) = (long(payload, 0), long(payload, 8) as usize);
            let mut chunk = Vec::with_capacity(HEADER_LEN + len);
            push_frame(&mut chunk, CHUNKS, &vec![7; len]);
            for _ in 0..count {
                connection.stream.write_all(&chunk).await?;
            }
            let mut end = Vec::with_capacity(HEADER_LEN);
            push_frame(&mut end, END, &[]);
            connection.stream.write_all(&end).await?;
        }
        verb => bail!("verb {verb} is not for servers"),
    }
    Ok(())
}

/// The client side.
#[derive(Clone)]
pub(crate) struct RawClient {
    connection: Arc<Mutex<State>>,
}

struct State {
    connection: Connection,
    /// The request being written; kept for its memory.
    out: Vec<u8>,
}

pub(crate) async fn connect(socket: &Path) -> Result<RawClient> {
    let connection = Connection::new(UnixStream::connect(socket).await?);
    Ok(RawClient {
        connection: Arc::new(Mutex::new(State {
            connection,
            out: Vec::new(),
        })),
    })
}

impl RawClient {
    async fn request(&self, verb: u32, payload: &[u8]) -> Result<MutexGuard<'_, State>> {
        let mut state = self.connection.lock().await;
        let State { connection, out } = &mut *state;
        if payload.len() > READ_AHEAD {
            // Copying a large payload behind its header would cost more than a second write.
            let mut header = Vec::with_capacity(HEADER_LEN);
            push_header(&mut header, verb, payload.len());
            connection.stream.write_all(&header).await?;
            connection.stream.write_all(payload).await?;
        } else {
            out.clear();
            push_frame(out, verb, payload);
            connection.stream.write_all(out).await?;
        }
        Ok(state)
    }
}

impl Client for RawClient {
    const STREAMS: bool = true;

    async fn echo(&self, payload: Bytes) -> Result<()> {
        let mut state = self.request(ECHO, &payload).await?;
        let frame = state.connection.next().await?;
        check_echo(&payload, &state.connection.buffer[frame.payload()])
    }

    async fn sink(&self, payload: Bytes) -> Result<()> {
        let mut state = self.request(SINK, &payload).await?;
        let frame = state.connection.next().await?;
        check_sunk(&payload, long(&state.connection.buffer[frame.payload()], 0))
    }

    async fn items(&self, count: u64) -> Result<()> {
        let mut state = self.request(ITEMS, &count.to_le_bytes()).await?;
        let mut sum = 0;
        loop {
            let frame = state.connection.next().await?;
            if frame.verb == END {
                return check_items(count, sum);
            }
            sum += long(&state.connection.buffer[frame.payload()], 0);
        }
    }

    async fn chunks(&self, count: u64, len: u64) -> Result<()> {
        let mut request = count.to_le_bytes().to_vec();
        request.extend_from_slice(&len.to_le_bytes());
        let mut state = self.request(CHUNKS, &request).await?;
        let mut total = 0;
        loop {
            let frame = state.connection.next().await?;
            if frame.verb == END {
                return check_chunks(count, len, total);
            }
            total += frame.payload().len() as u64;
        }
    }

    async fn flood(&self, payload: Bytes, depth: usize, budget: Duration) -> Result<u64> {
        let mut state = self.connection.lock().await;
        let State { connection, out } = &mut *state;
        out.clear();
        for _ in 0..depth {
            push_frame(out, ECHO, &payload);
        }
        let start = Instant::now();
        let mut calls = 0;
        while start.elapsed() < budget {
            connection.stream.write_all(out).await?;
            for _ in 0..depth {
                let frame = connection.next().await?;
                check_echo(&payload, &connection.buffer[frame.payload()])?;
            }
            calls += depth as u64;
        }
        Ok(calls)
    }
}

fn push_header(out: &mut Vec<u8>, verb: u32, payload_len: usize) {
    out.extend_from_slice(&(payload_len as u32).to_le_bytes());
    out.extend_from_slice(&verb.to_le_bytes());
}

fn push_frame(out: &mut Vec<u8>, verb: u32, payload: &[u8]) {
    push_header(out, verb, payload.len());
    out.extend_from_slice(payload);
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let (word, _) = bytes[at..]
        .split_first_chunk()
        .expect("frames are taken whole");
    u32::from_le_bytes(*word)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let (long, _) = bytes[at..]
        .split_first_chunk()
        .expect("both ends agree on the payloads");
    u64::from_le_bytes(*long)
}
