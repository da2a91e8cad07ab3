//! The program as a user runs it, on a small site.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::{stderr, tree, write};
use tempfile::TempDir;

fn site(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_site"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// A folder with a small site in `content`.
fn small_site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "content/site.toml",
        "title = 'Small'\npicture_widths = [16, 32, 4000]\n",
    );
    write(
        folder.path(),
        "content/index.md",
        "+++\ntitle = 'Home'\n+++\n\nSee [a](guide/a.md#part-two).\n\n![Dots](guide/dots.png)\n",
    );
    write(
        folder.path(),
        "content/guide/a.md",
        "+++\ntitle = 'A'\nsummary = 'About <a>'\n+++\n\n## Part two\n\n```rust\nfn a() {}\n```\n",
    );
    write(
        folder.path(),
        "content/guide/b.md",
        "+++\ntitle = 'B'\n+++\n\n[home](../index.md)\n",
    );
    let dots = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8, y as u8, 7]));
    dots.save(folder.path().join("content/guide/dots.png"))
        .unwrap();
    folder
}

#[test]
fn two_builds_are_the_same_byte_for_byte() {
    let folder = small_site();
    for (out, jobs) in [("one", "1"), ("two", "8")] {
        let built = site(
            folder.path(),
            &["build", "content", "--out", out, "--jobs", jobs],
        );
        assert!(built.status.success(), "{}", stderr(&built));
    }
    let (one, two) = (
        tree(&folder.path().join("one")),
        tree(&folder.path().join("two")),
    );
    assert!(one.contains_key("index.html") && one.contains_key("guide/dots-16w.png"));
    assert!(
        !one.contains_key("guide/dots-4000w.png"),
        "pictures are not scaled up"
    );
    assert_eq!(one, two);
}

#[test]
fn pages_are_linked_highlighted_and_illustrated() {
    let folder = small_site();
    let built = site(folder.path(), &["build", "content", "--out", "out"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let page = |name: &str| fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    let home = page("index.html");
    assert!(
        home.contains("<a href=\"guide/a.html#part-two\">a</a>"),
        "{home}"
    );
    assert!(
        home.contains(
            "srcset=\"guide/dots-16w.png 16w, guide/dots-32w.png 32w, guide/dots.png 64w\""
        ),
        "{home}"
    );
    assert!(
        home.contains("width=\"64\" height=\"48\" alt=\"Dots\""),
        "{home}"
    );
    let a = page("guide/a.html");
    assert!(
        a.contains("<h2 id=\"part-two\">") && a.contains("class=\"hl-kw\""),
        "{a}"
    );
    assert!(
        a.contains("content=\"About &lt;a&gt;\"") && a.contains("href=\"../index.html\""),
        "{a}"
    );
    assert!(page("search.json").contains("\"part\""));
}

#[test]
fn broken_links_are_all_reported_and_nothing_is_written() {
    let folder = small_site();
    write(
        folder.path(),
        "content/guide/b.md",
        "+++\ntitle = 'B'\n+++\n\n[x](missing.md)\n\ntext ![y](dots.jpg) and [z](a.md#part-three)\n",
    );
    let built = site(folder.path(), &["build", "content", "--out", "out"]);
    assert_eq!(built.status.code(), Some(1));
    let message = stderr(&built);
    for fault in [
        "error: content/guide/b.md:5: broken link `missing.md`: no such file: guide/missing.md",
        "error: content/guide/b.md:7: broken link `dots.jpg`: no such file: guide/dots.jpg",
        "error: content/guide/b.md:7: broken link: guide/a.md has no heading #part-three",
    ] {
        assert!(message.contains(fault), "{message}");
    }
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_fault_in_front_matter_names_file_and_line() {
    let folder = small_site();
    write(
        folder.path(),
        "content/guide/b.md",
        "+++\ntitle = 'B'\nordre = 1\n+++\n",
    );
    let built = site(folder.path(), &["build", "content", "--out", "out"]);
    assert_eq!(built.status.code(), Some(1));
    let message = stderr(&built);
    assert!(
        message.contains("error: content/guide/b.md:3: front matter: unknown field"),
        "{message}"
    );
}

#[test]
fn a_damaged_picture_is_named() {
    let folder = small_site();
    write(folder.path(), "content/guide/dots.png", "not a picture");
    let built = site(folder.path(), &["build", "content", "--out", "out"]);
    assert_eq!(built.status.code(), Some(1));
    assert!(
        stderr(&built).contains("content/guide/dots.png: cannot decode"),
        "{}",
        stderr(&built)
    );
}

#[test]
fn the_owner_may_replace_templates() {
    let folder = small_site();
    write(
        folder.path(),
        "content/_templates/heading.html",
        "<h{{ level }}>§ {{ content|safe }}</h{{ level }}>",
    );
    assert!(
        site(folder.path(), &["build", "content", "--out", "out"])
            .status
            .success()
    );
    let page = fs::read_to_string(folder.path().join("out/guide/a.html")).unwrap();
    assert!(page.contains("<h2>§ Part two</h2>"), "{page}");

    write(
        folder.path(),
        "content/_templates/heading.html",
        "{{ nonsense }}",
    );
    let built = site(folder.path(), &["build", "content", "--out", "out"]);
    assert_eq!(built.status.code(), Some(1));
    assert!(
        stderr(&built).contains("template heading.html"),
        "{}",
        stderr(&built)
    );
}

#[test]
fn what_is_deleted_from_the_content_leaves_the_site() {
    let folder = small_site();
    assert!(
        site(folder.path(), &["build", "content", "--out", "out"])
            .status
            .success()
    );
    fs::remove_file(folder.path().join("content/guide/b.md")).unwrap();
    assert!(
        site(folder.path(), &["build", "content", "--out", "out"])
            .status
            .success()
    );
    assert!(!folder.path().join("out/guide/b.html").exists());
    assert!(folder.path().join("out/guide/a.html").exists());
}
