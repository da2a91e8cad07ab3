//! The service of scenarios for calls with several streams or tunnels: side by side, within structs
//! and tuples, and left out.
//!
//! Only processes that are told to serve it do, so that all others stay as they are.

use bytes::Bytes;
use facet::Facet;
use futures_util::StreamExt as _;
use futures_util::future::join;
use rapace_session::{Streaming, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::content::NEXT_STREAM;
use super::workbench::pattern;
use crate::process::Process;
use crate::time::Nanos;

/// Two streams in one value, one of which may be left out.
#[derive(Facet)]
pub struct Feeds {
    /// Always there.
    pub left: Streaming<Bytes>,
    /// There or not.
    pub right: Option<Streaming<Bytes>>,
}

/// How many items came of each of [`Feeds`].
#[derive(Facet, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of `left`.
    pub left: u32,
    /// Of `right`, if it was there.
    pub right: Option<u32>,
}

/// What a stream carries.
#[derive(Facet, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The number of items.
    pub items: u32,
    /// The length of each.
    pub bytes: u32,
    /// The pause before each, in microseconds.
    pub micros: u32,
}

/// What a process can be asked to do with several streams at once.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Manifold {
    /// Reads both streams at the same time, each with a pause of so many microseconds before each
    /// item. Of `left` it takes at most so many and drops the rest.
    async fn take(&self, feeds: Feeds, left_most: Option<u32>, micros: u32) -> Taken;
    /// Reads `right` to its end before it begins with `left`.
    async fn take_in_turn(&self, feeds: Feeds) -> Taken;
    /// Gives two streams that flow at the same time, or one.
    async fn give(&self, left: Flow, right: Option<Flow>) -> Feeds;
    /// Gives each stream back in upper case, in its place.
    async fn relay_both(
        &self,
        pair: (Streaming<String>, Streaming<String>),
    ) -> (Streaming<String>, Streaming<String>);
    /// What comes out of each tunnel goes into the other; how many bytes these were.
    async fn cross(&self, here: Tunnel, there: Tunnel) -> (u64, u64);
}

/// The one implementation.
pub(super) struct Pipework {
    process: Process,
}

impl Pipework {
    pub(super) fn new(process: &Process) -> Self {
        Pipework {
            process: process.clone(),
        }
    }

    async fn count(&self, items: &mut Streaming<Bytes>, most: Option<u32>, micros: u32) -> u32 {
        let mut count = 0;
        while most != Some(count) {
            // A stream that breaks off takes the call with it: nobody waits for this count.
            let Some(Ok(_)) = items.next().await else {
                break;
            };
            count += 1;
            pause(&self.process, micros).await;
        }
        count
    }

    fn flow(&self, first: u32, flow: Flow) -> Streaming<Bytes> {
        let process = self.process.clone();
        let items = futures_util::stream::iter(0..flow.items).then(move |n| {
            let process = process.clone();
            async move {
                pause(&process, flow.micros).await;
                pattern(first.wrapping_add(n), flow.bytes)
            }
        });
        Streaming::new(items)
    }
}

impl Manifold for Pipework {
    async fn take(&self, feeds: Feeds, left_most: Option<u32>, micros: u32) -> Taken {
        let Feeds { mut left, right } = feeds;
        let left = async {
            let count = self.count(&mut left, left_most, micros).await;
            drop(left);
            count
        };
        let right = async {
            match right {
                Some(mut right) => Some(self.count(&mut right, None, micros).await),
                None => None,
            }
        };
        let (left, right) = join(left, right).await;
        Taken { left, right }
    }

    async fn take_in_turn(&self, feeds: Feeds) -> Taken {
        let Feeds { mut left, right } = feeds;
        let right = match right {
            Some(mut right) => Some(self.count(&mut right, None, 0).await),
            None => None,
        };
        let left = self.count(&mut left, None, 0).await;
        Taken { left, right }
    }

    async fn give(&self, left: Flow, right: Option<Flow>) -> Feeds {
        Feeds {
            left: self.flow(0, left),
            right: right.map(|right| self.flow(NEXT_STREAM, right)),
        }
    }

    async fn relay_both(
        &self,
        pair: (Streaming<String>, Streaming<String>),
    ) -> (Streaming<String>, Streaming<String>) {
        (in_upper_case(pair.0), in_upper_case(pair.1))
    }

    async fn cross(&self, here: Tunnel, there: Tunnel) -> (u64, u64) {
        let (mut from_here, mut to_here) = tokio::io::split(here);
        let (mut from_there, mut to_there) = tokio::io::split(there);
        let (here, there) = join(
            pour(&mut from_here, &mut to_there),
            pour(&mut from_there, &mut to_here),
        )
        .await;
        (here, there)
    }
}

fn in_upper_case(items: Streaming<String>) -> Streaming<String> {
    let items = items
        .take_while(|item| std::future::ready(item.is_ok()))
        .filter_map(|item| std::future::ready(item.ok()))
        .map(|item| item.to_uppercase());
    Streaming::new(items)
}

/// From one to the other until the first ends; how many bytes that were.
async fn pour(from: &mut ReadHalf<Tunnel>, to: &mut WriteHalf<Tunnel>) -> u64 {
    let mut total = 0;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let len = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(len) => len,
        };
        if to.write_all(&buffer[..len]).await.is_err() {
            break;
        }
        total += len as u64;
    }
    // The other side may have gone; the count is the answer all the same.
    let _ = to.shutdown().await;
    total
}

async fn pause(process: &Process, micros: u32) {
    if micros > 0 {
        process.sleep(Nanos::from_micros(u64::from(micros))).await;
    }
}
