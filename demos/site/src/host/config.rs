//! `site.toml`: what the owner of the content decides.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::BuildError;

/// The file beside the content that holds the configuration.
pub(crate) const CONFIG_FILE: &str = "site.toml";

/// The configuration of a site.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the site.
    pub(crate) title: String,
    /// A sentence about it, for search engines.
    #[serde(default)]
    pub(crate) description: String,
    /// The language of the pages, as HTML's `lang` takes it.
    #[serde(default = "english")]
    pub(crate) language: String,
    /// Widths in pixels that pictures are offered in, beside their own.
    #[serde(default = "usual_widths")]
    pub(crate) picture_widths: Vec<u32>,
    /// Quality of the smaller JPEG files, 1 to 100.
    #[serde(default = "usual_quality")]
    pub(crate) jpeg_quality: u8,
    /// The parts of the site in the order of the sidebar.
    #[serde(default, rename = "section")]
    pub(crate) sections: Vec<Section>,
    /// Markdown files from outside the content folder.
    #[serde(default)]
    pub(crate) extra: Vec<Extra>,
}

/// A part of the site.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    /// The folder below the content folder; empty for the root.
    pub(crate) folder: String,
    /// What the sidebar calls it.
    pub(crate) title: String,
}

/// Files from outside the content folder that appear as pages.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extra {
    /// The folder of the site that they appear in.
    pub(crate) folder: String,
    /// Paths relative to the content folder. A last part of `*.md` takes all Markdown files there.
    pub(crate) files: Vec<String>,
}

impl Config {
    /// Reads the configuration of the content folder.
    pub(crate) fn read(content: &Path) -> Result<Self, BuildError> {
        let path = content.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| BuildError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: PathBuf) -> Result<Self, BuildError> {
        let config: Self = toml::from_str(text).map_err(|error| BuildError::Config {
            path: path.clone(),
            message: error.to_string(),
        })?;
        let refuse = |message: &str| {
            Err(BuildError::Config {
                path,
                message: message.to_owned(),
            })
        };
        if config.picture_widths.contains(&0) {
            return refuse("picture_widths: a width of 0 pixels");
        }
        if !(1..=100).contains(&config.jpeg_quality) {
            return refuse("jpeg_quality: not between 1 and 100");
        }
        Ok(config)
    }
}

fn english() -> String {
    "en".to_owned()
}

fn usual_widths() -> Vec<u32> {
    vec![480, 960]
}

const fn usual_quality() -> u8 {
    78
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_senseless_numbers_are_refused() {
        for (text, fault) in [
            ("title = 'x'\ntitel = 'y'", "titel"),
            ("title = 'x'\npicture_widths = [0]", "picture_widths"),
            ("title = 'x'\njpeg_quality = 0", "jpeg_quality"),
            ("", "title"),
        ] {
            let error = Config::parse(text, "site.toml".into())
                .unwrap_err()
                .to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
