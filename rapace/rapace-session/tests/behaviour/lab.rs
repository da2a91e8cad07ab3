//! A service whose handlers the tests can watch and hold up.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use facet::Facet;
use rapace_session::{
    Cancellation, Client as _, Context, Limits, Session, StreamSender, Streaming,
};
use tokio::sync::Semaphore;

/// What a handler sees of its call.
#[derive(Facet, Debug, PartialEq, Eq)]
pub struct About {
    pub peer: Option<String>,
    pub tag: Option<Bytes>,
    pub entries: u32,
    pub millis_left: Option<u64>,
}

#[rapace_macros::service(crate = "rapace_session")]
pub trait Lab {
    /// Waits until the test lets it go.
    async fn hold(&self, cx: &Context) -> u32;
    /// Panics after having waited once.
    async fn boom_later(&self) -> u32;
    /// What the context says; sets the trailer `seen`.
    async fn about(&self, cx: &Context) -> About;
    /// Calls the caller back, which calls back, …; returns how deep it went.
    async fn bounce(&self, cx: &Context, depth: u32) -> u32;
    /// Asks the caller with a deadline how many milliseconds that leaves it.
    async fn ask_back(&self, cx: &Context, millis: u32) -> Option<u64>;
    /// Occupies its thread.
    async fn compute(&self, millis: u32) -> u32;
    /// Answers at once.
    async fn quick(&self, n: u32) -> u32;
    /// `n` zero bytes.
    async fn zeros(&self, n: u32) -> Bytes;
    /// How many bytes there are.
    async fn weigh(&self, data: Bytes) -> u32;
    /// Counts.
    #[rapace(oneway)]
    async fn note(&self, n: u32);
    /// Counts its calls, then waits until the test lets it go.
    #[rapace(idempotent)]
    async fn load(&self, cx: &Context) -> u32;

    /// The sum; −1 when the stream broke off.
    async fn total(&self, items: Streaming<u32>) -> i64;
    /// Passes the stream back to the caller's `total`.
    async fn forward(&self, cx: &Context, items: Streaming<u32>) -> i64;
    /// The very stream that came.
    async fn send_back(&self, items: Streaming<u32>) -> Streaming<u32>;
    /// What the test sends into `LabState::feed`.
    async fn feed(&self) -> Streaming<u32>;
    /// Chunks of this size, without an end.
    async fn flood(&self, chunk: u32) -> Streaming<Bytes>;
    /// A stream whose source panics after `n` items.
    async fn panics_after(&self, n: u32) -> Streaming<u32>;
    /// Takes the stream, and drops it after `n` items.
    async fn take(&self, n: u32, items: Streaming<u32>) -> u32;
    /// Sums of those that are there.
    async fn either(&self, a: Option<Streaming<u32>>, b: Option<Streaming<u32>>) -> (i64, i64);
    /// A stream in one of two places.
    async fn one_of(&self, second: bool) -> (Option<Streaming<u32>>, Option<Streaming<u32>>);
}

/// What the test sees of the handlers, and how it steers them.
#[derive(Default)]
pub struct LabState {
    pub holding: AtomicU32,
    pub notes: AtomicU32,
    pub loads: AtomicU32,
    pub taken: AtomicU32,
    pub flooded: AtomicU32,
    pub gate: Gate,
    pub tokens: Mutex<Vec<Cancellation>>,
    pub contexts: Mutex<Vec<Context>>,
    pub feed: Mutex<Option<StreamSender<u32>>>,
}

pub struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Gate(Semaphore::new(0))
    }
}

impl Gate {
    /// Lets `n` handlers go.
    pub fn open(&self, n: usize) {
        self.0.add_permits(n);
    }

    async fn pass(&self) {
        self.0.acquire().await.expect("never closed").forget();
    }
}

impl LabState {
    pub fn holding(&self) -> u32 {
        self.holding.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Default)]
pub struct Bench(pub Arc<LabState>);

struct Holding<'a>(&'a AtomicU32);

impl<'a> Holding<'a> {
    fn start(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Holding(count)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn sum(mut items: Streaming<u32>) -> i64 {
    let mut sum = 0;
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => sum += i64::from(item),
            Err(_) => return -1,
        }
    }
    sum
}

impl Lab for Bench {
    async fn hold(&self, cx: &Context) -> u32 {
        let _holding = Holding::start(&self.0.holding);
        self.0
            .tokens
            .lock()
            .expect("tokens")
            .push(cx.cancellation());
        self.0.contexts.lock().expect("contexts").push(cx.clone());
        self.0.gate.pass().await;
        1
    }

    async fn boom_later(&self) -> u32 {
        tokio::task::yield_now().await;
        panic!("later")
    }

