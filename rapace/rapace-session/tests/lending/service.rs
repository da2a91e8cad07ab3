//! A service that takes and gives bytes in all the ways there are.

use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use rapace_session::{Context, Session, Streaming, Tunnel};
use tokio::sync::Semaphore;

use crate::link::{self, Lane};

/// No `Bytes` in it: the codec writes every byte of it.
#[derive(Facet, Clone, Debug, PartialEq)]
pub struct Record {
    pub name: String,
    pub numbers: Vec<u64>,
    pub raw: Vec<u8>,
}

/// Bytes among other fields.
#[derive(Facet, Clone, Debug, PartialEq)]
pub struct Parcel {
    pub name: String,
    pub body: Bytes,
    pub tag: u32,
}

#[rapace_macros::service(crate = "rapace_session")]
pub trait Depot {
    /// How many bytes there are.
    async fn weigh(&self, data: Bytes) -> u32;
    /// The same parcel.
    async fn forward(&self, parcel: Parcel) -> Parcel;
    /// The same record.
    async fn copy(&self, record: Record) -> Record;
    /// The sum.
    async fn add(&self, a: u32, b: u32) -> u32;
    /// `len` bytes of value 7, written into a loan; with a trailer if asked.
    async fn make(&self, cx: &Context, len: u32, trailer: bool) -> Parcel;
    /// The sum of all bytes of all items, read once the test opens the gate.
    async fn sum(&self, items: Streaming<Bytes>) -> u64;
    /// The sum of all bytes of a tunnel.
    async fn pour(&self, tunnel: Tunnel) -> u64;
    /// `count` items of `len` bytes each, written into loans.
    async fn items(&self, cx: &Context, count: u32, len: u32) -> Streaming<Bytes>;
}

#[derive(Clone)]
pub struct House {
    pub gate: Arc<Semaphore>,
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

impl Depot for House {
    async fn weigh(&self, data: Bytes) -> u32 {
        data.len() as u32
    }

    async fn forward(&self, parcel: Parcel) -> Parcel {
        parcel
    }

    async fn copy(&self, record: Record) -> Record {
        record
    }

    async fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    async fn make(&self, cx: &Context, len: u32, trailer: bool) -> Parcel {
        let mut body = cx.loan(len as usize).await.expect("a loan");
        body.fill(7);
        if trailer {
            cx.set_trailer("made", "yes").expect("a trailer");
        }
        Parcel {
            name: "made".to_owned(),
            body: body.freeze(),
            tag: 5,
        }
    }

    async fn sum(&self, mut items: Streaming<Bytes>) -> u64 {
        let _open = self.gate.acquire().await.expect("gate");
        let mut total = 0;
        while let Some(item) = items.next().await {
            total += sum(&item.expect("item"));
        }
        total
    }

    async fn pour(&self, mut tunnel: Tunnel) -> u64 {
        let mut total = 0;
        while let Some(piece) = tunnel.recv().await.expect("piece") {
            total += sum(&piece);
        }
        total
    }

    async fn items(&self, cx: &Context, count: u32, len: u32) -> Streaming<Bytes> {
        let (sender, items) = Streaming::channel(1);
        let cx = cx.clone();
        tokio::spawn(async move {
            for number in 0..count {
                let mut loan = cx.loan(len as usize).await.expect("a loan");
                loan.fill(number as u8);
                if sender.send(loan.freeze()).await.is_err() {
                    return;
                }
            }
        });
        items
    }
}

/// Two sessions over a link that lends; the host calls, the plugin serves.
pub struct Depots {
    pub host: Session,
    /// Held so that it goes on serving.
    _plugin: Session,
    pub client: DepotClient,
    pub gate: Arc<Semaphore>,
    /// What the host has sent from.
    pub there: Lane,
    /// What the plugin has answered from.
    pub back: Lane,
}

/// Memory that either side lends, in bytes.
pub const BUDGET: usize = 16 << 20;

impl Depots {
    /// Ready, with everything that the handshake cost out of the counts' way: it travels inline or
    /// is copied before [`Depots::new`] returns.
    pub async fn new() -> Self {
        let (a, there, b, back) = link::pair(BUDGET);
        let gate = Arc::new(Semaphore::new(0));
        let house = House { gate: gate.clone() };
        let plugin = Session::builder().serve(DepotServer::new(house)).accept(b);
        let host = Session::builder().connect(a).expect("host");
        let client: DepotClient = host.client();
        host.ready().await.expect("ready");
        assert_eq!(client.add(1, 2).await.expect("add"), 3);
        Depots {
            _plugin: plugin.expect("plugin"),
            host,
            client,
            gate,
            there,
            back,
        }
    }
}
