//! Why a build failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rapace::plugin::PluginError;
use rapace::{CallError, SessionEnd};

use crate::plugins::Name;
use crate::plugins::images::ImageError;
use crate::plugins::markdown::RenderError;
use crate::plugins::search::SearchError;

/// Why a build failed. Nothing is written to the output folder unless every page could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// A source could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The output could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration is wrong.
    #[error("{}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The author has something to put right; each fault names its place.
    #[error("{}", Faults(.0))]
    Content(Vec<Fault>),
    /// A page could not be rendered for a reason that is not the author's.
    #[error("{page}: {source}")]
    Render {
        /// The page.
        page: String,
        /// What the plugin says.
        source: RenderError,
    },
    /// A picture was refused by the images plugin.
    #[error("{picture}: {source}")]
    Picture {
        /// The picture.
        picture: String,
        /// What the plugin says.
        source: ImageError,
    },
    /// The search plugin made no index.
    #[error("search index: {0}")]
    Search(SearchError),
    /// A plugin did not start.
    #[error("{0}")]
    Start(#[from] PluginError),
    /// A session inside this process did not start.
    #[error("cannot connect a plugin: {0}")]
    Connect(#[from] rapace::BuildError),
    /// A session inside this process ended before it was ready.
    #[error("cannot connect a plugin: {0}")]
    NotReady(#[from] SessionEnd),
    /// A plugin gave no answer, however often it was asked.
    #[error("{subject}: plugin {plugin}: {source}")]
    Unanswered {
        /// The page, picture or other thing that the answer was needed for.
        subject: String,
        /// Which plugin.
        plugin: Name,
        /// What became of the last call.
        source: Box<CallError>,
    },
    /// A template of the theme is wrong.
    #[error("template {name}: {message}")]
    Template {
        /// Which template.
        name: String,
        /// What the template engine says.
        message: String,
    },
}

/// Something that the author of the content has to put right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// The file as the user named it.
    pub(crate) file: String,
    /// The line, counted from 1.
    pub(crate) line: u32,
    /// What is wrong, lower case.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

struct Faults<'a>(&'a [Fault]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{fault}")?;
        }
        Ok(())
    }
}