    async fn about(&self, cx: &Context) -> About {
        cx.set_trailer("seen", "yes").expect("a good trailer");
        assert!(
            cx.set_trailer("Seen", "no").is_err(),
            "upper case is refused"
        );
        About {
            peer: cx.peer_name(),
            tag: cx.metadata("tag").cloned(),
            entries: cx.all_metadata().len() as u32,
            millis_left: cx.time_left().map(|left| left.as_millis() as u64),
        }
    }

    async fn bounce(&self, cx: &Context, depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let back = LabClient::from_caller(cx.caller());
        1 + back.bounce(depth - 1).await.expect("the way back")
    }

    async fn ask_back(&self, cx: &Context, millis: u32) -> Option<u64> {
        let back = LabClient::from_caller(cx.caller());
        let about = back
            .about()
            .deadline(Duration::from_millis(u64::from(millis)));
        about.await.expect("the way back").millis_left
    }

    async fn compute(&self, millis: u32) -> u32 {
        let _holding = Holding::start(&self.0.holding);
        let until = Instant::now() + Duration::from_millis(u64::from(millis));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        millis
    }

    async fn quick(&self, n: u32) -> u32 {
        n
    }

    async fn zeros(&self, n: u32) -> Bytes {
        Bytes::from(vec![0; n as usize])
    }

    async fn weigh(&self, data: Bytes) -> u32 {
        data.len() as u32
    }

    async fn note(&self, n: u32) {
        self.0.notes.fetch_add(n, Ordering::SeqCst);
    }

    async fn load(&self, cx: &Context) -> u32 {
        let load = self.0.loads.fetch_add(1, Ordering::SeqCst);
        self.0.contexts.lock().expect("contexts").push(cx.clone());
        self.0.gate.pass().await;
        load
    }

    async fn total(&self, items: Streaming<u32>) -> i64 {
        sum(items).await
    }

    async fn forward(&self, cx: &Context, items: Streaming<u32>) -> i64 {
        let back = LabClient::from_caller(cx.caller());
        back.total(items).await.unwrap_or(-2)
    }

    async fn send_back(&self, items: Streaming<u32>) -> Streaming<u32> {
        items
    }

    async fn feed(&self) -> Streaming<u32> {
        let (sender, items) = Streaming::channel(4);
        *self.0.feed.lock().expect("feed") = Some(sender);
        items
    }

    async fn flood(&self, chunk: u32) -> Streaming<Bytes> {
        let state = self.0.clone();
        let bytes = Bytes::from(vec![7; chunk as usize]);
        Streaming::from_iter(std::iter::repeat_with(move || {
            state.flooded.fetch_add(1, Ordering::SeqCst);
            bytes.clone()
        }))
    }

    async fn panics_after(&self, n: u32) -> Streaming<u32> {
        Streaming::from_iter((0..=n).inspect(move |&at| assert!(at < n, "the source panics")))
    }

    async fn take(&self, n: u32, mut items: Streaming<u32>) -> u32 {
        for _ in 0..n {
            items.next().await.expect("more").expect("item");
        }
        drop(items);
        self.0.taken.fetch_add(n, Ordering::SeqCst);
        self.0.gate.pass().await;
        n
    }

    async fn either(&self, a: Option<Streaming<u32>>, b: Option<Streaming<u32>>) -> (i64, i64) {
        let a = match a {
            Some(items) => sum(items).await,
            None => -7,
        };
        let b = match b {
            Some(items) => sum(items).await,
            None => -7,
        };
        (a, b)
    }

    async fn one_of(&self, second: bool) -> (Option<Streaming<u32>>, Option<Streaming<u32>>) {
        let items = Some(Streaming::from_iter(0..10));
        if second { (None, items) } else { (items, None) }
    }
}

/// Two sessions that both serve the lab.
pub struct Labs {
    pub host: Session,
    pub plugin: Session,
    pub at_host: Arc<LabState>,
    pub at_plugin: Arc<LabState>,
    /// Kills the plugin.
    pub kill: rapace_mem::KillSwitch,
}

impl Labs {
    pub fn new() -> Self {
        Self::with(Limits::default(), Limits::default())
    }

    pub fn with(here: Limits, there: Limits) -> Self {
        let (a, b) = rapace_mem::pair();
        let kill = b.kill_switch();
        let (at_host, at_plugin) = (Bench::default(), Bench::default());
        let host = Session::builder()
            .serve(LabServer::new(at_host.clone()))
            .limits(here)
            .name("host")
            .connect(a)
            .expect("host");
        let plugin = Session::builder()
            .serve(LabServer::new(at_plugin.clone()))
            .limits(there)
            .name("plugin")
            .accept(b)
            .expect("plugin");
        Labs {
            host,
            plugin,
            at_host: at_host.0,
            at_plugin: at_plugin.0,
            kill,
        }
    }

    /// The plugin's lab, as the host sees it.
    pub fn client(&self) -> LabClient {
        self.host.client()
    }
}
