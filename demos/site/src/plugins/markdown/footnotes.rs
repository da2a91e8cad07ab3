//! Footnotes: numbered in the order in which they are referred to, shown at the end of the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem;

use super::Piece;

/// The footnotes of a page while it is written.
#[derive(Default)]
pub(super) struct Footnotes {
    /// Labels by number (the first is 1), with how often each was referred to.
    labels: Vec<(String, u32)>,
    /// What each label says.
    pub(super) bodies: BTreeMap<String, Vec<Piece>>,
    /// The label that is being read, and the pieces of the page before it.
    pub(super) open: Option<(String, Vec<Piece>)>,
}

impl Footnotes {
    /// Numbers a reference, and gives its HTML.
    pub(super) fn refer(&mut self, label: &str) -> String {
        let known = self.labels.iter().position(|(name, _)| name == label);
        let index = known.unwrap_or_else(|| {
            self.labels.push((label.to_owned(), 0));
            self.labels.len() - 1
        });
        self.labels[index].1 += 1;
        let number = index + 1;
        // Only the first reference is the one that the note links back to.
        let id = if known.is_none() {
            format!(" id=\"fnref-{number}\"")
        } else {
            String::new()
        };
        format!("<sup class=\"footnote-ref\"><a href=\"#fn-{number}\"{id}>{number}</a></sup>")
    }

    /// Appends the notes that were referred to, in order of their numbers.
    pub(super) fn write(mut self, pieces: &mut Vec<Piece>) {
        if self.labels.is_empty() {
            return;
        }
        let mut html = String::from("<section class=\"footnotes\">\n<ol>\n");
        for (index, (label, _)) in self.labels.iter().enumerate() {
            let number = index + 1;
            let _ = writeln!(html, "<li id=\"fn-{number}\">");
            for piece in self.bodies.remove(label).unwrap_or_default() {
                match piece {
                    Piece::Html(text) => html.push_str(&text),
                    code @ Piece::Code(_) => {
                        pieces.push(Piece::Html(mem::take(&mut html)));
                        pieces.push(code);
                    }
                }
            }
            let _ = writeln!(
                html,
                "<a class=\"backref\" href=\"#fnref-{number}\" aria-label=\"back to the text\">\
                 \u{21a9}\u{fe0e}</a></li>"
            );
        }
        html.push_str("</ol>\n</section>\n");
        pieces.push(Piece::Html(html));
    }
}
