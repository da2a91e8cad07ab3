//! Pictures: what is to be made of each, and the making of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::config::Config;
use super::error::BuildError;
use super::library::Library;
use super::plugins::Plugins;
use super::progress::Phase;
use crate::plugins::images::{Dimensions, Format, ImageError};

/// What a picture is turned into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PicturePlan {
    /// The key of the picture, which is also where its full size goes.
    pub(crate) key: String,
    /// Its full size.
    pub(crate) size: Dimensions,
    /// The smaller ones, from the smallest.
    pub(crate) smaller: Vec<Variant>,
    format: Format,
}

/// A picture in one of its smaller widths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Width in pixels.
    pub(crate) width: u32,
    /// Where it goes, relative to the root of the site.
    pub(crate) url: String,
}

/// Smaller pictures of the last build, by what they were made from.
///
/// Only what the last build used is kept, so it is bounded by the size of the site.
#[derive(Default)]
pub(crate) struct PictureCache(Mutex<BTreeMap<Recipe, Bytes>>);

/// All that decides the bytes of a smaller picture: the hash of its file, its width, its format.
type Recipe = ([u8; 32], u32, u8);

/// Asks for the size of every picture and plans its widths. Results by key.
pub(crate) async fn plan(
    library: &Library,
    plugins: &Plugins,
    jobs: usize,
) -> Result<BTreeMap<String, PicturePlan>, BuildError> {
    stream::iter(&library.pictures)
        .map(|(key, path)| async move {
            let size = plugins
                .probe(read(path).await?)
                .await
                .map_err(|lost| lost.about(path.display()))?
                .map_err(|source| picture_error(path, source))?;
            Ok((key.clone(), plan_widths(&library.config, key, size)))
        })
        .buffer_unordered(jobs)
        .try_collect()
        .await
}

/// Makes every picture; gives the files by where they go, and ticks `phase` once per picture.
pub(crate) async fn make(
    library: &Library,
    plans: &BTreeMap<String, PicturePlan>,
    plugins: &Plugins,
    cache: &PictureCache,
    jobs: usize,
    phase: &Phase,
) -> Result<Vec<(String, Bytes)>, BuildError> {
    let old = cache
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let made: Vec<Vec<(String, Recipe, Bytes)>> = stream::iter(plans.values())
        .map(|plan| {
            let old = &old;
            async move {
                let files = make_one(&library.pictures[&plan.key], plan, plugins, old).await?;
                phase.tick(&plan.key);
                Ok::<_, BuildError>(files)
            }
        })
        .buffer_unordered(jobs)
        .try_collect()
        .await?;
    let made: Vec<_> = made.into_iter().flatten().collect();
    *cache.0.lock().unwrap_or_else(PoisonError::into_inner) = made
        .iter()
        .map(|(_, recipe, file)| (*recipe, file.clone()))
        .collect();
    Ok(made.into_iter().map(|(url, _, file)| (url, file)).collect())
}

async fn make_one(
    path: &Path,
    plan: &PicturePlan,
    plugins: &Plugins,
    old: &BTreeMap<Recipe, Bytes>,
) -> Result<Vec<(String, Recipe, Bytes)>, BuildError> {
    let file = read(path).await?;
    let hash = *blake3::hash(&file).as_bytes();
    let format_tag = match plan.format {
        Format::Jpeg { quality } => quality,
        Format::Png => 0,
    };
    // The full size is the author's file as it is; a width of 0 stands for it.
    let mut files = vec![(plan.key.clone(), (hash, 0, format_tag), file.clone())];
    let mut decoded = None;
    for variant in &plan.smaller {
        let recipe = (hash, variant.width, format_tag);
        let smaller = match old.get(&recipe) {
            Some(smaller) => smaller.clone(),
            None => {
                let pixels = match &decoded {
                    Some(pixels) => pixels,
                    None => decoded.insert(
                        plugins
                            .decode(file.clone())
                            .await
                            .map_err(|lost| lost.about(path.display()))?
                            .map_err(|source| picture_error(path, source))?,
                    ),
                };
                let scaled = plugins
                    .scale(pixels.clone(), variant.width)
                    .await
                    .map_err(|lost| lost.about(path.display()))?
                    .map_err(|source| picture_error(path, source))?;
                plugins
                    .encode(scaled, plan.format)
                    .await
                    .map_err(|lost| lost.about(path.display()))?
                    .map_err(|source| picture_error(path, source))?
            }
        };
        files.push((variant.url.clone(), recipe, smaller));
    }
    Ok(files)
}

fn plan_widths(config: &Config, key: &str, size: Dimensions) -> PicturePlan {
    let (stem, extension) = key.rsplit_once('.').unwrap_or((key, "png"));
    let format = if extension == "png" {
        Format::Png
    } else {
        Format::Jpeg {
            quality: config.jpeg_quality,
        }
    };
    let mut widths = config.picture_widths.clone();
    widths.sort_unstable();
    widths.dedup();
    widths.retain(|width| *width < size.width);
    let smaller = widths
        .into_iter()
        .map(|width| Variant {
            width,
            url: format!("{stem}-{width}w.{extension}"),
        })
        .collect();
    PicturePlan {
        key: key.to_owned(),
        size,
        smaller,
        format,
    }
}

async fn read(path: &Path) -> Result<Bytes, BuildError> {
    match tokio::fs::read(path).await {
        Ok(file) => Ok(file.into()),
        Err(source) => Err(BuildError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn picture_error(path: &Path, source: ImageError) -> BuildError {
    BuildError::Picture {
        picture: path.display().to_string(),
        source,
    }
}
