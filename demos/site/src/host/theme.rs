//! The look of the site: templates, style sheet and scripts, built into the program.
//!
//! A template of the same name in the `_templates` folder of the content takes the place of ours.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::Environment;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::error::BuildError;
use super::library::TEMPLATE_FOLDER;
use crate::markup;

/// The template of a whole page.
const PAGE_TEMPLATE: &str = "page.html";

/// Templates by name.
const TEMPLATES: &[(&str, &str)] = &[
    (PAGE_TEMPLATE, include_str!("../../theme/page.html")),
    ("heading.html", include_str!("../../theme/heading.html")),
    ("picture.html", include_str!("../../theme/picture.html")),
];

/// Files that every site gets, by where they go.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("theme/style.css", include_str!("../../theme/style.css")),
    ("theme/search.js", include_str!("../../theme/search.js")),
    ("theme/sidebar.js", include_str!("../../theme/sidebar.js")),
];

/// The script that reloads a page when the site was built again; only `serve` hands it out.
pub(crate) const LIVE_SCRIPT: &str = include_str!("../../theme/live.js");

/// The templates of a site.
pub(crate) struct Theme {
    texts: BTreeMap<String, String>,
    environment: Environment<'static>,
}

/// What the page template is given.
#[derive(Serialize)]
pub(crate) struct PageContext<'a> {
    /// Name of the site.
    pub(crate) site_title: &'a str,
    /// Language of the page.
    pub(crate) language: &'a str,
    /// Title of the page.
    pub(crate) title: &'a str,
    /// A sentence about it.
    pub(crate) summary: &'a str,
    /// The way to the root of the site.
    pub(crate) root: &'a str,
    /// The finished content.
    pub(crate) content: &'a str,
    /// The sidebar.
    pub(crate) sections: &'a [NavSection<'a>],
    /// This page, for the sidebar to mark.
    pub(crate) url: &'a str,
    /// The headings for the table of contents.
    pub(crate) headings: &'a [NavHeading<'a>],
    /// The page before in reading order.
    pub(crate) previous: Option<NavPage<'a>>,
    /// The page after.
    pub(crate) next: Option<NavPage<'a>>,
    /// Whether to load the script that reloads.
    pub(crate) live: bool,
}

/// A part of the sidebar.
#[derive(Serialize)]
pub(crate) struct NavSection<'a> {
    /// Its title; empty for pages at the root.
    pub(crate) title: &'a str,
    /// Its pages.
    pub(crate) pages: Vec<NavPage<'a>>,
}

/// A page in the sidebar.
#[derive(Serialize, Clone, Copy)]
pub(crate) struct NavPage<'a> {
    /// Its title.
    pub(crate) title: &'a str,
    /// Where it is, relative to the root of the site.
    pub(crate) url: &'a str,
}

/// An entry of the table of contents.
#[derive(Serialize)]
pub(crate) struct NavHeading<'a> {
    /// 2 or 3.
    pub(crate) level: u8,
    /// The anchor.
    pub(crate) id: &'a str,
    /// The text.
    pub(crate) text: &'a str,
}

impl Theme {
    /// Our templates, and those of the content folder in their place.
    pub(crate) fn read(content: &Path) -> Result<Self, BuildError> {
        let mut texts: BTreeMap<String, String> = TEMPLATES
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect();
        for (name, text) in &mut texts {
            let path = content.join(TEMPLATE_FOLDER).join(name);
            if path.is_file() {
                *text = std::fs::read_to_string(&path)
                    .map_err(|source| BuildError::Read { path, source })?;
            }
        }
        let mut environment = markup::environment();
        environment
            .add_template_owned(PAGE_TEMPLATE, texts[PAGE_TEMPLATE].clone())
            .map_err(|error| template_error(&error))?;
        Ok(Self { texts, environment })
    }

    /// The text of the template of that name.
    pub(crate) fn template(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Fills the template of a whole page.
    pub(crate) fn page(&self, context: &PageContext<'_>) -> Result<String, BuildError> {
        self.environment
            .get_template(PAGE_TEMPLATE)
            .and_then(|template| template.render(Value::from(Serde(context))))
            .map_err(|error| template_error(&error))
    }
}

fn template_error(error: &minijinja::Error) -> BuildError {
    BuildError::Template {
        name: PAGE_TEMPLATE.to_owned(),
        message: error.to_string(),
    }
}
