//! Everything that a site is made from, read from disk once per build.
//!
//! A page is known by its *key*: its path below the content folder with `/` between the parts. Pages
//! from outside that folder get the key that they would have in the folder where they appear.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::config::{Config, Extra};
use super::error::{BuildError, Fault};
use super::front_matter;

/// The folder below the content that may hold templates of its owner's; no part of the site.
pub(crate) const TEMPLATE_FOLDER: &str = "_templates";

/// All sources of a site.
pub(crate) struct Library {
    /// What the owner decided.
    pub(crate) config: Config,
    /// The content folder, absolute.
    pub(crate) content: PathBuf,
    /// The pages in the order of the sidebar.
    pub(crate) pages: Vec<Page>,
    /// Pictures by key.
    pub(crate) pictures: BTreeMap<String, PathBuf>,
    /// Other files, copied as they are, by key.
    pub(crate) assets: BTreeMap<String, PathBuf>,
    /// Files that the configuration names and that are not there.
    pub(crate) missing: Vec<String>,
    /// Folders outside the content folder that pages come from.
    pub(crate) outside: Vec<PathBuf>,
    targets: BTreeMap<PathBuf, Target>,
    by_key: BTreeMap<String, usize>,
}

/// A page before rendering.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The key.
    pub(crate) key: String,
    /// The file, absolute and without `..`.
    pub(crate) origin: PathBuf,
    /// The file as the user would name it.
    pub(crate) shown: String,
    /// Where the page will be, relative to the root of the site.
    pub(crate) url: String,
    /// The folder of the section that it belongs to.
    pub(crate) section: String,
    /// Its title.
    pub(crate) title: String,
    /// A sentence about it; may be empty.
    pub(crate) summary: String,
    /// Where it stands in its section.
    pub(crate) order: i32,
    /// The line that the body starts on.
    pub(crate) first_line: u32,
    /// The Markdown text.
    pub(crate) body: String,
}

/// What a source file becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The page of this index.
    Page(usize),
    /// The picture of this key.
    Picture(String),
    /// The asset of this key.
    Asset(String),
    /// A page that its author holds back.
    Draft,
}

impl Library {
    /// Reads the content folder and the files from outside that its configuration names.
    pub(crate) fn read(content: &Path) -> Result<Self, BuildError> {
        let config = Config::read(content)?;
        let root = std::path::absolute(content).map_err(|source| BuildError::Read {
            path: content.to_owned(),
            source,
        })?;
        let mut library = Self {
            config,
            content: normalize(&root),
            pages: Vec::new(),
            pictures: BTreeMap::new(),
            assets: BTreeMap::new(),
            missing: Vec::new(),
            outside: Vec::new(),
            targets: BTreeMap::new(),
            by_key: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        library.read_folder(content, "", &mut faults)?;
        for extra in library.config.extra.clone() {
            library.read_extra(content, &extra, &mut faults)?;
        }
        if !faults.is_empty() {
            return Err(BuildError::Content(faults));
        }
        library.arrange();
        Ok(library)
    }

    /// The page of that key.
    pub(crate) fn page(&self, key: &str) -> Option<&Page> {
        self.by_key.get(key).map(|index| &self.pages[*index])
    }

    /// What the file at `path` (absolute, without `..`) becomes.
    pub(crate) fn target(&self, path: &Path) -> Option<&Target> {
        self.targets.get(path)
    }

    fn read_folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        faults: &mut Vec<Fault>,
    ) -> Result<(), BuildError> {
        for path in list(folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                faults.push(Fault {
                    file: path.display().to_string(),
                    line: 1,
                    message: "the file name is not UTF-8".to_owned(),
                });
                continue;
            };
            if name.starts_with('.') || (prefix.is_empty() && is_reserved(name)) {
                continue;
            }
            let key = format!("{prefix}{name}");
            if path.is_dir() {
                self.read_folder(&path, &format!("{key}/"), faults)?;
                continue;
            }
            let origin = self.origin(&key);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("md") => self.read_page(&path, &key, origin, faults)?,
                Some("jpg" | "jpeg" | "png") => {
                    self.targets.insert(origin, Target::Picture(key.clone()));
                    self.pictures.insert(key, path);
                }
                _ => {
                    self.targets.insert(origin, Target::Asset(key.clone()));
                    self.assets.insert(key, path);
                }
            }
        }
        Ok(())
    }

    fn read_page(
        &mut self,
        path: &Path,
        key: &str,
        origin: PathBuf,
        faults: &mut Vec<Fault>,
    ) -> Result<(), BuildError> {
        let text = read_text(path)?;
        let shown = path.display().to_string();
        match front_matter::split(&text) {
            Ok(page) if page.front.draft => {
                self.targets.insert(origin, Target::Draft);
            }
            Ok(page) => self.pages.push(Page {
                key: key.to_owned(),
                origin,
                shown,
                url: page_url(key),
                section: section_of(key),
                title: page.front.title,
                summary: page.front.summary,
                order: page.front.order,
                first_line: page.first_line,
                body: page.body.to_owned(),
            }),
            Err(error) => {
                faults.push(Fault {
                    file: shown,
                    line: error.line,
                    message: error.message,
                });
            }
        }
        Ok(())
    }

    fn read_extra(
        &mut self,
        content: &Path,
        extra: &Extra,
        faults: &mut Vec<Fault>,
    ) -> Result<(), BuildError> {
        for named in &extra.files {
            let path = content.join(named);
            let files = match named.strip_suffix("*.md") {
                Some(_) => {
                    let folder = path.parent().unwrap_or(content).to_owned();
                    if folder.is_dir() {
                        let is_markdown =
                            |file: &PathBuf| file.extension().is_some_and(|end| end == "md");
                        list(&folder)?.into_iter().filter(is_markdown).collect()
                    } else {
                        Vec::new()
                    }
                }
                None if path.is_file() => vec![path],
                None => Vec::new(),
            };
            if files.is_empty() {
                self.missing.push(named.clone());
            }
            for file in files {
                self.read_outside_page(&file, &extra.folder, faults)?;
            }
        }
        Ok(())
    }

    /// A page from outside has no front matter: its first heading is its title.
    fn read_outside_page(
        &mut self,
        file: &Path,
        folder: &str,
        faults: &mut Vec<Fault>,
    ) -> Result<(), BuildError> {
        let text = read_text(file)?;
        let shown = normalize(file).display().to_string();
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let key = format!("{folder}/{stem}.md");
        if self.pages.iter().any(|page| page.key == key) {
            let message = format!("there is another page for {key}");
            faults.push(Fault {
                file: shown,
                line: 1,
                message,
            });
            return Ok(());
        }
        let heading = text.lines().position(|line| line.starts_with("# "));
        let (title, first_line, body) = match heading {
            Some(index) => {
                let title = text.lines().nth(index).unwrap_or_default()[2..]
                    .trim()
                    .to_owned();
                let rest: Vec<&str> = text.lines().skip(index + 1).collect();
                (
                    title.replace('`', ""),
                    index as u32 + 2,
                    rest.join("\n") + "\n",
                )
            }
            None => (stem, 1, text),
        };
        let origin = std::path::absolute(file)
            .map(|path| normalize(&path))
            .map_err(|source| BuildError::Read {
                path: file.to_owned(),
                source,
            })?;
        self.outside.extend(origin.parent().map(Path::to_owned));
        self.pages.push(Page {
            url: page_url(&key),
            section: folder.to_owned(),
            key,
            origin,
            shown,
            title,
            summary: String::new(),
            order: 0,
            first_line,
            body,
        });
        Ok(())
    }

    /// Puts the pages in order and fills the tables that look them up.
    fn arrange(&mut self) {
        let rank = |folder: &str| {
            let listed = self
                .config
                .sections
                .iter()
                .position(|section| section.folder == folder);
            listed.unwrap_or(self.config.sections.len())
        };
        self.pages.sort_by_cached_key(|page| {
            let index = page.url.ends_with("index.html");
            let section = page.section.clone();
            (
                rank(&section),
                section,
                !index,
                page.order,
                page.title.clone(),
                page.key.clone(),
            )
        });
        for (index, page) in self.pages.iter().enumerate() {
            self.targets
                .insert(page.origin.clone(), Target::Page(index));
            self.by_key.insert(page.key.clone(), index);
        }
        self.outside.sort();
        self.outside.dedup();
    }

    fn origin(&self, key: &str) -> PathBuf {
        self.content.join(key.split('/').collect::<PathBuf>())
    }
}

