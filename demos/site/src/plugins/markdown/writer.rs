//! One walk over the events of a page, with the host's answers at hand.
//!
//! pulldown-cmark's own writer does the ordinary tags. Headings, links, pictures and footnotes are
//! turned into HTML events first, because they need answers, templates or numbers that span the
//! page; code blocks cut the HTML into pieces.

use std::collections::BTreeMap;
use std::mem;

use minijinja::{Environment, context};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Tag, TagEnd, html};

use super::draft::{Draft, HEADING_TEMPLATE, PICTURE_TEMPLATE, link_query};
use super::footnotes::Footnotes;
use super::{
    BrokenLink, FragmentUse, Heading, LinkAnswer, PictureSet, Piece, RenderError, RenderedPage,
};
use crate::markup::{self, escape};
use crate::plugins::highlight::CodeBlock;

/// Writes `draft` with one answer per link, in order.
pub(super) fn write(
    draft: &Draft<'_>,
    answers: &[LinkAnswer],
    templates: &[(&str, String)],
) -> Result<RenderedPage, RenderError> {
    let mut environment = markup::environment();
    for (name, text) in templates {
        environment
            .add_template_owned((*name).to_owned(), text.clone())
            .map_err(|error| bad_template(name, &error))?;
    }
    let mut writer = Writer {
        draft,
        answers: answers.iter(),
        environment,
        pending: Vec::new(),
        pieces: Vec::new(),
        page: RenderedPage {
            pieces: Vec::new(),
            headings: Vec::new(),
            text: String::new(),
            fragments: Vec::new(),
            broken: Vec::new(),
        },
        used_ids: BTreeMap::new(),
        link_ends: Vec::new(),
        footnotes: Footnotes::default(),
    };
    let mut index = 0;
    while index < draft.events.len() {
        index = writer.block(index)?;
    }
    Ok(writer.finish())
}

struct Writer<'d, 'a> {
    draft: &'d Draft<'a>,
    answers: std::slice::Iter<'d, LinkAnswer>,
    environment: Environment<'static>,
    /// Events of the HTML piece that is being gathered.
    pending: Vec<Event<'d>>,
    /// Finished pieces of the page, or of the footnote that is being read.
    pieces: Vec<Piece>,
    page: RenderedPage,
    /// How often each anchor has been wanted.
    used_ids: BTreeMap<String, u32>,
    /// What closes each link that is open.
    link_ends: Vec<&'static str>,
    footnotes: Footnotes,
}

