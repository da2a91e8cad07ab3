//! One span per call on each side, in one trace.
//!
//! Alone in its process: tracing remembers for each place in the code whether anybody listens, and
//! asks only the thread that comes by first.
#![allow(unreachable_pub, reason = "one test binary, nothing is public")]
#![allow(missing_docs, reason = "services of tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their runtime and its clock"
)]

#[path = "behaviour/lab.rs"]
#[allow(dead_code, reason = "the tests of behaviour use the rest")]
mod lab;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::lab::Labs;

/// A hang fails, and soon.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let future = tokio::time::timeout(Duration::from_secs(20), future);
    future.await.expect("an end, but this hangs")
}

type Fields = BTreeMap<&'static str, String>;

/// Writes down the spans of the target `rapace`, and how they end.
#[derive(Clone, Default)]
struct Spans {
    next: Arc<AtomicU64>,
    all: Arc<Mutex<Vec<(&'static str, Fields)>>>,
    entered: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "rapace"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Reader(&mut fields));
        self.all
            .lock()
            .expect("spans")
            .push((span.metadata().name(), fields));
        Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, _span: &Id) {
        self.entered.fetch_add(1, Ordering::SeqCst);
    }

    fn exit(&self, _span: &Id) {
        self.left.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_has_one_span_on_each_side_and_calls_that_it_causes_share_its_trace() {
    let spans = Spans::default();
    // Sessions of this test live on this thread alone.
    let _guard = tracing::subscriber::set_default(spans.clone());
    let labs = Labs::new();
    within(labs.client().quick(1)).await.expect("quick");
    let quick = std::mem::take(&mut *spans.all.lock().expect("spans"));
    let names: Vec<_> = quick.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["call", "serve"], "{quick:?}");
    let (call, serve) = (&quick[0].1, &quick[1].1);
    for fields in [call, serve] {
        assert_eq!(fields["method"], "Lab.quick");
    }
    assert_eq!(call["trace_id"].len(), 32);
    assert_eq!(call["trace_id"], serve["trace_id"]);
    assert_eq!(call["span_id"], serve["parent_span_id"]);

    // There, back and there again: six spans of one trace, none of the trace before.
    within(labs.client().bounce(2)).await.expect("bounce");
    let bounce = std::mem::take(&mut *spans.all.lock().expect("spans"));
    assert_eq!(bounce.len(), 6, "{bounce:?}");
    for (_, fields) in &bounce {
        assert_eq!(fields["trace_id"], bounce[0].1["trace_id"], "{bounce:?}");
        assert_ne!(fields["trace_id"], call["trace_id"]);
    }
    // A trace that the user brings is continued.
    let mine = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    let call = labs
        .client()
        .about()
        .metadata("traceparent", mine)
        .with_response_metadata();
    let (about, _) = within(call).await.expect("about");
    assert_eq!(about.entries, 1);
    let about = std::mem::take(&mut *spans.all.lock().expect("spans"));
    assert_eq!(about.len(), 2, "{about:?}");
    for (_, fields) in &about {
        assert_eq!(fields["trace_id"], "0123456789abcdef0123456789abcdef");
    }
    let entered = spans.entered.load(Ordering::SeqCst);
    assert_eq!(entered, spans.left.load(Ordering::SeqCst));
    assert!(
        entered >= 10,
        "spans are not entered while the call is polled: {entered}"
    );
}