/// Removes `.` and `..` by their names alone, without asking the file system.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(parts.components().next_back(), Some(Component::Normal(_))) =>
            {
                parts.pop();
            }
            // There is nothing above the root.
            Component::ParentDir if parts.has_root() => {}
            other => parts.push(other),
        }
    }
    parts
}

fn is_reserved(name: &str) -> bool {
    name == super::config::CONFIG_FILE || name == TEMPLATE_FOLDER
}

fn page_url(key: &str) -> String {
    format!("{}.html", key.strip_suffix(".md").unwrap_or(key))
}

fn section_of(key: &str) -> String {
    key.split_once('/')
        .map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// The entries of a folder in order of their names.
fn list(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let failed = |source| BuildError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read_text(path: &Path) -> Result<String, BuildError> {
    std::fs::read_to_string(path).map_err(|source| BuildError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_by_name() {
        for (path, expected) in [
            ("/a/./b/../c", "/a/c"),
            ("../x/../y", "../y"),
            ("/../a", "/a"),
            ("a/..", ""),
        ] {
            assert_eq!(normalize(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn pages_stand_in_the_order_of_their_sections_and_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "site.toml",
            "title = 'T'\nsection = [{folder = 'b', title = 'B'}, {folder = 'a', title = 'A'}]\n\
             extra = [{folder = 'more', files = ['../absent.md']}]\n",
        );
        write("a/one.md", "+++\ntitle = 'One'\n+++\n");
        write("b/late.md", "+++\ntitle = 'Late'\norder = 2\n+++\n");
        write("b/early.md", "+++\ntitle = 'Zearly'\norder = 1\n+++\n");
        write("b/index.md", "+++\ntitle = 'Z'\norder = 9\n+++\n");
        write("b/held.md", "+++\ntitle = 'H'\ndraft = true\n+++\n");
        write("_templates/x.html", "");
        let library = Library::read(folder.path()).unwrap();
        let keys: Vec<_> = library.pages.iter().map(|page| page.key.as_str()).collect();
        assert_eq!(keys, ["b/index.md", "b/early.md", "b/late.md", "a/one.md"]);
        assert_eq!(library.missing, ["../absent.md"]);
        assert!(library.assets.is_empty());
    }
}
