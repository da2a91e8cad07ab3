//! Faults as sentences: `after images sends its response 3` and `restart images after 20ms`.
//!
//! The forms themselves are in `forms`; they are those in which [`Fault`] prints, so that the plan of a failure can be pasted into a
//! scenario as it stands.

mod forms;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use forms::{WHATS, WHENS};

use super::error::Problem;
use crate::fault::{Fault, FrameKind, What, When};
use crate::time::Nanos;

/// One way to say something. Words in lower case stand for themselves, those in brackets may be
/// left out, and those in capitals are to be filled in.
struct Form<T> {
    pattern: &'static str,
    make: fn(&[Value]) -> Option<T>,
}

/// What a word in capitals was filled in with.
#[derive(Clone, Debug)]
enum Value {
    Name(String),
    Span(Nanos),
    Number(u64),
    Kind(FrameKind),
    List(Vec<u32>),
}

use Value::{Kind, List, Name, Number, Span};

/// All forms, for the test that they are documented.
#[cfg(test)]
pub(super) fn forms() -> impl Iterator<Item = &'static str> {
    let whens = WHENS.iter().map(|form| form.pattern);
    whens.chain(WHATS.iter().map(|form| form.pattern))
}

/// What a sentence says of when; its problems are offsets into `text`.
pub(super) fn when(text: &str) -> Result<When, Problem> {
    read(text, WHENS, "when a fault happens")
}

/// What a sentence says of what happens; its problems are offsets into `text`.
pub(super) fn what(text: &str) -> Result<What, Problem> {
    read(text, WHATS, "what happens")
}

/// A word and where it stands.
type Word<'t> = (Range<usize>, &'t str);

fn words(text: &str) -> Vec<Word<'_>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace()
        .map(|word| (start(word)..start(word) + word.len(), word))
        .collect()
}

/// Where a word stands in a sentence.
pub(super) fn place(text: &str, word: &str) -> Option<Range<usize>> {
    let mut words = words(text).into_iter();
    words
        .find(|(_, found)| *found == word)
        .map(|(span, _)| span)
}

fn read<T>(text: &str, forms: &[Form<T>], subject: &str) -> Result<T, Problem> {
    let words = words(text);
    let mut best: Option<(usize, Problem)> = None;
    for form in forms {
        match matches(&words, form.pattern, text.len()) {
            Ok(values) => {
                return (form.make)(&values).ok_or_else(|| {
                    Problem::new(0..text.len(), "a number here is too large")
                        .hint(format!("the form is `{}`", form.pattern))
                });
            }
            Err((matched, problem)) => {
                if best.as_ref().is_none_or(|(most, _)| matched > *most) {
                    best = Some((matched, problem));
                }
            }
        }
    }
    match best {
        // Nothing fits beyond the first word: all forms are as likely to be meant.
        Some((1.., problem)) => Err(problem),
        _ => {
            let mut starts: Vec<&str> = forms
                .iter()
                .filter_map(|form| form.pattern.split(' ').next())
                .collect();
            starts.dedup();
            let (span, first) = words.first().cloned().unwrap_or((0..text.len(), ""));
            let said = format!("`{text}` does not say {subject}");
            let forms: Vec<&str> = forms.iter().map(|form| form.pattern).collect();
            let problem = Problem::new(span, said).suggest(first, starts);
            Err(match problem.hint.as_deref() {
                Some(hint) if hint.starts_with("did you") => problem,
                _ => problem.hint(format!("say one of:\n  {}", forms.join("\n  "))),
            })
        }
    }
}

