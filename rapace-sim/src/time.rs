//! Virtual time as people write it.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of virtual time, or a point in it counted from the start of the world, in nanoseconds.
///
/// In scenario files and plans it is text with its unit: `250us`, `1.5ms`, `2s`.
///
/// ```
/// use rapace_sim::Nanos;
///
/// let span: Nanos = "1.5ms".parse().unwrap();
/// assert_eq!(span, Nanos(1_500_000));
/// assert_eq!(span.to_string(), "1.5ms");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub u64);

/// The units, longest first, with their length in nanoseconds.
const UNITS: [(&str, u64); 4] = [
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);
    /// Later than anything that happens.
    pub const MAX: Nanos = Nanos(u64::MAX);

    /// So many microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Nanos(micros.saturating_mul(1_000))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Nanos(millis.saturating_mul(1_000_000))
    }

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Nanos(secs.saturating_mul(1_000_000_000))
    }
}

impl From<Duration> for Nanos {
    fn from(span: Duration) -> Self {
        Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(span: Nanos) -> Self {
        Duration::from_nanos(span.0)
    }
}

impl Add for Nanos {
    type Output = Nanos;

    fn add(self, by: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(by.0))
    }
}

impl Sub for Nanos {
    type Output = Nanos;

    fn sub(self, by: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(by.0))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, len) = UNITS
            .into_iter()
            .find(|(_, len)| self.0 >= *len)
            .unwrap_or(("s", 1));
        let (whole, part) = (self.0 / len, self.0 % len);
        if part == 0 {
            return f.pad(&format!("{whole}{unit}"));
        }
        let width = len.ilog10() as usize;
        let part = format!("{part:0width$}");
        f.pad(&format!("{whole}.{}{unit}", part.trim_end_matches('0')))
    }
}

/// A span of time that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadSpan(String);

impl fmt::Display for BadSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no span of time; write a number and one of the units ns, us, ms, s, for example 1.5ms",
            self.0
        )
    }
}

impl std::error::Error for BadSpan {}

impl FromStr for Nanos {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan(text.to_owned());
        let text = text.trim();
        let split = text
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(bad)?;
        let (number, unit) = (text[..split].trim(), &text[split..]);
        let (_, len) = UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(bad)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let places = len.ilog10() as usize;
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > places {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let part = if part.is_empty() {
            0
        } else {
            format!("{part:0<places$}").parse().map_err(|_| bad())?
        };
        let total = whole.checked_mul(len).and_then(|ns| ns.checked_add(part));
        total.map(Nanos).ok_or_else(bad)
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<'a> arbitrary::Arbitrary<'a> for Nanos {
    /// Up to 16 seconds, short spans as likely as long ones.
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let bits = u.int_in_range(0..=34)?;
        Ok(Nanos(u.int_in_range(0..=(1_u64 << bits))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_printed_as_they_are_read() {
        for (text, ns) in [
            ("0s", 0),
            ("7ns", 7),
            ("1us", 1_000),
            ("1.001us", 1_001),
            ("33ms", 33_000_000),
            ("1.5s", 1_500_000_000),
            ("4.000000001s", 4_000_000_001),
            ("90s", 90_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Nanos(ns)), "{text}");
            assert_eq!(Nanos(ns).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_an_example() {
        for text in [
            "",
            "12",
            "ms",
            "1.ms5",
            "-1ms",
            "1 h",
            "0.1ns",
            "99999999999999999999s",
        ] {
            let error = text.parse::<Nanos>().expect_err(text);
            assert!(error.to_string().contains("1.5ms"), "{error}");
        }
    }
}
