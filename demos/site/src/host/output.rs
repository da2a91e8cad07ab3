//! The output folder: only what changed is written, each file at once or not at all.
//!
//! A list of the files that the last build made stays in the folder. What stands on that list and
//! was not made again is removed; files that somebody else put there are left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::error::BuildError;

/// The file that lists what the last build made.
const MANIFEST: &str = ".site-files";

/// An output folder during a build.
pub(crate) struct Output {
    folder: PathBuf,
    made: BTreeSet<String>,
    /// Files that were new or had changed.
    pub(crate) written: usize,
}

impl Output {
    /// Opens the folder and creates it when it is missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, BuildError> {
        fs::create_dir_all(folder).map_err(|source| BuildError::Write {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            made: BTreeSet::new(),
            written: 0,
        })
    }

    /// Files of this build so far.
    pub(crate) fn files(&self) -> usize {
        self.made.len()
    }

    /// Puts a file at `name`, relative to the folder, unless it is there already with that content.
    pub(crate) fn put(&mut self, name: &str, content: &[u8]) -> Result<(), BuildError> {
        self.made.insert(name.to_owned());
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|old| old == content) {
            return Ok(());
        }
        self.written += 1;
        replace(&path, content).map_err(|source| BuildError::Write { path, source })
    }

    /// Removes what the last build made and this one did not, and updates the list.
    pub(crate) fn finish(self) -> Result<usize, BuildError> {
        let manifest = self.folder.join(MANIFEST);
        let before = fs::read_to_string(&manifest).unwrap_or_default();
        let mut removed = 0;
        for name in before.lines().filter(|name| !self.made.contains(*name)) {
            // The list is a file that anyone may have edited: never leave the folder.
            let inside = Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if inside && !name.is_empty() && fs::remove_file(self.folder.join(name)).is_ok() {
                removed += 1;
                self.remove_empty_folders(name);
            }
        }
        let list: String = self
            .made
            .iter()
            .flat_map(|name| [name.as_str(), "\n"])
            .collect();
        if before != list {
            replace(&manifest, list.as_bytes()).map_err(|source| BuildError::Write {
                path: manifest,
                source,
            })?;
        }
        Ok(removed)
    }

    /// Removes the folders above a removed file as far as they are empty.
    fn remove_empty_folders(&self, name: &str) {
        let mut folder = Path::new(name).parent();
        while let Some(path) = folder.filter(|path| !path.as_os_str().is_empty()) {
            if fs::remove_dir(self.folder.join(path)).is_err() {
                return;
            }
            folder = path.parent();
        }
    }
}

/// Writes beside the file and renames over it, so that nobody sees half of it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".site-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private by default, and a web server runs as somebody else. The umask
        // still applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(folder: &Path, files: &[(&str, &str)]) -> (usize, usize) {
        let mut output = Output::open(folder).unwrap();
        for (name, content) in files {
            output.put(name, content.as_bytes()).unwrap();
        }
        let written = output.written;
        (written, output.finish().unwrap())
    }

    #[test]
    fn only_changes_are_written_and_only_our_own_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        assert_eq!(build(out, &[("a.html", "1"), ("deep/b.html", "2")]), (2, 0));
        fs::write(out.join("theirs.txt"), "x").unwrap();
        assert_eq!(build(out, &[("a.html", "1"), ("deep/b.html", "3")]), (1, 0));
        assert_eq!(build(out, &[("a.html", "1")]), (0, 1));
        assert!(!out.join("deep").exists());
        assert!(out.join("theirs.txt").exists());
    }

    #[test]
    fn an_edited_list_removes_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let outside = folder.path().join("precious");
        fs::write(&outside, "x").unwrap();
        build(&out, &[("a.html", "1")]);
        fs::write(
            out.join(MANIFEST),
            format!("../precious\n{}\n", outside.display()),
        )
        .unwrap();
        assert_eq!(build(&out, &[("a.html", "1")]), (0, 0));
        assert!(outside.exists());
    }
}
