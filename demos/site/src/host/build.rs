//! One build, from sources to output.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::error::BuildError;
use super::library::Library;
use super::output::Output;
use super::pages;
use super::pictures::{self, PictureCache};
use super::plugins::Plugins;
use super::progress::Progress;
use super::summary::Summary;
use super::theme::{FILES, Theme};

/// Builds a site, once or again and again.
pub(crate) struct Builder {
    content: PathBuf,
    out: PathBuf,
    jobs: usize,
    live: bool,
    plugins: Plugins,
    cache: PictureCache,
}

/// What a build did.
pub(crate) struct Report {
    /// Pages of the site.
    pub(crate) pages: usize,
    /// Pictures of the site, each in several widths.
    pub(crate) pictures: usize,
    /// Files in the output folder.
    pub(crate) files: usize,
    /// Files that were new or had changed.
    pub(crate) written: usize,
    /// Files of the last build that this one has no use for.
    pub(crate) removed: usize,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// What the plugins did.
    pub(crate) summary: Summary,
    /// Folders outside the content folder that pages came from.
    pub(crate) outside: Vec<PathBuf>,
}

impl Builder {
    /// A builder that makes `out` from `content`, with at most `jobs` pages and `jobs` pictures in
    /// the plugins' hands at a time. `live` pages load the script that reloads them.
    pub(crate) fn new(
        content: &Path,
        out: &Path,
        jobs: usize,
        live: bool,
        plugins: Plugins,
    ) -> Self {
        Self {
            content: content.to_owned(),
            out: out.to_owned(),
            jobs: jobs.max(1),
            live,
            plugins,
            cache: PictureCache::default(),
        }
    }

    /// Ends the plugins; see [`Plugins::shutdown`].
    pub(crate) async fn shutdown(&self) {
        self.plugins.shutdown().await;
    }

    /// Builds the site. The output folder is touched only when everything could be made.
    pub(crate) async fn build(&self, progress: &Progress) -> Result<Report, BuildError> {
        let start = Instant::now();
        // A build that failed has measured too; its numbers are not this one's.
        drop(self.plugins.take_summary());
        let library = Arc::new(Library::read(&self.content)?);
        for missing in &library.missing {
            progress.note(&format!("note: {missing} is not there, left out"));
        }
        let theme = Arc::new(Theme::read(&self.content)?);
        let plans = Arc::new(pictures::plan(&library, &self.plugins, self.jobs).await?);
        self.plugins
            .open_desk(Desk::new(library.clone(), theme.clone(), plans.clone()));

        let page_phase = progress.phase("pages", library.pages.len());
        let picture_phase = progress.phase("pictures", plans.len());
        let (contents, picture_files) = tokio::try_join!(
            biased;
            pages::render(&library, &self.plugins, self.jobs, &page_phase),
            pictures::make(
                &library,
                &plans,
                &self.plugins,
                &self.cache,
                self.jobs,
                &picture_phase
            ),
        )?;
        let index = self
            .plugins
            .index(pages::documents(&library, &contents))
            .await
            .map_err(|lost| lost.about("search index"))?
            .map_err(BuildError::Search)?;
        let stylesheet = self
            .plugins
            .highlight_stylesheet()
            .await
            .map_err(|lost| lost.about("style sheet"))?;
        let page_files = pages::lay_out(&library, &contents, &theme, self.live)?;

        let mut output = Output::open(&self.out)?;
        for (name, text) in &page_files {
            output.put(name, text.as_bytes())?;
        }
        for (name, file) in &picture_files {
            output.put(name, file)?;
        }
        for (key, path) in &library.assets {
            let file = std::fs::read(path).map_err(|source| BuildError::Read {
                path: path.clone(),
                source,
            })?;
            output.put(key, &file)?;
        }
        for (name, text) in FILES {
            output.put(name, text.as_bytes())?;
        }
        output.put("theme/highlight.css", stylesheet.as_bytes())?;
        output.put("search.json", &index.json)?;

        Ok(Report {
            pages: library.pages.len(),
            pictures: plans.len(),
            files: output.files(),
            written: output.written,
            removed: output.finish()?,
            elapsed: start.elapsed(),
            summary: self.plugins.take_summary(),
            outside: library.outside.clone(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} pages, {} pictures, {} files ({} written, {} removed) in {:.2} s",
            self.pages,
            self.pictures,
            self.files,
            self.written,
            self.removed,
            self.elapsed.as_secs_f64()
        )
    }
}
