//! Streams both ways: that items come in order and whole, that large ones get through, and that
//! everybody hears of the end.

use rapace_session::Streaming;

use super::Worker;
use crate::sometimes;
use crate::time::Nanos;

/// Items around the size of the window are made for windows up to this long.
const WINDOW_BYTES_MAX: u64 = 16 << 10;
/// The most items of a stream of small ones; a driver that was away finds more of them than it
/// takes in one go.
const ITEMS_MAX: u64 = 2_500;

impl Worker {
    /// How many items a stream has: now and then very many.
    fn items(&mut self) -> u64 {
        let most = *self.draws.pick(&[3, 3, 20, 20, 20, 300, 300, 300]);
        if most == 300 && self.draws.chance(1, 12) {
            return ITEMS_MAX;
        }
        self.draws.below(most)
    }

    pub(super) async fn sum(&mut self) {
        let len = self.items() as i32;
        let items: Vec<i32> = (0..len).collect();
        let expected: i64 = items.iter().map(|item| i64::from(*item)).sum();
        let call = self.testbed.sum(Streaming::from(items));
        let sum = self.host.watch("sum", call).await;
        if let Some(sum) = self.settled("sum", sum) {
            // The plugin answers with what it has when a stream breaks off; that answer is void then.
            self.must(sum == expected, || format!("the sum of 0..{len} is {sum}"));
        }
    }

    pub(super) async fn count(&mut self) {
        let len = self.items() as u32;
        let leaves_after = if self.draws.chance(1, 4) {
            self.draws.below(u64::from(len) + 1) as u32
        } else {
            u32::MAX
        };
        let pause = *self.draws.pick(&[0, 0, 40_000]);
        let counted = self.host.watch("count", self.testbed.count(len)).await;
        let Some(mut items) = self.settled("count", counted) else {
            return;
        };
        let mut seen = 0;
        loop {
            match items.next().await {
                Some(Ok(item)) => {
                    self.must(item == seen, || {
                        format!("count({len}): {item} after {seen}")
                    });
                    seen += 1;
                }
                Some(Err(error)) => {
                    sometimes!("a stream broke off");
                    assert!(!self.weather.calm, "count({len}) broke off: {error}");
                    return;
                }
                None => {
                    self.must(seen == len, || format!("count({len}) ends after {seen}"));
                    return;
                }
            }
            if seen >= leaves_after {
                sometimes!("a stream was left early");
                return;
            }
            if pause > 0 {
                self.host.sleep(Nanos(pause)).await;
            }
        }
    }

    /// Items of all sizes up to twice the window, in any order: each gets through in its turn.
    fn strings(&mut self) -> Vec<String> {
        let window = u64::from(self.window_bytes).min(WINDOW_BYTES_MAX);
        let most = *self.draws.pick(&[0, window / 2, window, 2 * window]);
        let count = if most > 4 << 10 { 6 } else { 30 };
        let count = self.draws.below(count);
        let item = |at| {
            let bytes = self.draws.below(most + 1) as usize;
            format!("item {at} {}", "x".repeat(bytes))
        };
        (0..count).map(item).collect()
    }

    pub(super) async fn relay(&mut self) {
        let items = self.strings();
        let len = items.len();
        let expected: Vec<String> = items.iter().map(|item| item.to_uppercase()).collect();
        let call = self.testbed.relay(Streaming::from(items));
        let relayed = self.host.watch("relay", call).await;
        let Some(mut items) = self.settled("relay", relayed) else {
            return;
        };
        let mut seen = 0;
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => self.must(expected.get(seen) == Some(&item), || {
                    let bytes = item.len();
                    format!("an item of {bytes} bytes is relayed after {seen} items: {item:.20}")
                }),
                Err(error) => {
                    sometimes!("a stream broke off");
                    assert!(!self.weather.calm, "relay broke off: {error}");
                    return;
                }
            }
            seen += 1;
        }
        // The plugin ends its stream, too, when its half of the items breaks off.
        assert!(
            seen == len || !self.weather.calm,
            "{seen} of {len} items relayed"
        );
    }

    /// A stream that the plugin goes on reading after its answer. Whoever reads it hears of its
    /// end, whatever that is: the world asks for it when it is over.
    pub(super) async fn collect(&mut self) {
        let items = self.strings();
        let len = items.len() as u32;
        // Whether the answer comes before the stream was opened is for the plugin to decide.
        let lost_allowed = !self.weather.calm || self.weather.retiring;
        let call = self
            .bouncer
            .collect(len, lost_allowed, Streaming::from(items));
        let collected = self.host.watch("collect", call).await;
        self.settled("collect", collected);
    }

    /// The same the other way round: the host goes on reading.
    pub(super) async fn hand_over(&mut self) {
        if self.weather.spoiled {
            // The world waits for what the host does, and an end that was changed is none.
            return;
        }
        let total = self.draws.below(20) as u32;
        let lost_allowed = !self.weather.calm || self.weather.retiring;
        let call = self.bouncer.hand_over(total, lost_allowed);
        let handed = self.host.watch("hand_over", call).await;
        if let Some(Err(error)) = self.settled("hand_over", handed) {
            // It holds a call at the host, and there may be few of them.
            let allowed = error.contains("limit") || self.weather.retiring;
            assert!(!self.weather.calm || allowed, "hand_over: {error}");
        }
    }
}
