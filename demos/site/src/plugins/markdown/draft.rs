//! A parsed page, and the questions that it raises.

use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

use super::{LinkAnswer, LinkQuery, PageSource, RenderError, RenderedPage, writer};

/// The template that wraps headings.
pub(super) const HEADING_TEMPLATE: &str = "heading.html";
/// The template that shows a picture.
pub(super) const PICTURE_TEMPLATE: &str = "picture.html";

/// A parsed page that waits for the host's answers.
pub(super) struct Draft<'a> {
    page: &'a PageSource,
    pub(super) events: Vec<(Event<'a>, Range<usize>)>,
    links: Vec<LinkQuery>,
    templates: Vec<&'static str>,
}

impl<'a> Draft<'a> {
    /// Parses the page. Every text is some Markdown document, so this cannot fail.
    pub(super) fn parse(page: &'a PageSource) -> Self {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_HEADING_ATTRIBUTES
            | Options::ENABLE_DEFINITION_LIST
            | Options::ENABLE_GFM;
        let events: Vec<_> = Parser::new_ext(&page.body, options)
            .into_offset_iter()
            .collect();
        let mut links = Vec::new();
        let mut templates = Vec::new();
        for (event, _) in &events {
            let wanted = match event {
                Event::Start(Tag::Heading { .. }) => HEADING_TEMPLATE,
                Event::Start(tag) => match link_query(tag) {
                    Some(query) => {
                        let image = query.image;
                        links.push(query);
                        if !image {
                            continue;
                        }
                        PICTURE_TEMPLATE
                    }
                    None => continue,
                },
                _ => continue,
            };
            if !templates.contains(&wanted) {
                templates.push(wanted);
            }
        }
        Self {
            page,
            events,
            links,
            templates,
        }
    }

    /// The links to ask the host about, in the order that they stand on the page.
    pub(super) fn links(&self) -> &[LinkQuery] {
        &self.links
    }

    /// The templates that the page needs.
    pub(super) fn templates(&self) -> &[&'static str] {
        &self.templates
    }

    /// The line of the file that the byte at `offset` of the body stands on.
    pub(super) fn line(&self, offset: usize) -> u32 {
        // Offsets of events are borders of letters; an offset that is none counts as the end.
        let before = self.page.body.get(..offset).unwrap_or(&self.page.body);
        self.page.first_line + before.matches('\n').count() as u32
    }

    /// Writes the page with the host's answers: one per link in order, and each template's text.
    pub(super) fn write(
        self,
        answers: &[LinkAnswer],
        templates: &[(&str, String)],
    ) -> Result<RenderedPage, RenderError> {
        if answers.len() != self.links.len() {
            return Err(RenderError::WrongAnswerCount {
                asked: self.links.len() as u32,
                answered: answers.len() as u32,
            });
        }
        writer::write(&self, answers, templates)
    }
}

/// The question that a tag raises, if it is a link whose target the author wrote as a path or URL.
pub(super) fn link_query(tag: &Tag<'_>) -> Option<LinkQuery> {
    match tag {
        // `<name@example.com>` has no scheme of its own, and is external by its nature.
        Tag::Link {
            link_type: LinkType::Email,
            ..
        } => None,
        Tag::Link { dest_url, .. } => Some(LinkQuery {
            target: dest_url.to_string(),
            image: false,
        }),
        Tag::Image { dest_url, .. } => Some(LinkQuery {
            target: dest_url.to_string(),
            image: true,
        }),
        _ => None,
    }
}
