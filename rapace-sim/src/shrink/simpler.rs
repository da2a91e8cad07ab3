//! What a reader calls simpler: the ways in which one fault can become so.
//!
//! | of a fault | simpler is |
//! |---|---|
//! | `restart`, `kill_after_store`, `kill_losing` | `kill` |
//! | `kill_losing` | to lose fewer stores |
//! | `slow` | `hang`, which has one number and not two |
//! | `cut_half` | `cut` |
//! | doorbells | duplicated before coalesced before delayed |
//! | whatever it waits for | `at 0s`: from the start |
//! | a store after a frame or a time | that frame or time itself |
//! | before a frame | after it: the frame takes place, too |
//! | times and spans | fewer digits, then less; the times of all faults together, too |
//! | numbers of events, frames, stores, bytes | less |
//! | the bits that change of a byte | one bit, then a lower one |
//! | the room of a link, the size of its reads and writes | more: that is closer to what it is without the fault |
//!
//! Kinds of frames stay: `its response 3` says more than `its frame 17`. So do names.
//!
//! Whatever is found on a way is simpler by a measure that cannot fall for ever: first the kind of
//! what happens, then the kind of what it waits for, then each number by its line of the table. So
//! who replaces faults by simpler ones comes to an end; the tests have that measure.

use crate::fault::{DoorbellEffect, Fault, Moment, Since, What, When};
use crate::link::LinkConfig;
use crate::time::Nanos;

/// The ways in which a fault can become simpler: each has faults that are simpler than this one,
/// the simplest first, and those behind it closer to this one. Some are empty.
///
/// Kinds come first: what a simpler kind does not have, need not be made smaller. What a way changes
/// leaves those before it as they were.
pub(super) fn ways(fault: &Fault) -> Vec<Vec<Fault>> {
    let whens = plainer_whens(&fault.when).into_iter();
    let whats = plainer_whats(&fault.what).into_iter();
    let mut ways = vec![
        whats.map(|what| of(&fault.when, what)).collect(),
        whens.map(|when| of_when(when, &fault.what)).collect(),
    ];
    let mut copy = fault.clone();
    let numbers: Vec<(Scale, u64)> = numbers(&mut copy)
        .iter()
        .map(|number| (number.scale, number.value()))
        .collect();
    for (at, (scale, value)) in numbers.into_iter().enumerate() {
        for values in [rounder(scale, value), smaller(scale, value)] {
            let faults = values.into_iter().map(|value| with(fault, at, value));
            ways.push(faults.collect());
        }
    }
    if let What::KillLosing { process, stores } = &fault.what {
        let losing = |stores: Vec<u32>| {
            let process = process.clone();
            of(&fault.when, What::KillLosing { process, stores })
        };
        ways.extend(
            fewer(stores)
                .into_iter()
                .map(|way| way.into_iter().map(losing).collect()),
        );
    }
    ways
}

fn of(when: &When, what: What) -> Fault {
    let when = when.clone();
    Fault { when, what }
}

fn of_when(when: When, what: &What) -> Fault {
    let what = what.clone();
    Fault { when, what }
}

/// What could happen instead, of a simpler kind.
fn plainer_whats(what: &What) -> Vec<What> {
    match what {
        What::Restart { process, .. }
        | What::KillAfterStore { process, .. }
        | What::KillLosing { process, .. } => vec![What::Kill {
            process: process.clone(),
        }],
        What::Slow { process, span, .. } => vec![What::Hang {
            process: process.clone(),
            span: *span,
        }],
        What::CutHalf { link, .. } => vec![What::Cut { link: link.clone() }],
        What::Doorbell { link, effect, span } => {
            let simpler = match effect {
                DoorbellEffect::Duplicate => &[][..],
                DoorbellEffect::Coalesce => &[DoorbellEffect::Duplicate],
                DoorbellEffect::Delay(_) => &[DoorbellEffect::Duplicate, DoorbellEffect::Coalesce],
            };
            let effects = simpler.iter().map(|effect| What::Doorbell {
                link: link.clone(),
                effect: *effect,
                span: *span,
            });
            effects.collect()
        }
        _ => Vec::new(),
    }
}

/// What could be waited for instead, of a simpler kind.
fn plainer_whens(when: &When) -> Vec<When> {
    let mut simpler = vec![When::At(Nanos::ZERO)];
    match when {
        // Among the numbers.
        When::At(_) => simpler.clear(),
        When::Event { .. } | When::Store { .. } => {}
        When::Frame {
            from,
            kind,
            n,
            moment,
        } => {
            if *moment == Moment::Before {
                simpler.push(When::Frame {
                    from: from.clone(),
                    kind: *kind,
                    n: *n,
                    moment: Moment::After,
                });
            }
        }
        When::StoreAfter { since, .. } => match since {
            Since::At(at) if *at == Nanos::ZERO => {}
            Since::At(at) => simpler.push(When::At(*at)),
            Since::Frame { from, kind, n } => simpler.push(When::Frame {
                from: from.clone(),
                kind: *kind,
                n: *n,
                moment: Moment::After,
            }),
        },
    }
    simpler
}

