//! Where a link leads.

use std::borrow::Cow;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::library::{Library, Page, Target, normalize};

/// What a URL path must not hold as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

/// Where a link leads, before it is put into the words of the markdown plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Off the site.
    External,
    /// To the page of this key, and an anchor in it.
    Page {
        key: String,
        fragment: Option<String>,
    },
    /// To the picture of this key.
    Picture(String),
    /// To the asset of this key.
    Asset(String),
    /// To a file outside the content that is no part of the site.
    Unpublished,
    /// Nowhere, for this reason.
    Broken(String),
}

/// Follows `target` as it stands on `page`.
pub(crate) fn follow(library: &Library, page: &Page, target: &str) -> Destination {
    if target.starts_with("//") || has_scheme(target) {
        return Destination::External;
    }
    let (path, fragment) = match target.split_once('#') {
        Some((path, fragment)) => (path, Some(fragment.to_owned())),
        None => (target, None),
    };
    if path.is_empty() {
        return match fragment {
            Some(_) => Destination::Page {
                key: page.key.clone(),
                fragment,
            },
            None => Destination::Broken("the link is empty".to_owned()),
        };
    }
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return Destination::Broken("the path is not UTF-8".to_owned());
    };
    let folder = page.origin.parent().unwrap_or(Path::new("/"));
    let file = match path.strip_prefix('/') {
        Some(from_root) => normalize(&library.content.join(from_root)),
        None => normalize(&folder.join(&*path)),
    };
    let found = library
        .target(&file)
        .or_else(|| library.target(&file.join("index.md")));
    match found {
        Some(Target::Page(index)) => Destination::Page {
            key: library.pages[*index].key.clone(),
            fragment,
        },
        Some(Target::Picture(key)) => Destination::Picture(key.clone()),
        Some(Target::Asset(key)) => Destination::Asset(key.clone()),
        Some(Target::Draft) => Destination::Broken("that page is a draft".to_owned()),
        None if !file.starts_with(&library.content) && file.exists() => Destination::Unpublished,
        None => Destination::Broken(missing(library, &file)),
    }
}

/// The URL of `to` (relative to the root of the site) as seen from the page at `from`.
pub(crate) fn relative(from: &str, to: &str) -> String {
    format!("{}{}", root_from(from), encode(to))
}

/// The way from the page at `url` up to the root of the site: nothing, `../`, `../../` …
pub(crate) fn root_from(url: &str) -> String {
    "../".repeat(url.matches('/').count())
}

/// Escapes what a URL path must not hold.
pub(crate) fn encode(path: &str) -> Cow<'_, str> {
    utf8_percent_encode(path, PATH).into()
}

/// Whether `target` starts with a URL scheme such as `https:`.
fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// Says that `file` is not there, and which page the author may have meant.
fn missing(library: &Library, file: &Path) -> String {
    let shown = file
        .strip_prefix(&library.content)
        .unwrap_or(file)
        .display();
    let similar = library
        .pages
        .iter()
        .find(|page| page.origin.file_stem() == file.file_stem())
        .map(|page| format!("; there is {}", page.key));
    format!("no such file: {shown}{}", similar.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> (tempfile::TempDir, Library) {
        let folder = tempfile::tempdir().unwrap();
        let content = folder.path().join("content");
        let write = |name: &str, text: &str| {
            let path = content.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "site.toml",
            "title = 'T'\nextra = [{folder = 'about', files = ['../README.md']}]\n",
        );
        write("index.md", "+++\ntitle = 'Home'\n+++\n");
        write("guide/index.md", "+++\ntitle = 'Guide'\n+++\n");
        write("guide/a b.md", "+++\ntitle = 'A'\n+++\n");
        write("guide/p.png", "");
        write("held.md", "+++\ntitle = 'H'\ndraft = true\n+++\n");
        write("../README.md", "# Read me\n");
        write("../LICENSE", "");
        write("data.csv", "");
        let library = Library::read(&content).unwrap();
        (folder, library)
    }

    #[test]
    fn links_are_followed_from_the_file_they_stand_in() {
        let (_folder, library) = library();
        let page = |key: &str, fragment: Option<&str>| Destination::Page {
            key: key.to_owned(),
            fragment: fragment.map(str::to_owned),
        };
        for (from, target, expected) in [
            (
                "index.md",
                "guide/a%20b.md#x",
                page("guide/a b.md", Some("x")),
            ),
            ("guide/a b.md", "../index.md", page("index.md", None)),
            ("guide/a b.md", "/index.md", page("index.md", None)),
            ("guide/a b.md", "#here", page("guide/a b.md", Some("here"))),
            ("index.md", "guide/", page("guide/index.md", None)),
            (
                "guide/index.md",
                "p.png",
                Destination::Picture("guide/p.png".into()),
            ),
            (
                "index.md",
                "./data.csv",
                Destination::Asset("data.csv".into()),
            ),
            (
                "index.md",
                "https://example.org/a.md",
                Destination::External,
            ),
            ("index.md", "mailto:a@example.org", Destination::External),
            ("index.md", "../README.md", page("about/readme.md", None)),
            (
                "about/readme.md",
                "content/guide/a b.md",
                page("guide/a b.md", None),
            ),
            ("about/readme.md", "LICENSE", Destination::Unpublished),
        ] {
            let from = library.page(from).unwrap();
            assert_eq!(
                follow(&library, from, target),
                expected,
                "{} -> {target}",
                from.key
            );
        }
    }

    #[test]
    fn broken_links_say_what_is_wrong() {
        let (_folder, library) = library();
        let home = library.page("index.md").unwrap();
        for (target, reason) in [
            ("guide/nothing.md", "no such file: guide/nothing.md"),
            ("a b.md", "there is guide/a b.md"),
            ("held.md", "draft"),
            ("", "empty"),
            ("../NOTICE", "no such file"),
        ] {
            match follow(&library, home, target) {
                Destination::Broken(text) => assert!(text.contains(reason), "{target}: {text}"),
                other => panic!("{target}: {other:?}"),
            }
        }
    }

    #[test]
    fn urls_are_relative_and_escaped() {
        assert_eq!(relative("index.html", "guide/a b.html"), "guide/a%20b.html");
        assert_eq!(relative("guide/deep/x.html", "p.png"), "../../p.png");
    }
}
