use proptest::prelude::*;

use super::*;
use crate::plan::{Cast, Plan};

/// The measure by which faults are simpler: compared from left to right, every part a natural
/// number, and no longer than a few parts, so that it cannot fall for ever.
fn weight(fault: &Fault) -> Vec<u64> {
    let what = match &fault.what {
        What::Kill { .. } | What::Hang { .. } | What::Cut { .. } => 0,
        What::Doorbell { effect, .. } => match effect {
            DoorbellEffect::Duplicate => 0,
            DoorbellEffect::Coalesce => 1,
            DoorbellEffect::Delay(_) => 2,
        },
        _ => 1,
    };
    let when = match &fault.when {
        When::At(_) => 0,
        When::Frame { moment, .. } => match moment {
            Moment::After => 1,
            Moment::Before => 2,
        },
        When::Event { .. } | When::Store { .. } => 3,
        When::StoreAfter { .. } => 4,
    };
    let mut weight = vec![what, when];
    for number in numbers(&mut fault.clone()) {
        let value = number.value();
        weight.extend(match number.scale {
            Scale::Time | Scale::Span => [u64::from(digits(value)), value],
            Scale::Count(_) => [0, value],
            Scale::Room(_) => [0, u64::MAX - value],
            // No bit at all counts as one, and would have to be explained.
            Scale::Bits if value == 0 => [9, 0],
            Scale::Bits => [u64::from(value.count_ones()), value],
        });
    }
    if let What::KillLosing { stores, .. } = &fault.what {
        weight.push(stores.len() as u64);
    }
    weight
}