/// What makes a number simple.
#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Nanoseconds of a point in time: few digits, then early.
    Time,
    /// Nanoseconds of a span: few digits, then short.
    Span,
    /// A number from here on: small.
    Count(u64),
    /// Bytes that a link takes: many, up to these.
    Room(u64),
    /// Bits of a byte: one, then a low one.
    Bits,
}

/// A number of a fault.
struct Number<'a> {
    scale: Scale,
    place: Place<'a>,
}

enum Place<'a> {
    Long(&'a mut u64),
    Word(&'a mut u32),
    Byte(&'a mut u8),
}

impl Number<'_> {
    fn value(&self) -> u64 {
        match &self.place {
            Place::Long(long) => **long,
            Place::Word(word) => u64::from(**word),
            Place::Byte(byte) => u64::from(**byte),
        }
    }
}

/// The fault with another value of one of its [`numbers`].
fn with(fault: &Fault, at: usize, value: u64) -> Fault {
    let mut fault = fault.clone();
    // A new value fits where the old one was. Counts only become smaller. Times and spans may be
    // rounded up, but are all `Long`; room has a largest value, and the bits of a byte are eight.
    match &mut numbers(&mut fault)[at].place {
        Place::Long(long) => **long = value,
        Place::Word(word) => **word = u32::try_from(value).unwrap_or(u32::MAX),
        Place::Byte(byte) => **byte = u8::try_from(value).unwrap_or(u8::MAX),
    }
    fault
}

/// Reads and writes of so many bytes are not short any more.
const IO_BYTES_MAX: u64 = 1 << 16;

/// The numbers of a fault: those of what it waits for, then those of what happens.
fn numbers(fault: &mut Fault) -> Vec<Number<'_>> {
    let long = |scale, long| Number {
        scale,
        place: Place::Long(long),
    };
    let word = |scale, word| Number {
        scale,
        place: Place::Word(word),
    };
    let mut numbers = match &mut fault.when {
        When::At(at) => vec![long(Scale::Time, &mut at.0)],
        When::Event { n, .. } | When::Store { n, .. } | When::Frame { n, .. } => {
            vec![long(Scale::Count(1), n)]
        }
        When::StoreAfter { n, since, .. } => {
            let since = match since {
                Since::At(at) => long(Scale::Time, &mut at.0),
                Since::Frame { n, .. } => long(Scale::Count(1), n),
            };
            vec![long(Scale::Count(1), n), since]
        }
    };
    match &mut fault.what {
        What::Kill { .. }
        | What::KillLosing { .. }
        | What::Thaw { .. }
        | What::Cut { .. }
        | What::CutHalf { .. } => {}
        What::KillAfterStore { stores, .. } => numbers.push(long(Scale::Count(0), stores)),
        What::Restart { after: span, .. }
        | What::Hang { span, .. }
        | What::ClockSkew { ahead: span, .. }
        | What::Freeze { span, .. }
        | What::Latency { latency: span, .. }
        | What::Exhaust { span, .. } => numbers.push(long(Scale::Span, &mut span.0)),
        What::Slow { each, span, .. } => {
            numbers.push(long(Scale::Span, &mut each.0));
            numbers.push(long(Scale::Span, &mut span.0));
        }
        What::Window { bytes, .. } => {
            let most = u64::from(LinkConfig::default().window_bytes);
            numbers.push(word(Scale::Room(most), bytes));
        }
        What::ShortIo { bytes, .. } => numbers.push(word(Scale::Room(IO_BYTES_MAX), bytes)),
        What::Corrupt { offset, xor, .. } => {
            numbers.push(word(Scale::Count(0), offset));
            numbers.push(Number {
                scale: Scale::Bits,
                place: Place::Byte(xor),
            });
        }
        What::Doorbell { effect, span, .. } => {
            if let DoorbellEffect::Delay(by) = effect {
                numbers.push(long(Scale::Span, &mut by.0));
            }
            numbers.push(long(Scale::Span, &mut span.0));
        }
    }
    numbers
}

/// Decimal digits without the zeros at the end: 2 of 17 ms, whatever its nanoseconds.
fn digits(mut value: u64) -> u32 {
    while value > 0 && value.is_multiple_of(10) {
        value /= 10;
    }
    value.checked_ilog10().map_or(0, |log| log + 1)
}

/// Nobody reads more digits than these as a round number.
const ROUND_DIGITS_MAX: u32 = 3;

