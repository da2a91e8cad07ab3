//! The host: everything that a site builder decides itself.
//!
//! - [`config`], [`front_matter`], [`library`]: the sources.
//! - [`links`], [`theme`]: what a link means, how a page looks.
//! - [`desk`]: the answers to what plugins ask back.
//! - [`plugins`]: the four clients, and the processes behind them.
//! - [`pages`], [`pictures`]: the two pipelines.
//! - [`build`]: one build from sources to output.
//! - [`output`], [`progress`], [`summary`], [`error`]: files, and words to the user.
//! - [`serve`]: building again whenever something changed.
//!
//! It neither parses Markdown nor decodes pictures: that is what plugins are for.

pub(crate) mod build;
pub(crate) mod config;
pub(crate) mod desk;
pub(crate) mod error;
pub(crate) mod front_matter;
pub(crate) mod library;
pub(crate) mod links;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod pictures;
pub(crate) mod plugins;
pub(crate) mod progress;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod theme;