impl<'d> Writer<'d, '_> {
    /// Handles the event at `index`, and those that belong to it, and gives the index after them.
    fn block(&mut self, index: usize) -> Result<usize, RenderError> {
        let events = &self.draft.events;
        match &events[index].0 {
            Event::Start(Tag::Heading { level, id, .. }) => {
                self.heading(index, *level, id.as_deref())
            }
            Event::Start(Tag::Paragraph) if self.is_lone_image(index) => {
                let after = self.image(index + 1, true)?;
                Ok(after + 1)
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split([' ', ',']).next().unwrap_or("").to_owned()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                let mut text = String::new();
                let mut end = index + 1;
                while let Event::Text(part) = &events[end].0 {
                    text.push_str(part);
                    end += 1;
                }
                self.flush();
                self.pieces.push(Piece::Code(CodeBlock { language, text }));
                Ok(end + 1)
            }
            Event::Start(Tag::FootnoteDefinition(label)) => {
                self.flush();
                self.footnotes.open = Some((label.to_string(), mem::take(&mut self.pieces)));
                Ok(index + 1)
            }
            Event::End(TagEnd::FootnoteDefinition) => {
                self.flush();
                if let Some((label, before)) = self.footnotes.open.take() {
                    let body = mem::replace(&mut self.pieces, before);
                    self.footnotes.bodies.insert(label, body);
                }
                Ok(index + 1)
            }
            _ => self.inline(index),
        }
    }

    /// Handles an event that may stand inside a heading or a paragraph.
    fn inline(&mut self, index: usize) -> Result<usize, RenderError> {
        let event = &self.draft.events[index].0;
        match event {
            Event::Start(
                tag @ Tag::Link {
                    link_type,
                    dest_url,
                    ..
                },
            ) => {
                let open = if *link_type == LinkType::Email {
                    self.link_ends.push("</a>");
                    format!("<a href=\"mailto:{}\">", escape(dest_url))
                } else {
                    self.open_link(index, tag)
                };
                self.pending.push(Event::InlineHtml(open.into()));
            }
            Event::End(TagEnd::Link) => {
                let close = self.link_ends.pop().unwrap_or("</a>");
                self.pending.push(Event::InlineHtml(close.into()));
            }
            Event::Start(Tag::Image { .. }) => return self.image(index, false),
            Event::FootnoteReference(label) => {
                let reference = self.footnotes.refer(label);
                self.pending.push(Event::InlineHtml(reference.into()));
            }
            _ => {
                match event {
                    Event::Text(text) | Event::Code(text) => self.page.text.push_str(text),
                    // Emphasis may end in the middle of a word.
                    Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => {}
                    Event::SoftBreak | Event::HardBreak | Event::End(_) => self.space(),
                    _ => {}
                }
                self.pending.push(event.clone());
            }
        }
        Ok(index + 1)
    }

    fn heading(
        &mut self,
        start: usize,
        level: HeadingLevel,
        id: Option<&str>,
    ) -> Result<usize, RenderError> {
        let outer = mem::take(&mut self.pending);
        let text_start = self.page.text.len();
        let mut index = start + 1;
        while !matches!(self.draft.events[index].0, Event::End(TagEnd::Heading(_))) {
            index = self.inline(index)?;
        }
        let inner = mem::replace(&mut self.pending, outer);
        let mut content = String::new();
        html::push_html(&mut content, inner.into_iter());
        let text = self.page.text[text_start..].trim().to_owned();
        self.space();

        let level = level as u8;
        let id = self.unique_id(id.map_or_else(|| slug(&text), str::to_owned));
        let heading = self.fill(HEADING_TEMPLATE, context! { level, id => &id, content })?;
        self.pending.push(Event::Html(heading.into()));
        self.page.headings.push(Heading { level, id, text });
        Ok(index + 1)
    }

    /// Handles the image at `start`; `alone` in its paragraph it becomes a figure.
    fn image(&mut self, start: usize, alone: bool) -> Result<usize, RenderError> {
        let Event::Start(tag @ Tag::Image { title, .. }) = &self.draft.events[start].0 else {
            return Ok(start + 1);
        };
        let answer = self.answer(start, tag);
        let mut alt = String::new();
        let mut depth = 1;
        let mut index = start + 1;
        while depth > 0 {
            match &self.draft.events[index].0 {
                Event::Start(inner) => {
                    depth += 1;
                    // Alternative text may hold links; they show as text, but they were asked about.
                    self.answer(index, inner);
                }
                Event::End(_) => depth -= 1,
                Event::Text(text) | Event::Code(text) => alt.push_str(text),
                Event::SoftBreak | Event::HardBreak => alt.push(' '),
                _ => {}
            }
            index += 1;
        }
        self.page.text.push_str(&alt);
        self.space();
        let target = link_query(tag).map_or_else(String::new, |query| query.target);
        let set = match answer {
            Some(LinkAnswer::Picture(set)) => set.clone(),
            Some(LinkAnswer::File { href }) => plain_picture(href),
            _ => plain_picture(&target),
        };
        let PictureSet {
            src,
            srcset,
            width,
            height,
        } = set;
        let picture = self.fill(
            PICTURE_TEMPLATE,
            context! { src, srcset, width, height, alt, caption => title.as_ref(), alone },
        )?;
        let picture = picture.trim().to_owned();
        self.pending.push(if alone {
            Event::Html((picture + "\n").into())
        } else {
            Event::InlineHtml(picture.into())
        });
        Ok(index)
    }

    /// The start tag of a link.
    fn open_link(&mut self, index: usize, tag: &Tag<'d>) -> String {
        let target = link_query(tag).map_or_else(String::new, |query| query.target);
        let (open, close) = match self.answer(index, tag) {
            Some(LinkAnswer::Page { href, .. } | LinkAnswer::File { href }) => {
                (format!("<a href=\"{}\">", escape(href)), "</a>")
            }
            Some(LinkAnswer::Picture(set)) => {
                (format!("<a href=\"{}\">", escape(&set.src)), "</a>")
            }
            Some(LinkAnswer::External) => (
                format!("<a class=\"external\" href=\"{}\">", escape(&target)),
                "</a>",
            ),
            Some(LinkAnswer::Unpublished) => (
                format!("<span class=\"unpublished\" title=\"{}\">", escape(&target)),
                "</span>",
            ),
            Some(LinkAnswer::Broken { .. }) | None => ("<span>".to_owned(), "</span>"),
        };
        self.link_ends.push(close);
        open
    }

    /// Takes the host's answer about a tag, if the tag was asked about, and notes what it says.
    fn answer(&mut self, index: usize, tag: &Tag<'_>) -> Option<&'d LinkAnswer> {
        let query = link_query(tag)?;
        let answer = self.answers.next()?;
        let line = self.draft.line(self.draft.events[index].1.start);
        match answer {
            LinkAnswer::Broken { reason } => self.page.broken.push(BrokenLink {
                line,
                target: query.target,
                reason: reason.clone(),
            }),
            LinkAnswer::Page { href, page } => {
                if let Some((_, fragment)) = href.split_once('#') {
                    self.page.fragments.push(FragmentUse {
                        line,
                        page: page.clone(),
                        fragment: fragment.to_owned(),
                    });
                }
            }
            _ => {}
        }
        Some(answer)
    }

    fn fill(&self, name: &str, values: minijinja::Value) -> Result<String, RenderError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(|error| bad_template(name, &error))
    }

    /// Whether the paragraph at `start` holds one image and nothing else.
    fn is_lone_image(&self, start: usize) -> bool {
        let mut events = self.draft.events[start + 1..]
            .iter()
            .map(|(event, _)| event);
        matches!(events.next(), Some(Event::Start(Tag::Image { .. })))
            && events
                .find(|event| {
                    matches!(
                        event,
                        Event::End(TagEnd::Image) | Event::Start(Tag::Image { .. })
                    )
                })
                .is_some_and(|event| matches!(event, Event::End(_)))
            && matches!(events.next(), Some(Event::End(TagEnd::Paragraph)))
    }

    fn unique_id(&mut self, wanted: String) -> String {
        let wanted = if wanted.is_empty() {
            "section".to_owned()
        } else {
            wanted
        };
        let mut id = wanted.clone();
        loop {
            let used = self.used_ids.entry(id.clone()).or_insert(0);
            *used += 1;
            if *used == 1 {
                return id;
            }
            let count = *used - 1;
            id = format!("{wanted}-{count}");
        }
    }

    fn space(&mut self) {
        if !self.page.text.is_empty() && !self.page.text.ends_with(' ') {
            self.page.text.push(' ');
        }
    }

    /// Ends the HTML piece that is being gathered.
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let mut text = String::new();
            html::push_html(&mut text, self.pending.drain(..));
            self.pieces.push(Piece::Html(text));
        }
    }

    fn finish(mut self) -> RenderedPage {
        self.flush();
        self.page.pieces = self.pieces;
        self.footnotes.write(&mut self.page.pieces);
        self.page.text.truncate(self.page.text.trim_end().len());
        self.page
    }
}

/// A picture of unknown size, in one width.
fn plain_picture(src: &str) -> PictureSet {
    PictureSet {
        src: src.to_owned(),
        srcset: String::new(),
        width: 0,
        height: 0,
    }
}

fn bad_template(name: &str, error: &minijinja::Error) -> RenderError {
    RenderError::BadTemplate {
        name: name.to_owned(),
        message: error.to_string(),
    }
}

/// The anchor for a heading, as GitHub makes it: lower case, spaces to hyphens, punctuation dropped.
fn slug(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}
