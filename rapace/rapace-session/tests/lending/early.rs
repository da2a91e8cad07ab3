//! Over a link that takes frames without a system call, what is queued does not wait for the end of a
//! turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use rapace_session::{Session, TableSizes};

use crate::link::{self, Lane};
use crate::within;

/// Calls at once: several times what leaves early.
const CALLS: u32 = 200;
/// What may wait: 16 frames, and the one that is being made.
const WAITING_MAX: u64 = 17;

#[rapace_macros::service(crate = "rapace_session")]
pub trait Counter {
    /// The same number.
    async fn count(&self, number: u32) -> u32;
}

struct Watched {
    back: Lane,
    before: u64,
    run: AtomicU64,
    waited_most: Arc<AtomicU64>,
}

impl Counter for Watched {
    async fn count(&self, number: u32) -> u32 {
        let answered = self.run.fetch_add(1, Ordering::Relaxed);
        let gone = self.back.counts().flushed.saturating_sub(self.before);
        let waits = answered.saturating_sub(gone);
        self.waited_most.fetch_max(waits, Ordering::Relaxed);
        number
    }
}

#[tokio::test]
async fn requests_and_answers_leave_before_the_turn_ends() {
    let (a, there, b, back) = link::pair(1 << 20);
    let waited_most = Arc::<AtomicU64>::default();
    let watched = Watched {
        back: back.clone(),
        // The Hello.
        before: 1,
        run: AtomicU64::new(0),
        waited_most: waited_most.clone(),
    };
    let plugin = Session::builder()
        .serve(CounterServer::new(watched))
        .accept(b);
    let plugin = plugin.expect("plugin");
    let host = Session::builder().connect(a).expect("host");
    host.ready().await.expect("ready");
    let client: CounterClient = host.client();

    let hello = there.counts().flushed;
    let mut requests_waited_most = 0;
    let calls = (0..CALLS).map(|number| {
        let mut call = Box::pin(client.count(number));
        let first = futures_util::FutureExt::now_or_never(&mut call);
        assert!(first.is_none(), "the other side has not run");
        // What this side has queued, less what has left.
        let left = there.counts().flushed - hello;
        requests_waited_most = requests_waited_most.max(u64::from(number) + 1 - left);
        call
    });
    let calls: Vec<_> = calls.collect();
    for (number, answer) in within(join_all(calls)).await.into_iter().enumerate() {
        assert_eq!(answer.expect("an answer"), number as u32);
    }
    assert!(requests_waited_most < WAITING_MAX, "{requests_waited_most}");
    let waited_most = waited_most.load(Ordering::Relaxed);
    assert!((1..=WAITING_MAX).contains(&waited_most), "{waited_most}");
    assert_eq!(host.table_sizes(), TableSizes::default());
    drop(plugin);
}
