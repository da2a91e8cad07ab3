//! What fuzzers throw at this module; ordinary functions, so that tests replay the corpus.

use super::{SavedPlan, Scenario, ScriptError, Services};
use crate::fault::Fault;

/// Any bytes are a scenario, a saved plan and a fault, or an error with a place in them.
///
/// # Panics
///
/// When an error points outside of the text, or when a fault or plan that was read is not read the
/// same again from what it prints.
pub fn script(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let services = Services::standard();
    if let Err(error) = Scenario::parse_with("fuzz", &text, &services) {
        placed(&text, &error);
    }
    match SavedPlan::parse("fuzz", &text) {
        Ok(saved) => {
            let again = SavedPlan::parse("fuzz", &saved.to_string());
            assert_eq!(again.as_ref(), Ok(&saved), "{saved}");
        }
        Err(error) => placed(&text, &error),
    }
    if let Ok(fault) = text.parse::<Fault>() {
        assert_eq!(fault.to_string().parse().as_ref(), Ok(&fault));
    }
}

/// Changes pieces of a scenario that is right; what comes of it is treated as any text.
///
/// Each three bytes are one change: where, what, and how much.
///
/// # Panics
///
/// As [`script`].
pub fn changed_script(original: &str, changes: &[u8]) {
    const PIECES: [&str; 16] = [
        "\"",
        "]",
        "[",
        "=",
        "\n",
        "{",
        "}",
        "\\",
        "0",
        "-1",
        "99999999999999999999",
        "é",
        "\t",
        "[[call]]\n",
        "[plugin.b]\n",
        "do = \"add(\"\n",
    ];
    let mut text: Vec<char> = original.chars().collect();
    for change in changes.chunks_exact(3) {
        let at = usize::from(change[0]) * text.len() / 256;
        let end = text.len().min(at + usize::from(change[2] >> 4));
        let piece = PIECES[usize::from(change[1]) % PIECES.len()];
        text.splice(at..end, piece.chars());
    }
    let text: String = text.into_iter().collect();
    script(text.as_bytes());
}

fn placed(text: &str, error: &ScriptError) {
    let lines = text.split('\n').count();
    assert!(
        (1..=lines).contains(&error.line),
        "line {}: {error}",
        error.line
    );
    let line = text.split('\n').nth(error.line - 1).unwrap_or("");
    let width = line.chars().count() + 1;
    assert!(
        (1..=width).contains(&error.column),
        "column {}: {error}",
        error.column
    );
    assert!(!error.message.is_empty());
}
