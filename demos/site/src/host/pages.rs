//! Pages: rendering by the plugins, checking of anchors, and the layout around them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::error::{BuildError, Fault};
use super::library::{Library, Page};
use super::links;
use super::plugins::{Plugins, Unanswered};
use super::progress::Phase;
use super::theme::{NavHeading, NavPage, NavSection, PageContext, Theme};
use crate::plugins::markdown::{FragmentUse, Heading, PageSource, Piece};
use crate::plugins::search::Document;

/// A rendered page without the layout around it.
pub(crate) struct RenderedContent {
    html: String,
    headings: Vec<Heading>,
    text: String,
    fragments: Vec<FragmentUse>,
}

/// Renders all pages; the results stand in the order of `library.pages`.
///
/// Fails with every broken link of the site at once, not with the first one.
pub(crate) async fn render(
    library: &Library,
    plugins: &Plugins,
    jobs: usize,
    phase: &Phase,
) -> Result<Vec<RenderedContent>, BuildError> {
    let rendered: Vec<(RenderedContent, Vec<Fault>)> = stream::iter(&library.pages)
        .map(|page| async move {
            let rendered = render_one(page, plugins).await?;
            phase.tick(&page.key);
            Ok::<_, BuildError>(rendered)
        })
        .buffered(jobs)
        .try_collect()
        .await?;
    let (contents, faults): (Vec<_>, Vec<_>) = rendered.into_iter().unzip();
    let mut faults: Vec<Fault> = faults.into_iter().flatten().collect();
    faults.extend(missing_anchors(library, &contents));
    if faults.is_empty() {
        Ok(contents)
    } else {
        faults.sort();
        Err(BuildError::Content(faults))
    }
}

async fn render_one(
    page: &Page,
    plugins: &Plugins,
) -> Result<(RenderedContent, Vec<Fault>), BuildError> {
    let source = PageSource {
        path: page.key.clone(),
        first_line: page.first_line,
        body: page.body.clone(),
    };
    let rendered = plugins
        .render(source)
        .await
        .map_err(|lost| lost.about(&page.shown))?
        .map_err(|source| BuildError::Render {
            page: page.shown.clone(),
            source,
        })?;
    let faults = rendered
        .broken
        .into_iter()
        .map(|link| Fault {
            file: page.shown.clone(),
            line: link.line,
            message: format!("broken link `{}`: {}", link.target, link.reason),
        })
        .collect();
    let content = RenderedContent {
        html: assemble(rendered.pieces, plugins)
            .await
            .map_err(|lost| lost.about(&page.shown))?,
        headings: rendered.headings,
        text: rendered.text,
        fragments: rendered.fragments,
    };
    Ok((content, faults))
}

/// Puts the pieces of a page together, with the code highlighted.
async fn assemble(pieces: Vec<Piece>, plugins: &Plugins) -> Result<String, Unanswered> {
    let blocks: Vec<_> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Code(block) => Some(block.clone()),
            Piece::Html(_) => None,
        })
        .collect();
    let highlighted = if blocks.is_empty() {
        Vec::new()
    } else {
        plugins.highlight(blocks).await?
    };
    let mut highlighted = highlighted.into_iter();
    let mut html = String::new();
    for piece in pieces {
        match piece {
            Piece::Html(text) => html.push_str(&text),
            Piece::Code(_) => {
                if let Some(block) = highlighted.next() {
                    let label = match block.language.as_str() {
                        "" => String::new(),
                        name => format!(" data-language=\"{name}\""),
                    };
                    // Writing to a String cannot fail.
                    let _ = writeln!(html, "<pre{label}><code>{}</code></pre>", block.html);
                }
            }
        }
    }
    Ok(html)
}

/// Links to anchors that their pages do not have.
fn missing_anchors(library: &Library, contents: &[RenderedContent]) -> Vec<Fault> {
    let anchors: BTreeMap<&str, BTreeSet<&str>> = library
        .pages
        .iter()
        .zip(contents)
        .map(|(page, content)| {
            let ids = content
                .headings
                .iter()
                .map(|heading| heading.id.as_str())
                .collect();
            (page.key.as_str(), ids)
        })
        .collect();
    let mut faults = Vec::new();
    for (page, content) in library.pages.iter().zip(contents) {
        for link in &content.fragments {
            let known = anchors.get(link.page.as_str());
            if known.is_none_or(|ids| !ids.contains(link.fragment.as_str())) {
                faults.push(Fault {
                    file: page.shown.clone(),
                    line: link.line,
                    message: format!(
                        "broken link: {} has no heading #{}",
                        link.page, link.fragment
                    ),
                });
            }
        }
    }
    faults
}

/// What the search plugin learns of the pages.
pub(crate) fn documents(library: &Library, contents: &[RenderedContent]) -> Vec<Document> {
    let section_title = |folder: &str| {
        let section = library
            .config
            .sections
            .iter()
            .find(|section| section.folder == folder);
        section.map_or_else(|| folder.to_owned(), |section| section.title.clone())
    };
    library
        .pages
        .iter()
        .zip(contents)
        .map(|(page, content)| Document {
            url: links::encode(&page.url).into_owned(),
            title: page.title.clone(),
            section: section_title(&page.section),
            summary: page.summary.clone(),
            headings: content
                .headings
                .iter()
                .map(|heading| heading.text.clone())
                .collect(),
            text: content.text.clone(),
        })
        .collect()
}

/// Puts the layout around all pages; gives the files by where they go.
pub(crate) fn lay_out(
    library: &Library,
    contents: &[RenderedContent],
    theme: &Theme,
    live: bool,
) -> Result<Vec<(String, String)>, BuildError> {
    let sections = sidebar(library);
    let neighbour = |index: Option<usize>| {
        index
            .and_then(|index| library.pages.get(index))
            .map(|page| NavPage {
                title: &page.title,
                url: &page.url,
            })
    };
    let mut files = Vec::with_capacity(contents.len());
    for (index, (page, content)) in library.pages.iter().zip(contents).enumerate() {
        let headings: Vec<_> = content
            .headings
            .iter()
            .filter(|heading| matches!(heading.level, 2 | 3))
            .map(|heading| NavHeading {
                level: heading.level,
                id: &heading.id,
                text: &heading.text,
            })
            .collect();
        let html = theme.page(&PageContext {
            site_title: &library.config.title,
            language: &library.config.language,
            title: &page.title,
            summary: if page.summary.is_empty() {
                &library.config.description
            } else {
                &page.summary
            },
            root: &links::root_from(&page.url),
            content: &content.html,
            sections: &sections,
            url: &page.url,
            headings: &headings,
            previous: neighbour(index.checked_sub(1)),
            next: neighbour(Some(index + 1)),
            live,
        })?;
        files.push((page.url.clone(), html));
    }
    Ok(files)
}

fn sidebar(library: &Library) -> Vec<NavSection<'_>> {
    let mut sections: Vec<(&str, NavSection<'_>)> = Vec::new();
    for page in &library.pages {
        let entry = NavPage {
            title: &page.title,
            url: &page.url,
        };
        match sections.last_mut() {
            Some((folder, section)) if *folder == page.section => section.pages.push(entry),
            _ => {
                let listed = library
                    .config
                    .sections
                    .iter()
                    .find(|section| section.folder == page.section);
                let title = listed.map_or(page.section.as_str(), |section| &section.title);
                sections.push((
                    &page.section,
                    NavSection {
                        title,
                        pages: vec![entry],
                    },
                ));
            }
        }
    }
    sections.into_iter().map(|(_, section)| section).collect()
}