/// Values close to this one with fewer digits. Counts are not round, but exact.
fn rounder(scale: Scale, value: u64) -> Vec<u64> {
    if !matches!(scale, Scale::Time | Scale::Span) || value == u64::MAX {
        return Vec::new();
    }
    let mut round = Vec::new();
    for kept in 1..digits(value).min(ROUND_DIGITS_MAX + 1) {
        let unit = 10_u64.pow(value.ilog10() + 1 - kept);
        let down = value / unit * unit;
        let near = [Some(down), down.checked_add(unit)];
        // 30.04 ms has 30 ms with one digit and with two.
        let new = near.into_iter().flatten();
        let new: Vec<u64> = new.filter(|value| !round.contains(value)).collect();
        round.extend(new);
    }
    round
}

/// Later than anything that a world waits for, unless it waits for ever.
const SPAN_NS_MAX: u64 = 1_000_000_000_000;

/// Values that are smaller than this one, and as simple or simpler; for room, larger ones.
fn smaller(scale: Scale, value: u64) -> Vec<u64> {
    match scale {
        Scale::Time if value == 0 => Vec::new(),
        Scale::Time => std::iter::once(0).chain(short_spans(value)).collect(),
        Scale::Span => short_spans(value),
        Scale::Count(least) => {
            let two_digits = std::iter::successors(Some(10_u64), |unit| unit.checked_mul(10))
                .flat_map(|unit| (10..100).filter_map(move |n| unit.checked_mul(n)));
            let counts = (0..100).chain(two_digits);
            let counts = counts.skip_while(|count| *count < least);
            counts.take_while(|count| *count < value).collect()
        }
        Scale::Room(most) => {
            let powers = (0..u32::BITS).rev().map(|power| 1_u64 << power);
            let powers = powers.filter(|room| *room < most);
            let rooms = std::iter::once(most).chain(powers);
            rooms.take_while(|room| *room > value).collect()
        }
        Scale::Bits => {
            let bits = (0..u8::BITS).map(|bit| 1_u64 << bit);
            let single = value.is_power_of_two();
            bits.filter(|bit| !single || *bit < value).collect()
        }
    }
}

/// Spans of one digit below this one. A millisecond is short enough for who reads it, unless it is
/// about less already.
fn short_spans(value: u64) -> Vec<u64> {
    let least = [1_000_000, 1_000, 1];
    let least = least.into_iter().find(|least| *least <= value);
    let units = std::iter::successors(least, |unit| unit.checked_mul(10));
    let spans = units.flat_map(|unit| (1..10).map(move |digit| unit.saturating_mul(digit)));
    spans
        .take_while(|span| *span < value.min(SPAN_NS_MAX))
        .collect()
}

/// The faults with all their times earlier by one span, and none less round; the earliest first.
///
/// Faults that fail only together, such as two kills within a second, cannot be moved one by one.
pub(super) fn earlier(faults: &[Fault]) -> Vec<Vec<Fault>> {
    let mut copies = faults.to_vec();
    let times = copies.iter_mut().flat_map(numbers);
    let times = times.filter(|number| matches!(number.scale, Scale::Time));
    // What happens from the start keeps no distance to anything.
    let times = times.map(|time| time.value()).filter(|time| *time > 0);
    let times: Vec<u64> = times.collect();
    let (2.., Some(first)) = (times.len(), times.iter().min()) else {
        return Vec::new();
    };
    let spans = short_spans(*first).into_iter().chain([*first]).rev();
    let round = spans.filter(|span| {
        let mut times = times.iter();
        times.all(|time| digits(time - span) <= digits(*time))
    });
    let moved = round.map(|span| {
        let mut faults = faults.to_vec();
        for number in faults.iter_mut().flat_map(numbers) {
            if let (Scale::Time, Place::Long(time)) = (number.scale, number.place) {
                *time = time.saturating_sub(span);
            }
        }
        faults
    });
    moved.collect()
}

/// Stores that are left out one by one, of so many: the halves around them are tried before.
const STORES_ONE_BY_ONE_MAX: usize = 8;

/// Ways to fewer stores: the first of them only, the last of them only, all but one.
fn fewer(stores: &[u32]) -> Vec<Vec<Vec<u32>>> {
    let first = (0..stores.len()).map(|len| stores[..len].to_vec());
    let last = (1..stores.len()).rev().map(|from| stores[from..].to_vec());
    let mut ways = vec![first.collect(), last.collect()];
    for left_out in 0..stores.len().min(STORES_ONE_BY_ONE_MAX) {
        let mut others = stores.to_vec();
        others.remove(left_out);
        ways.push(vec![others]);
    }
    ways
}

#[cfg(test)]
mod tests;
