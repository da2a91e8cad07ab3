//! What a plugin prints comes out of its host's tracing.
//!
//! Alone in its process: tracing remembers for each place in the code whether anybody listens, and
//! asks only the thread that comes by first.

#[path = "plugins/lab.rs"]
#[allow(dead_code, reason = "the other tests of plugins use the rest")]
mod lab;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::lab::{lab, ready, soon};

/// Events of the target, as `LEVEL field=value …`.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "rapace::plugin"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.0.lock().expect("no panic").push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn printed_lines_come_out_of_tracing_with_the_plugins_name() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let (plugin, client) = ready(lab()).await;
    let pid = plugin.pid().expect("a process");
    soon(client.print("hello\nthere".into()))
        .await
        .expect("printed");
    let all = soon(async {
        loop {
            let lines = recorder.0.lock().expect("no panic").clone();
            let said: Vec<String> = lines
                .into_iter()
                .filter(|l| l.contains("output="))
                .collect();
            // The harness that the plugin runs in has printed something before.
            if said.iter().filter(|line| line.contains("there")).count() == 2 {
                break said;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let all = all.await;
    for (level, output) in [("INFO", "stdout"), ("WARN", "stderr")] {
        let rest = format!("plugin=\"lab\" pid={pid} output=\"{output}\"");
        let expected = format!("{level} message=there {rest}");
        assert!(all.contains(&expected), "{expected} in {all:?}");
    }
}
