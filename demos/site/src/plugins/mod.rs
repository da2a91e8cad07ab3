//! The four plugins: what each of them is asked, and how it answers.
//!
//! - [`markdown`]: Markdown to HTML; asks its host back about links and templates.
//! - [`highlight`]: source code to HTML with classes.
//! - [`images`]: image files to pixels, pixels to smaller pixels, pixels to image files.
//! - [`search`]: documents to the index that the search box reads.
//!
//! A plugin knows neither the file system nor the other plugins: all it needs comes in its
//! arguments or through [`markdown::SiteHost`]. Every method answers the same bytes for the same
//! arguments, so that a call may be repeated when a plugin died in the middle of it.

pub(crate) mod highlight;
pub(crate) mod images;
pub(crate) mod markdown;
pub(crate) mod search;
