//! The search plugin: documents in, one index file out.
//!
//! The index is an inverted one: for each term the pages that have it, with a weight. Words of a
//! title count most, then those of headings, then the text. The file is JSON that the search box of
//! the theme reads; terms are sorted, so that the box finds prefixes by bisection.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use facet::Facet;
use futures_util::TryStreamExt;
use rapace::{StreamError, Streaming};
use serde::Serialize;

/// What a word of a title counts.
const TITLE_WEIGHT: u32 = 24;
/// What a word of a heading counts.
const HEADING_WEIGHT: u32 = 8;
/// The most that repeating a word in the text of one page counts.
const MAX_TEXT_WEIGHT: u32 = 6;
/// Longest excerpt in letters.
const EXCERPT_LETTERS: usize = 150;

/// Words that say nothing about a page.
const STOP_WORDS: &[&str] = &[
    "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have", "if", "in",
    "is", "it", "its", "no", "not", "of", "on", "or", "so", "than", "that", "the", "their", "then",
    "there", "they", "this", "to", "was", "what", "when", "which", "who", "with", "you",
];

/// A page to be found.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// Where it is, relative to the root of the site.
    pub(crate) url: String,
    /// Its title.
    pub(crate) title: String,
    /// The part of the site that it belongs to.
    pub(crate) section: String,
    /// A sentence about it; empty to have one cut from the text.
    pub(crate) summary: String,
    /// Its headings.
    pub(crate) headings: Vec<String>,
    /// Its words.
    pub(crate) text: String,
}

/// The finished index.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchIndex {
    /// The JSON file.
    pub(crate) json: Bytes,
    /// How many pages it knows.
    pub(crate) pages: u32,
    /// How many terms it knows.
    pub(crate) terms: u32,
}

/// Why there is no index.
#[derive(Facet, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum SearchError {
    /// The documents ended before their end.
    #[error("the documents broke off: {0}")]
    BrokeOff(String),
}

/// The search plugin.
#[rapace::service]
pub(crate) trait Search {
    /// Builds the index. The order of `documents` does not matter.
    ///
    /// Not marked idempotent, although it is: a stream that was sent cannot be sent again, so it is
    /// the caller who repeats this call.
    async fn index(&self, documents: Streaming<Document>) -> Result<SearchIndex, SearchError>;
}

/// The implementation of [`Search`].
pub(crate) struct SearchPlugin;

impl Search for SearchPlugin {
    async fn index(&self, documents: Streaming<Document>) -> Result<SearchIndex, SearchError> {
        let documents = documents
            .try_collect()
            .await
            .map_err(|error: StreamError| SearchError::BrokeOff(error.to_string()))?;
        Ok(index(documents))
    }
}

/// The file as the search box reads it. The names are short because visitors download it.
#[derive(Serialize)]
struct IndexFile<'a> {
    pages: Vec<PageEntry<'a>>,
    /// Sorted, each with an entry at the same place in `hits`.
    terms: Vec<&'a str>,
    /// Page number and weight, alternating.
    hits: Vec<Vec<u32>>,
}

#[derive(Serialize)]
struct PageEntry<'a> {
    url: &'a str,
    title: &'a str,
    section: &'a str,
    excerpt: String,
}

fn index(mut documents: Vec<Document>) -> SearchIndex {
    documents.sort_by(|a, b| a.url.cmp(&b.url));
    let stop_words: BTreeSet<&str> = STOP_WORDS.iter().copied().collect();
    let mut weights: BTreeMap<String, BTreeMap<u32, u32>> = BTreeMap::new();
    for (number, document) in documents.iter().enumerate() {
        let mut add = |text: &str, weight: u32, most: u32| {
            for term in terms(text).filter(|term| !stop_words.contains(term.as_str())) {
                let total = weights
                    .entry(term)
                    .or_default()
                    .entry(number as u32)
                    .or_default();
                *total = (*total + weight).min(most.max(*total));
            }
        };
        add(&document.text, 1, MAX_TEXT_WEIGHT);
        for heading in &document.headings {
            add(heading, HEADING_WEIGHT, u32::MAX);
        }
        add(&document.title, TITLE_WEIGHT, u32::MAX);
    }
    let file = IndexFile {
        pages: documents.iter().map(entry).collect(),
        terms: weights.keys().map(String::as_str).collect(),
        hits: weights
            .values()
            .map(|pages| {
                pages
                    .iter()
                    .flat_map(|(page, weight)| [*page, *weight])
                    .collect()
            })
            .collect(),
    };
    SearchIndex {
        pages: file.pages.len() as u32,
        terms: file.terms.len() as u32,
        // Strings and numbers always serialize.
        json: serde_json::to_vec(&file).unwrap_or_default().into(),
    }
}

fn entry(document: &Document) -> PageEntry<'_> {
    let source = if document.summary.is_empty() {
        &document.text
    } else {
        &document.summary
    };
    PageEntry {
        url: &document.url,
        title: &document.title,
        section: &document.section,
        excerpt: excerpt(source),
    }
}

/// The beginning of `text`, cut at a word.
fn excerpt(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(EXCERPT_LETTERS) else {
        return text.to_owned();
    };
    let cut = text[..end].rfind(' ').unwrap_or(end);
    format!("{}…", &text[..cut])
}

/// The terms of `text` in lower case. Underscores join, so that identifiers stay whole.
fn terms(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| word.chars().nth(1).is_some())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(url: &str, title: &str, text: &str) -> Document {
        Document {
            url: url.into(),
            title: title.into(),
            section: "Guide".into(),
            summary: String::new(),
            headings: vec!["Flow control".into()],
            text: text.into(),
        }
    }

    fn parsed(index: &SearchIndex) -> serde_json::Value {
        serde_json::from_slice(&index.json).unwrap()
    }

    #[test]
    fn a_title_outweighs_any_repetition() {
        let index = index(vec![
            document("a.html", "Streams", "nothing here"),
            document("b.html", "Other", &"streams ".repeat(100)),
        ]);
        let file = parsed(&index);
        let place = file["terms"]
            .as_array()
            .unwrap()
            .iter()
            .position(|term| term == "streams");
        assert_eq!(
            file["hits"][place.unwrap()],
            serde_json::json!([0, TITLE_WEIGHT, 1, MAX_TEXT_WEIGHT])
        );
    }

    #[test]
    fn the_order_of_documents_does_not_show() {
        let (a, b) = (
            document("a", "A1", "one two"),
            document("b", "B1", "two three"),
        );
        assert_eq!(index(vec![a.clone(), b.clone()]), index(vec![b, a]));
    }

    #[test]
    fn identifiers_stay_whole_and_stop_words_go() {
        let file = parsed(&index(vec![document(
            "a",
            "T1",
            "the credit_grant of GrantCredits",
        )]));
        let terms = file["terms"].as_array().unwrap();
        assert!(terms.contains(&"credit_grant".into()) && terms.contains(&"grantcredits".into()));
        assert!(!terms.contains(&"the".into()) && !terms.contains(&"of".into()));
    }

    #[test]
    fn excerpts_end_at_a_word() {
        let short = excerpt(&"word ".repeat(100));
        assert!(short.ends_with("word…") && short.chars().count() <= EXCERPT_LETTERS + 1);
        assert_eq!(excerpt("all of it"), "all of it");
    }
}
