//! The command line as people and CI see it: what it prints, and its exit codes.

mod again;
mod many;
mod mistakes;
mod subjects;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FINE: Option<i32> = Some(0);
const FOUND: Option<i32> = Some(1);
const UNUSABLE: Option<i32> = Some(2);

fn command(args: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sim"));
    command.args(args).current_dir(root).env("NO_COLOR", "1");
    command
}

fn sim(args: &[&str]) -> Output {
    command(args).output().expect("cargo-sim starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

/// A file in a fresh folder of this test.
fn file(test: &str, name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}

const DIES: &str = r#"
about = "The plugin dies, and nobody said that it may."

[plugin.images]

[[call]]
do = "nap(500)"

[[fault]]
when = "at 100ms"
what = "kill images"

[[fault]]
when = "at 50ms"
what = "slow images to 10us an event for 1ms"
"#;

/// A call that takes longer than a world may: every run fails, whatever else happens.
const ENDLESS: &str = r#"
about = "A call that takes longer than a world may."
plugin.images = {}

[[call]]
do = "nap(130000)"
"#;
