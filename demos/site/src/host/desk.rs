//! The desk that plugins turn to: what the host answers while it waits for a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::library::{Library, Page};
use super::links::{self, Destination};
use super::pictures::PicturePlan;
use super::theme::Theme;
use crate::plugins::markdown::{LinkAnswer, LinkQuery, PictureSet, SiteHost};

/// Answers from the sources of one build. Holds nothing that a question changes, so a question that
/// is asked again, because the plugin that asked it died, gets the same answer.
#[derive(Clone)]
pub(crate) struct Desk {
    library: Arc<Library>,
    theme: Arc<Theme>,
    plans: Arc<BTreeMap<String, PicturePlan>>,
}

impl Desk {
    /// A desk for one build.
    pub(crate) fn new(
        library: Arc<Library>,
        theme: Arc<Theme>,
        plans: Arc<BTreeMap<String, PicturePlan>>,
    ) -> Self {
        Self {
            library,
            theme,
            plans,
        }
    }

    fn answer(&self, page: &Page, query: &LinkQuery) -> LinkAnswer {
        match links::follow(&self.library, page, &query.target) {
            Destination::External => LinkAnswer::External,
            Destination::Unpublished => LinkAnswer::Unpublished,
            Destination::Broken(reason) => LinkAnswer::Broken { reason },
            Destination::Asset(key) => LinkAnswer::File {
                href: links::relative(&page.url, &key),
            },
            Destination::Page { .. } if query.image => LinkAnswer::Broken {
                reason: "a page cannot be shown as a picture".to_owned(),
            },
            Destination::Page { key, fragment } => {
                let anchor = fragment.map_or_else(String::new, |anchor| format!("#{anchor}"));
                let href = match self.library.page(&key) {
                    // Within the page the anchor alone is the shortest way.
                    Some(found) if found.url == page.url && !anchor.is_empty() => anchor,
                    Some(found) => links::relative(&page.url, &found.url) + &anchor,
                    None => anchor,
                };
                LinkAnswer::Page { href, page: key }
            }
            Destination::Picture(key) => match self.plans.get(&key) {
                Some(plan) if query.image => LinkAnswer::Picture(picture_set(page, plan)),
                _ => LinkAnswer::File {
                    href: links::relative(&page.url, &key),
                },
            },
        }
    }
}

impl SiteHost for Desk {
    async fn resolve_links(&self, page: String, links: Vec<LinkQuery>) -> Vec<LinkAnswer> {
        let Some(page) = self.library.page(&page) else {
            let reason = format!("the host knows no page {page}");
            return vec![LinkAnswer::Broken { reason }; links.len()];
        };
        links.iter().map(|query| self.answer(page, query)).collect()
    }

    async fn template(&self, name: String) -> Option<String> {
        self.theme.template(&name).map(str::to_owned)
    }
}

fn picture_set(page: &Page, plan: &PicturePlan) -> PictureSet {
    let mut srcset = String::new();
    for variant in plan
        .smaller
        .iter()
        .map(|variant| (&variant.url, variant.width))
    {
        let _ = write!(
            srcset,
            "{} {}w, ",
            links::relative(&page.url, variant.0),
            variant.1
        );
    }
    let src = links::relative(&page.url, &plan.key);
    let _ = write!(srcset, "{src} {}w", plan.size.width);
    PictureSet {
        src,
        srcset,
        width: plan.size.width,
        height: plan.size.height,
    }
}
