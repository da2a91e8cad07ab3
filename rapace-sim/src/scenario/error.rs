//! Errors that point into a scenario file.

use std::fmt;
use std::ops::Range;

/// Something in a scenario file that cannot be understood, with its place and what was expected.
///
/// Prints the line with the place marked:
///
/// ```
/// let error = rapace_sim::scenario::Scenario::parse(
///     "demo",
///     "about = \"x\"\n[plugin.a]\n[[call]]\ndo = \"add(1, 2)\"\nretruns = 3\n",
/// ).unwrap_err();
/// assert_eq!(error.to_string(), "\
/// demo:5:1: a call has no `retruns`
///   |
/// 5 | retruns = 3
///   | ^^^^^^^
///   = did you mean `returns`?");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptError {
    /// What the file is called in messages.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The text of the line.
    text: String,
    /// How many characters of it are meant.
    width: usize,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScriptError {
            file,
            line,
            column,
            message,
            text,
            ..
        } = self;
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {text}")?;
        // Tabs stay tabs, so that the marks stand under what they mean.
        let pad: String = text
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "{margin} | {pad}{}", "^".repeat(self.width.max(1)))?;
        if let Some(hint) = &self.hint {
            let indented = hint.replace('\n', &format!("\n{margin}   "));
            write!(f, "\n{margin} = {indented}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScriptError {}

/// What is wrong and where, as byte offsets; becomes a [`ScriptError`] with the file's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Problem {
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a suggestion if one of the words that would be right is similar, else with all of them.
    pub(super) fn suggest<'w>(self, wrong: &str, right: impl IntoIterator<Item = &'w str>) -> Self {
        let right: Vec<&str> = right.into_iter().collect();
        match similar(wrong, &right) {
            Some(word) => self.hint(format!("did you mean `{word}`?")),
            None if right.is_empty() => self,
            None => self.hint(format!("there is {}", listed(&right))),
        }
    }

    /// As [`Problem::suggest`], and nothing when no word is similar.
    pub(super) fn suggest_similar(self, wrong: &str, right: &[&str]) -> Self {
        match similar(wrong, right) {
            Some(word) => self.hint(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    pub(super) fn at(self, file: &str, text: &str) -> ScriptError {
        let start = floor(text, self.span.start);
        let end = floor(text, self.span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &text[line_start..];
        let line = rest.split('\n').next().unwrap_or("");
        let line_end = line_start + line.len();
        ScriptError {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: self.message,
            hint: self.hint,
            text: line.trim_end_matches('\r').to_owned(),
            width: text[start..end.min(line_end).max(start)].chars().count(),
        }
    }
}

/// The nearest place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// `a`, `b` and `c`.
pub(super) fn listed(words: &[&str]) -> String {
    joined(words, "and")
}

/// `a`, `b` or `c`.
pub(super) fn either(words: &[&str]) -> String {
    joined(words, "or")
}

fn joined(words: &[&str], last_by: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {last_by} {last}", most.join(", ")),
    }
}

/// The word that was probably meant.
fn similar<'w>(wrong: &str, right: &[&'w str]) -> Option<&'w str> {
    let close = |word: &&&str| {
        // Short words with two letters exchanged look little alike to the other measure.
        let few = strsim::damerau_levenshtein(wrong, word) <= word.chars().count() / 3;
        few || strsim::jaro_winkler(wrong, word) > 0.82
    };
    let scored = right.iter().filter(close);
    let scored = scored.map(|word| (strsim::jaro_winkler(wrong, word), *word));
    scored
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, word)| word)
}
