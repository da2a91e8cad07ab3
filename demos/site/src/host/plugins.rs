//! The plugins as the host sees them: four clients, each with a meter.
//!
//! This is the one place that knows where the plugins run. The pipeline calls the methods here and
//! never a plugin.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::desk::Desk;
use super::error::BuildError;
use super::summary::{Meter, Summary};
use crate::plugins::highlight::{CodeBlock, Highlight, HighlightPlugin, HighlightedBlock};
use crate::plugins::images::{Dimensions, Format, ImageError, Images, ImagesPlugin, Pixels};
use crate::plugins::markdown::{
    LinkAnswer, LinkQuery, Markdown, MarkdownPlugin, PageSource, Piece, RenderError, RenderedPage,
    SiteHost,
};
use crate::plugins::search::{Document, Search, SearchIndex, SearchPlugin};

/// How host and plugins are connected.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// One process per plugin, over Unix sockets.
    Unix,
    /// All in this process.
    Mem,
}

/// The four plugins.
pub(crate) struct Plugins {
    desk: FrontDesk,
    markdown: MarkdownPlugin<FrontDesk>,
    highlight: HighlightPlugin,
    images: ImagesPlugin,
    search: SearchPlugin,
    meters: Meters,
}

struct Meters {
    markdown: Meter,
    highlight: Meter,
    images: Meter,
    search: Meter,
}

impl Plugins {
    /// Starts the plugins.
    pub(crate) fn start(transport: Transport) -> Result<Self, BuildError> {
        if transport == Transport::Unix {
            return Err(BuildError::Unsupported(
                "plugins do not run as processes yet; use --transport mem",
            ));
        }
        let desk = FrontDesk::default();
        Ok(Self {
            markdown: MarkdownPlugin::new(desk.clone()),
            desk,
            highlight: HighlightPlugin,
            images: ImagesPlugin,
            search: SearchPlugin,
            meters: Meters {
                markdown: Meter::new("markdown"),
                highlight: Meter::new("highlight"),
                images: Meter::new("images"),
                search: Meter::new("search"),
            },
        })
    }

    /// From now on `desk` answers the plugins' questions.
    pub(crate) fn open_desk(&self, desk: Desk) {
        *self.desk.0.write().unwrap_or_else(PoisonError::into_inner) = Some(desk);
    }

    /// Renders a page.
    pub(crate) async fn render(&self, page: PageSource) -> Result<RenderedPage, RenderError> {
        let sent = page.path.len() + page.body.len();
        measured(
            &self.meters.markdown,
            sent,
            self.markdown.render(page),
            |answer| {
                answer.as_ref().map_or(0, |page| {
                    page.text.len() + page.pieces.iter().map(piece_len).sum::<usize>()
                })
            },
        )
        .await
    }

    /// Highlights blocks of code, one answer per block.
    pub(crate) async fn highlight(&self, blocks: Vec<CodeBlock>) -> Vec<HighlightedBlock> {
        let sent = blocks
            .iter()
            .map(|block| block.language.len() + block.text.len())
            .sum();
        measured(
            &self.meters.highlight,
            sent,
            self.highlight.highlight(blocks),
            |answer| {
                answer
                    .iter()
                    .map(|block| block.html.len() + block.language.len())
                    .sum()
            },
        )
        .await
    }

    /// The style sheet for highlighted code.
    pub(crate) async fn highlight_stylesheet(&self) -> String {
        measured(
            &self.meters.highlight,
            0,
            self.highlight.stylesheet(),
            String::len,
        )
        .await
    }

    /// The size of a picture.
    pub(crate) async fn probe(&self, file: Bytes) -> Result<Dimensions, ImageError> {
        measured(
            &self.meters.images,
            file.len(),
            self.images.probe(file),
            |_| 8,
        )
        .await
    }

    /// The pixels of a picture.
    pub(crate) async fn decode(&self, file: Bytes) -> Result<Pixels, ImageError> {
        measured(
            &self.meters.images,
            file.len(),
            self.images.decode(file),
            pixels_len,
        )
        .await
    }

    /// Fewer pixels of a picture.
    pub(crate) async fn scale(&self, pixels: Pixels, width: u32) -> Result<Pixels, ImageError> {
        let sent = pixels.samples.len();
        measured(
            &self.meters.images,
            sent,
            self.images.scale(pixels, width),
            pixels_len,
        )
        .await
    }

    /// An image file of some pixels.
    pub(crate) async fn encode(&self, pixels: Pixels, format: Format) -> Result<Bytes, ImageError> {
        let sent = pixels.samples.len();
        measured(
            &self.meters.images,
            sent,
            self.images.encode(pixels, format),
            |answer| answer.as_ref().map_or(0, Bytes::len),
        )
        .await
    }

    /// The search index of all pages.
    pub(crate) async fn index(&self, documents: Vec<Document>) -> SearchIndex {
        let sent = documents
            .iter()
            .map(|document| document.title.len() + document.text.len())
            .sum();
        measured(
            &self.meters.search,
            sent,
            self.search.index(documents),
            |index| index.json.len(),
        )
        .await
    }

    /// What was measured since the last time this was asked.
    pub(crate) fn take_summary(&self) -> Summary {
        let Meters {
            markdown,
            highlight,
            images,
            search,
        } = &self.meters;
        Summary {
            plugins: [markdown, highlight, images, search]
                .map(Meter::take)
                .to_vec(),
        }
    }
}

/// Runs a call under a meter; `sent` and `received` are payload bytes.
async fn measured<T>(
    meter: &Meter,
    sent: usize,
    call: impl Future<Output = T>,
    received: impl FnOnce(&T) -> usize,
) -> T {
    let start = std::time::Instant::now();
    let answer = call.await;
    meter.record(sent as u64, received(&answer) as u64, start.elapsed());
    answer
}

fn pixels_len(answer: &Result<Pixels, ImageError>) -> usize {
    answer.as_ref().map_or(0, |pixels| pixels.samples.len())
}

fn piece_len(piece: &Piece) -> usize {
    match piece {
        Piece::Html(text) => text.len(),
        Piece::Code(block) => block.text.len(),
    }
}

/// The desk of the build that is running. Plugins outlive builds, so they hold this one.
#[derive(Clone, Default)]
struct FrontDesk(Arc<RwLock<Option<Desk>>>);

impl FrontDesk {
    fn current(&self) -> Option<Desk> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl SiteHost for FrontDesk {
    async fn resolve_links(&self, page: String, links: Vec<LinkQuery>) -> Vec<LinkAnswer> {
        match self.current() {
            Some(desk) => desk.resolve_links(page, links).await,
            None => Vec::new(),
        }
    }

    async fn template(&self, name: String) -> Option<String> {
        match self.current() {
            Some(desk) => desk.template(name).await,
            None => None,
        }
    }
}
