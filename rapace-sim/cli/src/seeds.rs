//! Seeds, ranges of them, and shards of ranges.

use std::fmt;
use std::num::IntErrorKind;
use std::ops::Range;
use std::str::FromStr;

/// The number of a seed; `_` may stand between its digits.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let number = digits.parse::<u64>();
    number.map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => format!("`{text}` is above the last seed, {}", u64::MAX),
        _ => format!("`{text}` is no seed: a seed is a number from 0 on, such as 4711"),
    })
}

/// `A..B`, or `A..` without an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seeds {
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
}

/// Part `index` of `count`, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

impl fmt::Display for Seeds {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(end) => write!(f, "{}..{end}", self.start),
            None => write!(f, "{}..", self.start),
        }
    }
}

impl fmt::Display for Shard {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Shards of a range without an end begin this far apart: further than any of them gets.
const APART: u64 = 1 << 40;

impl Seeds {
    /// The seeds of a shard. Shards do not overlap and leave nothing out.
    pub(crate) fn of(self, shard: Shard) -> Range<u64> {
        let Shard { index, count } = shard;
        match self.end {
            Some(end) => {
                let all = u128::from(end.saturating_sub(self.start));
                let cut = |at: u64| self.start + (all * u128::from(at) / u128::from(count)) as u64;
                cut(index)..cut(index + 1)
            }
            None => {
                let start = self.start.saturating_add(index.saturating_mul(APART));
                start..start.saturating_add(APART)
            }
        }
    }
}

/// How one seed is run: as a range, which the last one has none for.
fn alone(seed: u64) -> String {
    match seed.checked_add(1) {
        Some(end) => format!("write {seed}..{end}"),
        None => format!("`cargo sim replay {seed}`"),
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            seed(text).map_err(|why| format!("{why}; write a range of seeds such as 0..10000"))
        };
        let Some((start, end)) = text.split_once("..") else {
            return Err(match number(text) {
                Ok(seed) => format!(
                    "a range is needed, such as 0..10000; {} for this one seed",
                    alone(seed)
                ),
                Err(_) => "write a range such as 0..10000, or 0.. without an end".to_owned(),
            });
        };
        let start = number(start)?;
        let end = match end {
            "" => None,
            end => Some(number(end)?),
        };
        match end {
            Some(end) if end < start => Err(format!(
                "the second number must be the greater one: write {end}..{start}"
            )),
            Some(end) if end == start => Err(format!(
                "the end is not part of the range: {} for this one seed",
                alone(start)
            )),
            None if start == u64::MAX => Err(format!(
                "no range has the last seed in it, as its end is not part of it: {}",
                alone(start)
            )),
            _ => Ok(Seeds { start, end }),
        }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no shard; write 0/8 for the first of eight, 7/8 for the last");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let index: u64 = index.parse().map_err(|_| wrong())?;
        let count: u64 = count.parse().map_err(|_| wrong())?;
        if index >= count {
            return Err(wrong());
        }
        Ok(Shard { index, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_a_range_without_overlap() {
        for count in 1..20 {
            let seeds: Seeds = "7..1_000".parse().unwrap();
            let mut next = 7;
            for index in 0..count {
                let part = seeds.of(Shard { index, count });
                assert_eq!(part.start, next);
                next = part.end;
            }
            assert_eq!(next, 1_000);
        }
    }

    #[test]
    fn seeds_are_numbers_up_to_the_last_one() {
        assert_eq!(seed("4_711"), Ok(4_711));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        let above = seed("18446744073709551616").expect_err("it is above");
        assert!(
            above.ends_with("the last seed, 18446744073709551615"),
            "{above}"
        );
        for text in ["", "_", "x", "-1", "1.5"] {
            assert!(seed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn open_shards_are_apart() {
        let seeds: Seeds = "5..".parse().unwrap();
        let first = seeds.of(Shard { index: 0, count: 2 });
        let second = seeds.of(Shard { index: 1, count: 2 });
        assert_eq!(first.start, 5);
        assert!(first.end <= second.start);
    }

    #[test]
    fn what_is_no_range_or_shard_is_refused() {
        for text in ["", "5", "5..5", "9..3", "a..b", "..9"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
        for text in ["", "1", "8/8", "0/0", "-1/2", "a/b"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
