//! The four plugins: what each of them is asked, and how it answers.
//!
//! - [`markdown`]: Markdown to HTML; asks its host back about links and templates.
//! - [`highlight`]: source code to HTML with classes.
//! - [`images`]: image files to pixels, pixels to smaller pixels, pixels to image files.
//! - [`search`]: documents to the index that the search box reads.
//!
//! A plugin knows neither the file system nor the other plugins: all it needs comes in its
//! arguments or through [`markdown::SiteHost`]. Every method answers the same bytes for the same
//! arguments, so that a call may be repeated when a plugin died in the middle of it.

pub(crate) mod highlight;
pub(crate) mod images;
pub(crate) mod markdown;
pub(crate) mod search;

use std::fmt;

use rapace::SessionBuilder;
use rapace::plugin::RunError;

use highlight::{HighlightPlugin, HighlightServer};
use images::{ImagesPlugin, ImagesServer};
use markdown::{MarkdownPlugin, MarkdownServer};
use search::{SearchPlugin, SearchServer};

/// Which plugin.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Markdown to HTML.
    Markdown,
    /// Code to HTML.
    Highlight,
    /// Pictures to pictures.
    Images,
    /// Documents to an index.
    Search,
}

impl Name {
    /// All of them, in the order of the summary.
    pub(crate) const ALL: [Self; 4] = [Self::Markdown, Self::Highlight, Self::Images, Self::Search];

    /// As on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Highlight => "highlight",
            Self::Images => "images",
            Self::Search => "search",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The `main` of a plugin process: serves the host that started it until that closes the link.
pub(crate) async fn run(name: Name) -> Result<(), RunError> {
    match name {
        Name::Markdown => rapace::plugin::run(MarkdownServer::new(MarkdownPlugin)).await,
        Name::Highlight => rapace::plugin::run(HighlightServer::new(HighlightPlugin)).await,
        Name::Images => rapace::plugin::run(ImagesServer::new(ImagesPlugin)).await,
        Name::Search => rapace::plugin::run(SearchServer::new(SearchPlugin)).await,
    }
}

/// The same plugin for a session inside the host's own process.
pub(crate) fn serve(name: Name, session: SessionBuilder) -> SessionBuilder {
    match name {
        Name::Markdown => session.serve(MarkdownServer::new(MarkdownPlugin)),
        Name::Highlight => session.serve(HighlightServer::new(HighlightPlugin)),
        Name::Images => session.serve(ImagesServer::new(ImagesPlugin)),
        Name::Search => session.serve(SearchServer::new(SearchPlugin)),
    }
}
