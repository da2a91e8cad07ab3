//! What was promised of rapace, held against what was measured.
//!
//! A target is listed when everything it compares was measured in this run.

use crate::codec::Timing;
use crate::summary::{Outcome, Table};
use crate::work::Work;

/// One promise.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) wanted: Wanted,
    pub(crate) unit: &'static str,
}

/// Which side of a bound is good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub(crate) fn met(&self) -> bool {
        match self.wanted {
            Wanted::AtMost(bound) => self.measured <= bound,
            Wanted::AtLeast(bound) => self.measured >= bound,
        }
    }
}

/// The targets on links; each table has its own.
pub(crate) fn of_table(table: &Table) -> Vec<Target> {
    let mut targets = Vec::new();
    if table.setting.in_process {
        let unary = table
            .find("rapace-mem", Work::Echo64)
            .and_then(|it| it.p50_us);
        targets.extend(unary.map(|p50| Target {
            what: "in-process echo 64 B, p50".to_owned(),
            measured: p50.median,
            wanted: Wanted::AtMost(1.0),
            unit: "µs",
        }));
        return targets;
    }

    // Each line compares rapace with another peer at the same work.
    let p50 = |outcome: &Outcome| outcome.p50_us.map_or(f64::NAN, |p50| p50.median);
    let rate = |outcome: &Outcome| outcome.rate.median;
    let mut compare = |work, peer, figure: &dyn Fn(&Outcome) -> f64, name, wanted| {
        let (Some(ours), Some(theirs)) = (table.find("rapace", work), table.find(peer, work))
        else {
            return;
        };
        targets.push(Target {
            what: format!("{}, {name} against {peer}", work.title()),
            measured: figure(ours) / figure(theirs),
            wanted,
            unit: "×",
        });
    };
    compare(Work::Echo64, "raw", &p50, "p50", Wanted::AtMost(1.5));
    compare(Work::Echo64, "tarpc", &p50, "p50", Wanted::AtMost(1.0));
    compare(Work::Echo64, "tonic", &p50, "p50", Wanted::AtMost(1.0));
    compare(Work::In1M, "raw", &rate, "MB/s", Wanted::AtLeast(0.8));
    compare(Work::Chunks, "raw", &rate, "MB/s", Wanted::AtLeast(0.8));

    if let Some(ours) = table.find("rapace", Work::Flood64) {
        // Half a million a second, or three times tarpc where the machine is slower.
        let tarpc = table.find("tarpc", Work::Flood64);
        let bound = tarpc.map_or(500_000.0, |tarpc| (3.0 * rate(tarpc)).min(500_000.0));
        targets.push(Target {
            what: Work::Flood64.title().to_owned(),
            measured: rate(ours),
            wanted: Wanted::AtLeast(bound),
            unit: "/s",
        });
    }
    targets.extend(table.find("rapace", Work::Items).map(|ours| Target {
        what: Work::Items.title().to_owned(),
        measured: rate(ours),
        wanted: Wanted::AtLeast(3e6),
        unit: "/s",
    }));
    targets.extend(of_shared_memory(table));
    targets
}

/// System calls per message that count as none: those that begin and end a round.
const NO_SYSTEM_CALL: f64 = 0.01;

/// What was promised of shared memory, in a table of two processes.
///
/// Of the link alone (peer rapace-link) against the floor that does nothing but that, and of calls
/// (peer rapace-shm) against the link that they could at best be as fast as.
fn of_shared_memory(table: &Table) -> Vec<Target> {
    let mut targets = Vec::new();
    let p50 = |outcome: &Outcome| outcome.p50_us.map_or(f64::NAN, |p50| p50.median);
    let rate = |outcome: &Outcome| outcome.rate.median;

    let mut compare = |(peer, work): (&str, Work),
                       (other, others): (&str, Work),
                       figure: &dyn Fn(&Outcome) -> f64,
                       name,
                       wanted| {
        let (Some(ours), Some(theirs)) = (table.find(peer, work), table.find(other, others)) else {
            return;
        };
        targets.push(Target {
            what: format!("{peer}: {}, {name} against {other}", work.title()),
            measured: figure(ours) / figure(theirs),
            wanted,
            unit: "×",
        });
    };
    for frame in [Work::Frame16, Work::Frame64] {
        let ring = ("ring", frame);
        compare(
            ("rapace-link", frame),
            ring,
            &p50,
            "p50",
            Wanted::AtMost(1.3),
        );
    }
    let echo = ("rapace-shm", Work::Echo64);
    let ring = ("ring", Work::Frame64);
    compare(echo, ring, &p50, "p50", Wanted::AtMost(4.0));
    let requests = ("iceoryx2", Work::Echo64);
    compare(echo, requests, &p50, "p50", Wanted::AtMost(1.0));
    let (asleep, eventfd) = (("rapace-link", Work::Wake64), ("eventfd", Work::Wake64));
    compare(asleep, eventfd, &p50, "p50", Wanted::AtMost(2.0));
    for copy in [Work::Copy1M, Work::Copy16M] {
        let (ours, ring) = (("rapace-shm", copy), ("ring", copy));
        compare(ours, ring, &rate, "MB/s", Wanted::AtLeast(0.9));
    }
    for fill in [Work::Fill1M, Work::Fill16M] {
        let (ours, iceoryx2) = (("rapace-shm", fill), ("iceoryx2", fill));
        compare(ours, iceoryx2, &rate, "MB/s", Wanted::AtLeast(1.0));
    }

    for (peer, work, bound) in [
        ("rapace-shm", Work::Flood64, 1e6),
        ("rapace-shm", Work::Items, 5e6),
        ("rapace-ring", Work::Batch16, 50e6),
    ] {
        targets.extend(table.find(peer, work).map(|ours| Target {
            what: format!("{peer}: {}", work.title()),
            measured: rate(ours),
            wanted: Wanted::AtLeast(bound),
            unit: "/s",
        }));
    }
    // A busy link needs a bell only where sender and receiver take turns on one core.
    for work in [Work::Flood64, Work::Items] {
        let calls = table.find("rapace-shm", work);
        targets.extend(calls.and_then(|it| it.system_calls).map(|calls| Target {
            what: format!("rapace-shm: {}, system calls", work.title()),
            measured: calls,
            wanted: Wanted::AtMost(NO_SYSTEM_CALL),
            unit: "each",
        }));
    }
    targets
}