/// The values of a form's capitals, or how many of its words fit and what is wrong then.
fn matches(words: &[Word<'_>], pattern: &str, end: usize) -> Result<Vec<Value>, (usize, Problem)> {
    let mut values = Vec::new();
    let mut matched = 0;
    let mut words = words.iter().peekable();
    for part in pattern.split(' ') {
        let optional = part
            .strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'));
        if let Some(optional) = optional {
            words.next_if(|(_, word)| *word == optional);
            continue;
        }
        let fail = |span: Range<usize>, message: String| {
            let problem = Problem::new(span, message).hint(format!("the form is `{pattern}`"));
            (matched, problem)
        };
        let Some((span, word)) = words.next().cloned() else {
            return Err(fail(end..end, format!("{} is missing", spoken(part))));
        };
        match fill(part, word) {
            Ok(Some(value)) => values.push(value),
            Ok(None) => {}
            Err(why) => return Err(fail(span, why)),
        }
        matched += 1;
    }
    match words.next() {
        None => Ok(values),
        Some((span, _)) => {
            let span = span.start..end;
            let problem = Problem::new(span, "this is too much");
            Err((matched, problem.hint(format!("the form is `{pattern}`"))))
        }
    }
}

/// What a missing part of a form is called.
fn spoken(part: &str) -> String {
    match part {
        "SPAN" => "a span of time".to_owned(),
        "NUMBER" => "a number".to_owned(),
        "PROCESS" => "the name of a process".to_owned(),
        "LINK" => "the name of a link".to_owned(),
        "KIND" => "a kind of frame".to_owned(),
        "LIST" => "a list of numbers such as 1,4,7".to_owned(),
        word => format!("`{word}`"),
    }
}

fn fill(part: &str, word: &str) -> Result<Option<Value>, String> {
    let value = match part {
        "SPAN" => Span(word.parse::<Nanos>().map_err(|error| error.to_string())?),
        "NUMBER" => {
            let parsed = match word.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => word.replace('_', "").parse(),
            };
            Number(parsed.map_err(|_| format!("`{word}` is no number"))?)
        }
        "LIST" => {
            let numbers = word.split(',').map(|part| part.parse().ok());
            let numbers: Option<Vec<u32>> = numbers.collect();
            List(numbers.ok_or_else(|| {
                format!("`{word}` is no list of numbers; write them without spaces: 1,4,7")
            })?)
        }
        "PROCESS" | "LINK" => Name(word.to_owned()),
        "KIND" => {
            let mut kinds = FrameKind::ALL.iter().chain([&FrameKind::Any]);
            let kind = kinds.find(|kind| kind.name() == word).ok_or_else(|| {
                let names: Vec<&str> = FrameKind::ALL.iter().map(|kind| kind.name()).collect();
                format!(
                    "`{word}` is no kind of frame; there is frame (any of them), {}",
                    names.join(", ")
                )
            })?;
            Kind(*kind)
        }
        _ if part == word => return Ok(None),
        _ => return Err(format!("`{part}` is expected instead of `{word}`")),
    };
    Ok(Some(value))
}

/// A fault that cannot be read; see [`Fault`]'s `FromStr`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadFault {
    message: String,
}

impl fmt::Display for BadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadFault {}

/// A fault in one sentence, `when: what`; its problems are offsets into `text`.
pub(super) fn fault(text: &str) -> Result<Fault, Problem> {
    let Some(colon) = text.find(':') else {
        return Err(Problem::new(0..text.len(), "a fault needs a colon")
            .hint("write `WHEN: WHAT`, for example `at 20ms: kill images`"));
    };
    let shifted = |problem: Problem| Problem {
        span: problem.span.start + colon + 1..problem.span.end + colon + 1,
        ..problem
    };
    Ok(Fault {
        when: when(&text[..colon])?,
        what: what(&text[colon + 1..]).map_err(shifted)?,
    })
}

impl FromStr for Fault {
    type Err = BadFault;

    /// Reads what a fault prints.
    ///
    /// ```
    /// let text = "after images sends its response 3: restart images after 20ms";
    /// let fault: rapace_sim::Fault = text.parse().unwrap();
    /// assert_eq!(fault.to_string(), text);
    /// ```
    fn from_str(text: &str) -> Result<Self, BadFault> {
        fault(text).map_err(|problem| BadFault {
            message: match problem.hint {
                Some(hint) => format!("{}; {hint}", problem.message),
                None => problem.message,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cast, Plan};

    #[test]
    fn every_fault_is_read_as_it_is_printed() {
        let mut seen = 0;
        for seed in 0..2_000 {
            for fault in Plan::swarm(seed, &Cast::standard()).faults {
                let text = fault.to_string();
                assert_eq!(text.parse().as_ref(), Ok(&fault), "{text}");
                seen += 1;
            }
        }
        assert!(seen > 1_000);
    }

    /// What no seed draws.
    #[test]
    fn faults_that_only_people_and_explorations_say_are_read_as_they_are_printed() {
        for text in [
            "before store 17 of images: kill images losing stores 1,4,12",
            "before store 17 of images: kill images losing no stores",
            "before store 17 of images after 20ms: kill images",
            "before store 17 of images after host sends its request 2: hang host for 3ms",
        ] {
            let fault: Fault = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(fault.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_read_says_which_form_was_meant() {
        let cases = [
            ("at 20ms: hang images", "`for` is missing"),
            ("at 20ms: hang images for soon", "span of time"),
            ("at 20ms: kill a losing stores 1,b", "is no list of numbers"),
            ("at 20ms: kill a losing stores", "1,4,7 is missing"),
            ("at 20ms: kil images", "did you mean `kill`?"),
            ("after a sends respnse 3: kill a", "no kind of frame"),
            ("after a sends response: kill a", "a number is missing"),
            ("at 20ms: window of link a 5000000000 bytes", "too large"),
            ("at 20ms: cut link a now", "the form is `cut link LINK"),
            ("before store 1 of a after b: kill a", "`sends` is missing"),
            (
                "before store 1 of a after b sends data: kill a",
                "a number is missing",
            ),
            (
                "before store 1 of a after b sends dota 1: kill a",
                "no kind of frame",
            ),
            ("kill a", "needs a colon"),
            ("", "needs a colon"),
            (":", "say one of"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?} gives {error:?}");
        }
    }
}
