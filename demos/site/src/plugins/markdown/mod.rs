//! The markdown plugin: CommonMark with tables, footnotes, task lists and callouts, to HTML.
//!
//! It renders in three steps. [`draft`] parses the page and lists what only the host can answer:
//! where each link leads, and which templates to fill. The host answers all of it, through
//! [`SiteHost`], while it waits for the page: on the session that the call came in by. Then [`writer`] walks the events once and writes
//! HTML, with [`footnotes`] at its end. Code blocks are not highlighted here: they come back as
//! pieces of their own, for the host to pass on.

mod draft;
mod footnotes;
mod writer;

use facet::Facet;
use futures_util::future::{try_join, try_join_all};
use rapace::Context;

use crate::plugins::highlight::CodeBlock;
use draft::Draft;

/// A Markdown page without its front matter.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageSource {
    /// The key that the host knows the page by, such as `guide/credit.md`.
    pub(crate) path: String,
    /// The line of the file that `body` starts on, counted from 1.
    pub(crate) first_line: u32,
    /// The Markdown text.
    pub(crate) body: String,
}

/// What became of a page.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderedPage {
    /// The page in order: HTML, and the code blocks between it.
    pub(crate) pieces: Vec<Piece>,
    /// Its headings in order.
    pub(crate) headings: Vec<Heading>,
    /// The words of the page without markup and code blocks, for search.
    pub(crate) text: String,
    /// Links to a place inside a page, which the host can only check when all pages are rendered.
    pub(crate) fragments: Vec<FragmentUse>,
    /// Links that lead nowhere.
    pub(crate) broken: Vec<BrokenLink>,
}

/// A part of a rendered page.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Piece {
    /// Finished HTML.
    Html(String),
    /// Code that still wants highlighting.
    Code(CodeBlock),
}

/// A heading of a page.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// 1 to 6.
    pub(crate) level: u8,
    /// The anchor, unique within the page.
    pub(crate) id: String,
    /// The heading without markup.
    pub(crate) text: String,
}

/// A link to an anchor.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct FragmentUse {
    /// The line of the file that the link stands on.
    pub(crate) line: u32,
    /// The key of the page that it leads to.
    pub(crate) page: String,
    /// The anchor without `#`.
    pub(crate) fragment: String,
}

/// A link that the host could not resolve.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenLink {
    /// The line of the file that the link stands on.
    pub(crate) line: u32,
    /// What was written.
    pub(crate) target: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Why a page could not be rendered.
#[derive(Facet, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum RenderError {
    /// The host has no template of that name.
    #[error("the host has no template named {0}")]
    MissingTemplate(String),
    /// A template does not parse, or uses a variable that it is not given.
    #[error("template {name}: {message}")]
    BadTemplate {
        /// Which template.
        name: String,
        /// What the template engine says.
        message: String,
    },
    /// The host answered another number of links than it was asked about.
    #[error("asked the host about {asked} links, it answered {answered}")]
    WrongAnswerCount {
        /// Links in the question.
        asked: u32,
        /// Links in the answer.
        answered: u32,
    },
    /// A question to the host got no answer.
    #[error("the host did not answer: {0}")]
    HostSilent(String),
}

/// A question about one link.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkQuery {
    /// What the author wrote: a path relative to the page's file, a URL or `#anchor`.
    pub(crate) target: String,
    /// Whether it stands as an image.
    pub(crate) image: bool,
}

/// Where a link leads.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LinkAnswer {
    /// Off the site; keep what was written.
    External,
    /// To a page of the site.
    Page {
        /// The URL relative to the asking page, with the anchor if there is one.
        href: String,
        /// The key of that page.
        page: String,
    },
    /// To a file that is copied into the site.
    File {
        /// The URL relative to the asking page.
        href: String,
    },
    /// To a picture that is there in several widths.
    Picture(PictureSet),
    /// To a file that exists beside the sources but is no part of the site.
    Unpublished,
    /// Nowhere.
    Broken {
        /// What is wrong with it.
        reason: String,
    },
}

/// A picture in all its widths.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct PictureSet {
    /// URL of the full size, relative to the asking page.
    pub(crate) src: String,
    /// The widths in the form that the `srcset` attribute takes.
    pub(crate) srcset: String,
    /// Full width in pixels.
    pub(crate) width: u32,
    /// Full height in pixels.
    pub(crate) height: u32,
}

/// The markdown plugin.
#[rapace::service]
pub(crate) trait Markdown {
    /// Renders one page, asking the host back while it does.
    #[rapace(idempotent)]
    async fn render(&self, cx: &Context, page: PageSource) -> Result<RenderedPage, RenderError>;
}

/// What the markdown plugin asks of its host in the middle of a call.
#[rapace::service]
pub(crate) trait SiteHost {
    /// Says where each of `links`, written on the page `page`, leads; one answer per link, in order.
    #[rapace(idempotent)]
    async fn resolve_links(&self, page: String, links: Vec<LinkQuery>) -> Vec<LinkAnswer>;
    /// The text of a template, or nothing when there is none of that name.
    #[rapace(idempotent)]
    async fn template(&self, name: String) -> Option<String>;
}

/// The implementation of [`Markdown`].
pub(crate) struct MarkdownPlugin;

impl Markdown for MarkdownPlugin {
    async fn render(&self, cx: &Context, page: PageSource) -> Result<RenderedPage, RenderError> {
        let host = SiteHostClient::new(cx.caller());
        let draft = Draft::parse(&page);
        // One turn for all of it: the questions are under way together.
        let links = host.resolve_links(page.path.clone(), draft.links().to_vec());
        let names = draft.templates();
        let texts = names.iter().map(|name| host.template((*name).to_owned()));
        let (links, texts) = try_join(links, try_join_all(texts))
            .await
            .map_err(|error| RenderError::HostSilent(error.to_string()))?;
        let templates = names
            .iter()
            .zip(texts)
            .map(|(name, text)| match text {
                Some(text) => Ok((*name, text)),
                None => Err(RenderError::MissingTemplate((*name).to_owned())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        draft.write(&links, &templates)
    }
}

#[cfg(test)]
mod tests;