/// The targets of the codec: each kind of type, encoding and decoding.
pub(crate) fn of_codec(timings: &[Timing]) -> Vec<Target> {
    let mut targets = Vec::new();
    for ours in timings
        .iter()
        .filter(|timing| timing.codec == "rapace-codec")
    {
        let Some(theirs) = timings
            .iter()
            .find(|other| other.codec == "postcard" && other.kind == ours.kind)
        else {
            continue;
        };
        let mut against = |what, ours: f64, theirs: f64, bound| {
            targets.push(Target {
                what: format!("{what} against serde+postcard"),
                measured: ours / theirs,
                wanted: Wanted::AtMost(bound),
                unit: "×",
            });
        };
        let (encode, decode) = (
            format!("encode {}", ours.kind),
            format!("decode {}", ours.kind),
        );
        against(encode, ours.encode_ns.median, theirs.encode_ns.median, 1.0);
        against(decode, ours.decode_ns.median, theirs.decode_ns.median, 1.3);
    }
    targets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::Runtime;
    use crate::cores::Placement;
    use crate::summary::{Setting, Spread};
    use crate::work::{Latency, Sample};

    fn outcome(peer: &'static str, work: Work, operations: u64, p50_ns: u64) -> Outcome {
        let sample = Sample {
            operations,
            elapsed: Duration::from_secs(1),
            latency: Some(Latency {
                p50_ns,
                p99_ns: p50_ns,
            }),
            client_cpu: Duration::ZERO,
            server_cpu: Duration::ZERO,
        };
        Outcome::of(peer, work, &[sample])
    }

    fn table(outcomes: Vec<Outcome>) -> Table {
        let (runtime, placement) = (Runtime::Current, Placement::Shared);
        Table {
            setting: Setting {
                runtime,
                placement,
                in_process: false,
            },
            outcomes,
        }
    }

    #[test]
    fn latency_is_held_against_the_floor() {
        let near = [
            outcome("raw", Work::Echo64, 1, 6000),
            outcome("rapace", Work::Echo64, 1, 9000),
        ];
        let targets = of_table(&table(near.to_vec()));
        assert_eq!(targets.len(), 1);
        assert!(targets[0].met());
        let far = [
            outcome("raw", Work::Echo64, 1, 6000),
            outcome("rapace", Work::Echo64, 1, 9100),
        ];
        assert!(!of_table(&table(far.to_vec()))[0].met());
    }

    #[test]
    fn calls_in_shared_memory_are_held_against_the_bare_ring_and_iceoryx2() {
        let outcomes = |ours| {
            vec![
                outcome("ring", Work::Frame64, 1, 400),
                outcome("iceoryx2", Work::Echo64, 1, 1500),
                outcome("rapace-shm", Work::Echo64, 1, ours),
            ]
        };
        let met = |ours| {
            let targets = of_table(&table(outcomes(ours)));
            targets.iter().map(Target::met).collect::<Vec<_>>()
        };
        assert_eq!(met(1500), [true, true]);
        assert_eq!(met(1600), [true, false]);
        assert_eq!(met(1601), [false, false]);
    }

    #[test]
    fn a_doorbell_per_item_misses_the_target() {
        let mut items = outcome("rapace-shm", Work::Items, 6_000_000, 1);
        items.system_calls = Some(1.0);
        let targets = of_table(&table(vec![items]));
        let verdicts: Vec<_> = targets.iter().map(Target::met).collect();
        assert_eq!(verdicts, [true, false]);
    }

    #[test]
    fn three_times_tarpc_is_enough_in_flight() {
        let slow = |ours, tarpc| {
            let outcomes = [
                outcome("tarpc", Work::Flood64, tarpc, 1),
                outcome("rapace", Work::Flood64, ours, 1),
            ];
            of_table(&table(outcomes.to_vec()))[0].met()
        };
        assert!(slow(300_000, 100_000));
        assert!(!slow(299_999, 100_000));
        assert!(slow(500_000, 200_000));
    }

    #[test]
    fn nothing_is_promised_of_others() {
        assert!(of_table(&table(vec![outcome("raw", Work::Echo64, 1, 6000)])).is_empty());
    }

    #[test]
    fn the_codec_is_held_against_postcard_kind_by_kind() {
        let timing = |codec, encode: f64, decode: f64| Timing {
            kind: "small struct",
            codec,
            encoded_len: 1,
            encode_ns: Spread::of([encode]).unwrap(),
            decode_ns: Spread::of([decode]).unwrap(),
        };
        let targets = of_codec(&[
            timing("postcard", 10.0, 10.0),
            timing("rapace-codec", 9.0, 14.0),
        ]);
        assert_eq!(
            targets.iter().map(Target::met).collect::<Vec<_>>(),
            [true, false]
        );
    }
}
