//! A trace as one page for a browser: `page` makes it, `assets/` holds what is the same in all.
//!
//! The page stands alone: no network, no other file, no framework. It carries the trace as the JSON
//! that [`Trace`] itself reads and writes, in an element that browsers do not run; its scripts draw
//! from that. So a page is also a file from which the trace can be had back ([`trace_of`]).
//!
//! | asset | owns |
//! |---|---|
//! | `page.html`, `page.css` | the skeleton, colours for light and dark |
//! | `model.js` | the trace as the page sees it: one line and a lane for each event, lives of processes |
//! | `layout.js` | which events are shown, and where: time to pixels |
//! | `draw.js` | the part of the diagram that is in the window |
//! | `panel.js` | the decoded event at the side |
//! | `page.js` | search, filters, keyboard |
//!
//! **Nothing in a trace is trusted.** Payloads are a plugin's words. They enter the page in one
//! place, with every `<`, `>` and `&` written as JSON escapes, and the scripts put them on the
//! screen as text nodes only. The content security policy refuses everything from outside.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::trace::{Happening, Trace};

const SKELETON: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 5] = [
    include_str!("assets/model.js"),
    include_str!("assets/layout.js"),
    include_str!("assets/draw.js"),
    include_str!("assets/panel.js"),
    include_str!("assets/page.js"),
];

/// What stands right before the data of a page, and nowhere else in it.
const DATA_OPENS: &str = r#"<script type="application/json" id="data">"#;
const DATA_ENDS: &str = "</script>";

/// What a page carries.
#[derive(Serialize)]
struct Data<'t> {
    title: &'t str,
    trace: &'t Trace,
    /// Faults in words, by their place among the events.
    faults: BTreeMap<usize, FaultWords<'t>>,
}

#[derive(Serialize)]
struct FaultWords<'t> {
    when: String,
    what: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'t str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'t str>,
}

/// The trace as one self-contained HTML page: a swim lane for each process, time downwards, an arrow
/// for each frame, faults and the lives of processes marked, details on a click or with the keyboard.
///
/// `title` is what the page calls the run: the name of a scenario, or `seed 42`. Equal traces and
/// titles give equal pages, byte for byte. The page stays quick with tens of thousands of events,
/// because only what is in the window is drawn.
///
/// ```
/// use rapace_sim::{Trace, html};
///
/// let page = html::page(&Trace::default(), "nothing happened");
/// assert!(page.starts_with("<!doctype html>"));
/// ```
pub fn page(trace: &Trace, title: &str) -> String {
    let faults = trace.events.iter().enumerate();
    let faults = faults.filter_map(|(i, event)| match &event.what {
        Happening::Fault { fault, .. } => {
            let words = FaultWords {
                when: fault.when.to_string(),
                what: fault.what.to_string(),
                kind: fault.what.kind().name(),
                process: fault.what.process(),
                link: fault.what.link(),
            };
            Some((i, words))
        }
        _ => None,
    });
    let data = Data {
        title,
        trace,
        faults: faults.collect(),
    };
    let data = serde_json::to_string(&data).expect("a trace has no map with keys other than text");
    let scripts = SCRIPTS.join("\n");
    fill(SKELETON, |hole| match hole {
        "title" => text(title),
        "style" => STYLE.to_owned(),
        "data" => inert(&data),
        "scripts" => scripts.clone(),
        _ => unreachable!("the skeleton has no other holes"),
    })
}

/// The trace that a page carries.
///
/// # Errors
///
/// The text is no page of [`page`], or one of a version whose traces look different.
pub fn trace_of(page: &str) -> Result<Trace, NotAPage> {
    #[derive(Deserialize)]
    struct Carried {
        trace: Trace,
    }
    let (_, data) = page.split_once(DATA_OPENS).ok_or(NotAPage::NoData)?;
    let (data, _) = data.split_once(DATA_ENDS).ok_or(NotAPage::NoData)?;
    let carried: Carried = serde_json::from_str(data).map_err(NotAPage::Unreadable)?;
    Ok(carried.trace)
}

/// Why no trace can be had from a text.
#[derive(Debug)]
pub enum NotAPage {
    /// It holds no trace.
    NoData,
    /// What it holds cannot be read.
    Unreadable(serde_json::Error),
}

impl std::fmt::Display for NotAPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotAPage::NoData => f.write_str("this is no page of a trace"),
            NotAPage::Unreadable(error) => {
                write!(f, "the trace in this page cannot be read: {error}")
            }
        }
    }
}

impl std::error::Error for NotAPage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotAPage::NoData => None,
            NotAPage::Unreadable(error) => Some(error),
        }
    }
}

/// The template with its `{{holes}}` filled. What is put in is not looked at again, so a title may
/// say `{{data}}`.
fn fill(template: &str, content: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (hole, after) = after.split_once("}}").expect("every hole is closed");
        filled.push_str(before);
        filled.push_str(&content(hole));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Text between tags.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// JSON that cannot end the element it stands in, nor begin a comment or another element. These
/// characters occur in JSON only inside of strings, where an escape means the same.
fn inert(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", c as u32);
            }
            _ => safe.push(c),
        }
    }
    safe
}
