//! The plugins as the host sees them: four clients, each with a meter.
//!
//! - [`link`]: where a plugin runs, which only this folder knows.
//! - [`connected`]: one plugin with its client, its meter, and what a lost call does.
//! - [`chaos`]: killing plugins on purpose.
//!
//! The pipeline calls the methods of [`Plugins`] and never a plugin. Each call answers in two
//! layers: [`Unanswered`] when the plugin gave no answer, inside of it what the plugin answered.

mod chaos;
mod connected;
mod link;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use rapace::Streaming;

use super::desk::Desk;
use super::error::BuildError;
use super::summary::Summary;
use crate::plugins::Name;
use crate::plugins::highlight::{CodeBlock, HighlightClient, HighlightedBlock};
use crate::plugins::images::{Dimensions, Format, ImageError, ImagesClient, Pixels};
use crate::plugins::markdown::{
    LinkAnswer, LinkQuery, MarkdownClient, PageSource, Piece, RenderError, RenderedPage, SiteHost,
};
use crate::plugins::search::{Document, SearchClient, SearchError, SearchIndex};
use chaos::Chaos;
pub(crate) use chaos::ChaosPlan;
use connected::Connected;
pub(crate) use connected::Unanswered;
use link::Link;
pub(crate) use link::Transport;

/// The four plugins.
pub(crate) struct Plugins {
    desk: FrontDesk,
    links: Vec<Arc<Link>>,
    chaos: Option<Arc<Chaos>>,
    markdown: Connected<MarkdownClient>,
    highlight: Connected<HighlightClient>,
    images: Connected<ImagesClient>,
    search: Connected<SearchClient>,
}

impl Plugins {
    /// Starts the plugins and waits until all of them answer.
    pub(crate) async fn start(
        transport: Transport,
        chaos: Option<ChaosPlan>,
    ) -> Result<Self, BuildError> {
        let desk = FrontDesk::default();
        // Together: each takes a few milliseconds, most of which it waits.
        let starts =
            Name::ALL.map(|name| Link::start(name, transport, desk.clone(), chaos.is_some()));
        let links: Vec<_> = try_join_all(starts)
            .await?
            .into_iter()
            .map(Arc::new)
            .collect();
        let chaos = chaos.map(|plan| Arc::new(Chaos::new(plan, links.clone())));
        let connect = |name: Name| (links[name as usize].clone(), chaos.clone());
        Ok(Self {
            markdown: Connected::new(connect(Name::Markdown)),
            highlight: Connected::new(connect(Name::Highlight)),
            images: Connected::new(connect(Name::Images)),
            search: Connected::new(connect(Name::Search)),
            desk,
            links,
            chaos,
        })
    }

    /// Ends the plugins in good order. When this returns, none of their processes is left.
    pub(crate) async fn shutdown(&self) {
        if let Some(chaos) = &self.chaos {
            chaos.stop();
        }
        join_all(self.links.iter().map(|link| link.shutdown())).await;
    }

    /// From now on `desk` answers the plugins' questions.
    pub(crate) fn open_desk(&self, desk: Desk) {
        *self.desk.0.write().unwrap_or_else(PoisonError::into_inner) = Some(desk);
    }

    /// Renders a page.
    pub(crate) async fn render(
        &self,
        page: PageSource,
    ) -> Result<Result<RenderedPage, RenderError>, Unanswered> {
        let sent = page.path.len() + page.body.len();
        self.markdown
            .call(sent, rendered_len, |client| client.render(page.clone()))
            .await
    }

    /// Highlights blocks of code, one answer per block.
    pub(crate) async fn highlight(
        &self,
        blocks: Vec<CodeBlock>,
    ) -> Result<Vec<HighlightedBlock>, Unanswered> {
        let sent = blocks
            .iter()
            .map(|block| block.language.len() + block.text.len())
            .sum();
        self.highlight
            .call(sent, highlighted_len, |client| {
                client.highlight(blocks.clone())
            })
            .await
    }

    /// The style sheet for highlighted code.
    pub(crate) async fn highlight_stylesheet(&self) -> Result<String, Unanswered> {
        self.highlight
            .call(0, String::len, HighlightClient::stylesheet)
            .await
    }

    /// The size of a picture.
    pub(crate) async fn probe(
        &self,
        file: Bytes,
    ) -> Result<Result<Dimensions, ImageError>, Unanswered> {
        self.images
            .call(file.len(), |_| 8, |client| client.probe(file.clone()))
            .await
    }

    /// The pixels of a picture.
    pub(crate) async fn decode(
        &self,
        file: Bytes,
    ) -> Result<Result<Pixels, ImageError>, Unanswered> {
        self.images
            .call(file.len(), pixels_len, |client| client.decode(file.clone()))
            .await
    }

    /// Fewer pixels of a picture.
    pub(crate) async fn scale(
        &self,
        pixels: Pixels,
        width: u32,
    ) -> Result<Result<Pixels, ImageError>, Unanswered> {
        let sent = pixels.samples.len();
        self.images
            .call(sent, pixels_len, |client| {
                client.scale(pixels.clone(), width)
            })
            .await
    }

    /// An image file of some pixels.
    pub(crate) async fn encode(
        &self,
        pixels: Pixels,
        format: Format,
    ) -> Result<Result<Bytes, ImageError>, Unanswered> {
        let sent = pixels.samples.len();
        self.images
            .call(
                sent,
                |answer: &Result<Bytes, _>| answer.as_ref().map_or(0, Bytes::len),
                |client| client.encode(pixels.clone(), format),
            )
            .await
    }

    /// The search index of all pages, which are streamed to the plugin.
    pub(crate) async fn index(
        &self,
        documents: Vec<Document>,
    ) -> Result<Result<SearchIndex, SearchError>, Unanswered> {
        let sent = documents
            .iter()
            .map(|document| document.title.len() + document.text.len())
            .sum();
        // Shared by all attempts, each of which streams them from the beginning.
        let documents: Arc<[Document]> = documents.into();
        self.search
            .call(sent, index_len, |client| {
                let documents = documents.clone();
                let items = (0..documents.len()).map(move |index| documents[index].clone());
                client.index(Streaming::from_iter(items))
            })
            .await
    }

    /// What was measured since the last time this was asked.
    pub(crate) fn take_summary(&self) -> Summary {
        Summary {
            plugins: vec![
                self.markdown.take_summary(),
                self.highlight.take_summary(),
                self.images.take_summary(),
                self.search.take_summary(),
            ],
            kills: self.chaos.as_ref().map(|chaos| chaos.take_kills()),
        }
    }
}

fn rendered_len(answer: &Result<RenderedPage, RenderError>) -> usize {
    let piece_len = |piece: &Piece| match piece {
        Piece::Html(text) => text.len(),
        Piece::Code(block) => block.text.len(),
    };
    answer.as_ref().map_or(0, |page| {
        page.text.len() + page.pieces.iter().map(piece_len).sum::<usize>()
    })
}

#[expect(
    clippy::ptr_arg,
    reason = "measures the answer as the client returns it"
)]
fn highlighted_len(answer: &Vec<HighlightedBlock>) -> usize {
    answer
        .iter()
        .map(|block| block.html.len() + block.language.len())
        .sum()
}

fn index_len(answer: &Result<SearchIndex, SearchError>) -> usize {
    answer.as_ref().map_or(0, |index| index.json.len())
}

fn pixels_len(answer: &Result<Pixels, ImageError>) -> usize {
    answer.as_ref().map_or(0, |pixels| pixels.samples.len())
}

/// The desk of the build that is running. Plugins outlive builds, so they are served this one.
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