fn read(text: &str) -> Fault {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is left of a fault of which nothing matters.
fn simplest(text: &str) -> String {
    let mut fault = read(text);
    for _ in 0..100 {
        match ways(&fault).into_iter().flatten().next() {
            Some(simpler) => fault = simpler,
            None => return fault.to_string(),
        }
    }
    panic!("{text} becomes {fault}, and no end is in sight");
}

/// Faults of all kinds, with any numbers.
fn any_fault() -> impl Strategy<Value = Fault> {
    let number = prop_oneof![
        any::<u64>(),
        0..300_u64,
        0..30_000_000_000_u64,
        Just(u64::MAX)
    ];
    let drawn = (any::<u64>(), prop::collection::vec(number, 4));
    let drawn = drawn.prop_filter_map("a calm seed", |(seed, values)| {
        let mut fault = Plan::swarm(seed, &Cast::standard()).faults.pop()?;
        for (at, value) in values.into_iter().enumerate() {
            if at < numbers(&mut fault).len() {
                fault = with(&fault, at, value);
            }
        }
        Some(fault)
    });
    let stores = prop::collection::vec(1..40_u32, 0..20);
    let losing = (any::<u64>(), stores).prop_map(|(n, stores)| Fault {
        when: When::Store {
            process: "a".into(),
            n,
        },
        what: What::KillLosing {
            process: "a".into(),
            stores,
        },
    });
    prop_oneof![9 => drawn, 1 => losing]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Of a way, everything is simpler than what comes behind it, and than the fault.
    #[test]
    fn ways_lead_down(fault in any_fault()) {
        for way in ways(&fault) {
            for (one, next) in way.iter().zip(way.iter().skip(1).chain([&fault])) {
                prop_assert!(weight(one) < weight(next), "{one} is not simpler than {next}");
            }
        }
    }

    /// Moving all times leads down, too: no fault gets less simple, and some get simpler.
    #[test]
    fn earlier_faults_are_simpler(faults in prop::collection::vec(any_fault(), 0..5)) {
        for moved in earlier(&faults) {
            prop_assert_eq!(moved.len(), faults.len());
            prop_assert_ne!(&moved, &faults);
            for (moved, fault) in moved.iter().zip(&faults) {
                prop_assert!(weight(moved) <= weight(fault), "{moved} is not simpler than {fault}");
            }
        }
    }

    /// Whichever of the simpler faults is taken, there is an end.
    #[test]
    fn ways_end(mut fault in any_fault(), picks in prop::collection::vec(any::<prop::sample::Index>(), 64)) {
        let mut picks = picks.iter().cycle();
        let mut steps = 0;
        loop {
            let simpler: Vec<Fault> = ways(&fault).into_iter().flatten().collect();
            let (false, Some(pick)) = (simpler.is_empty(), picks.next()) else {
                break;
            };
            fault = pick.get(&simpler).clone();
            steps += 1;
            prop_assert!(steps < 1_000, "after {steps} steps still {fault}");
        }
        prop_assert!(ways(&fault).iter().all(Vec::is_empty));
    }

    /// Shrunk plans are saved and pasted as sentences.
    #[test]
    fn simpler_faults_are_read_as_they_are_printed(fault in any_fault()) {
        for simpler in ways(&fault).into_iter().flatten() {
            let text = simpler.to_string();
            prop_assert_eq!(text.parse(), Ok(simpler), "{}", text);
        }
    }
}

#[test]
fn a_fault_of_which_nothing_matters_becomes_the_simplest_of_its_kind() {
    for (fault, expected) in [
        ("at 17.203418ms: kill a", "at 0s: kill a"),
        ("before event 387 of a: kill a", "at 0s: kill a"),
        ("before store 17 of a after 20.3ms: kill a", "at 0s: kill a"),
        (
            "before a sends its data 9: restart a after 83.1ms",
            "at 0s: kill a",
        ),
        ("at 1.5s: kill a after 17 more stores", "at 0s: kill a"),
        ("at 1.5s: kill a losing stores 1,4,12", "at 0s: kill a"),
        ("at 2ms: hang a for 83.112947ms", "at 0s: hang a for 1ms"),
        ("at 2ms: hang a for 83.112us", "at 0s: hang a for 1us"),
        ("at 2ms: hang a for 83ns", "at 0s: hang a for 1ns"),
        (
            "at 2ms: slow a to 3.3ms an event for 1.77s",
            "at 0s: hang a for 1ms",
        ),
        (
            "at 2ms: clock of a 7.123s ahead",
            "at 0s: clock of a 1ms ahead",
        ),
        ("at 2ms: freeze link a", "at 0s: freeze link a for 1ms"),
        ("at 2ms: thaw link a", "at 0s: thaw link a"),
        (
            "at 2ms: latency of link a 43.7ms",
            "at 0s: latency of link a 1ms",
        ),
        (
            "at 2ms: window of link a 300 bytes",
            "at 0s: window of link a 212992 bytes",
        ),
        (
            "at 2ms: reads and writes of link a at most 16 bytes",
            "at 0s: reads and writes of link a at most 65536 bytes",
        ),
        ("at 2ms: cut link a from host on", "at 0s: cut link a"),
        (
            "at 2ms: corrupt byte 381 of host on link a by 0xa4",
            "at 0s: corrupt byte 0 of host on link a by 0x01",
        ),
        (
            "at 2ms: doorbells of link a delayed by 3.2ms for 1.44s",
            "at 0s: doorbells of link a duplicated for 1ms",
        ),
        (
            "at 2ms: exhaust link a for 1.44s",
            "at 0s: exhaust link a for 1ms",
        ),
    ] {
        assert_eq!(simplest(fault), expected, "from {fault}");
    }
}

#[test]
fn faults_that_are_moved_keep_their_distance_and_stay_round() {
    let faults = [
        read("at 3.4s: kill a"),
        read("before event 3 of b: kill a"),
        read("at 4s: kill b"),
        read("at 0s: latency of link a 1ms"),
    ];
    let moved: Vec<String> = earlier(&faults)
        .iter()
        .map(|faults| format!("{}, {}", faults[0].when, faults[2].when))
        .collect();
    assert_eq!(
        moved[..3],
        ["at 0s, at 600ms", "at 400ms, at 1s", "at 1.4s, at 2s"]
    );
    assert_eq!(earlier(&faults)[0][3], faults[3], "from the start");
    // 3.3 s and 3.1 s from now would not be round any more.
    assert!(
        !moved.iter().any(|text| text.contains("at 3.9s")),
        "{moved:?}"
    );
    assert!(
        earlier(&faults[..2]).is_empty(),
        "there is nothing to keep a distance to"
    );
}

/// All ways of a fault that has some, as they are searched.
#[test]
fn times_become_rounder_before_they_become_shorter() {
    let fault = read("at 0s: hang a for 17.2034ms");
    let ways: Vec<Vec<String>> = ways(&fault)
        .iter()
        .filter(|way| !way.is_empty())
        .map(|way| way.iter().map(ToString::to_string).collect())
        .collect();
    let [round, short] = &*ways else {
        panic!("{ways:?}");
    };
    let spans = |way: &[String]| {
        let spans = way
            .iter()
            .map(|text| text.rsplit(' ').next().unwrap_or_default());
        spans.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(spans(round), "10ms 20ms 17ms 18ms 17.2ms 17.3ms");
    assert_eq!(spans(short), "1ms 2ms 3ms 4ms 5ms 6ms 7ms 8ms 9ms 10ms");
}
