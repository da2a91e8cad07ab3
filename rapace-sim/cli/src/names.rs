//! Which file a name means, and what might have been meant when there is none.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use rapace_sim::Plan;
use rapace_sim::scenario::{SavedPlan, Scenario};

use crate::Unusable;
use crate::seeds::{Seeds, seed};

/// The folder of scenario files: `scenarios` here or in a folder above.
fn folder() -> Option<PathBuf> {
    folder_from(&std::env::current_dir().ok()?)
}

fn folder_from(here: &Path) -> Option<PathBuf> {
    here.ancestors()
        .map(|folder| folder.join("scenarios"))
        .find(|folder| folder.is_dir())
}

/// As [`folder`], where there must be one.
fn folder_needed() -> Result<PathBuf, Unusable> {
    folder().ok_or_else(|| {
        let text =
            "there is no folder `scenarios` here or above; `cargo sim run FILE` takes any file";
        Unusable(text.to_owned())
    })
}

/// All scenario files, sorted by name: at least one, as nothing is known of a project without any.
pub(crate) fn scenarios() -> Result<Vec<PathBuf>, Unusable> {
    let folder = folder_needed()?;
    let files = files(&folder)?;
    if files.is_empty() {
        let folder = folder.display();
        return Err(Unusable(format!(
            "{folder} has no scenario, which is a file that ends in .toml: \
             docs/simulator/first-crash-scenario.md"
        )));
    }
    Ok(files)
}

/// The files of saved plans, sorted by name. There need not be any.
pub(crate) fn saved_plans() -> Result<Vec<PathBuf>, Unusable> {
    let folder = folder_needed()?.join("regressions");
    if folder.exists() {
        files(&folder)
    } else {
        Ok(Vec::new())
    }
}

/// Files of a folder that end in `.toml`, sorted by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Unusable> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect);
    let entries: Vec<fs::DirEntry> = entries
        .map_err(|error| Unusable(format!("{} cannot be read: {error}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// The file that a name means: a path, or a file of the folder of scenarios.
pub(crate) fn find(name: &str) -> Result<PathBuf, Unusable> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let folder = folder();
    let places = folder.iter().flat_map(|folder| {
        [
            folder.join(format!("{name}.toml")),
            folder.join("regressions").join(format!("{name}.toml")),
        ]
    });
    let found = places.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| Unusable(nothing_like(name, folder.as_deref())))
}

/// The scenario of a saved plan that is, or will be, in the file `plan`. Names are looked up where the
/// file is before they are where the command runs: a plan and its scenario belong together.
pub(crate) fn find_world(plan: &Path, saved: &SavedPlan) -> Result<PathBuf, Unusable> {
    let beside = folder_of(plan).canonicalize().ok();
    let folder = beside.as_deref().and_then(folder_from).or_else(folder);
    let scenarios = folder.as_deref().unwrap_or(Path::new("scenarios"));
    let files = saved.scenario_files(plan, scenarios);
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        return Ok(file.clone());
    }
    let [path, _] = files;
    let why = if is_path(Path::new(&saved.world)) {
        format!(
            "there is no file `{}` (a path is seen from the folder of the plan)",
            path.display()
        )
    } else {
        nothing_like(&saved.world, folder.as_deref())
    };
    let plan = plan.display();
    Err(Unusable(format!(
        "the world of the saved plan `{plan}`: {why}"
    )))
}

/// What a saved plan in the file `plan` calls the scenario of another file: its name, if that finds the
/// file, else the path from one to the other.
pub(crate) fn world_of_plan(plan: &Path, file: &Path, scenario: &Scenario) -> String {
    let mut named = SavedPlan::standard("", Plan::default());
    named.world.clone_from(&scenario.name);
    let is_named = scenario.name != SavedPlan::STANDARD
        && find_world(plan, &named).is_ok_and(|other| is_same(file, &other));
    if is_named {
        return scenario.name.clone();
    }
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = folder_of(plan).canonicalize().ok();
    let path = folder.and_then(|folder| pathdiff::diff_paths(&file, folder));
    path.unwrap_or(file).display().to_string()
}

/// Whether two paths lead to one file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The folder that a file is in; `.` for a bare name.
fn folder_of(file: &Path) -> &Path {
    let parent = file.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Whether a word is a path, and not only a name.
fn is_path(word: &Path) -> bool {
    word.components().count() > 1 || word.extension().is_some()
}

/// Why a name means nothing, and what might have been meant.
fn nothing_like(name: &str, folder: Option<&Path>) -> String {
    let path = Path::new(name);
    if path.is_dir() {
        return format!(
            "`{name}` is a folder; name a file in it, or run all of scenarios/ with `cargo sim run --all`"
        );
    }
    if name.parse::<Seeds>().is_ok() {
        return format!(
            "`{name}` is a range, and one seed is needed; `cargo sim sweep --seeds {name}` runs them all"
        );
    }
    match seed(name) {
        Ok(seed) => {
            return format!(
                "`{name}` is a seed and no scenario; `cargo sim replay {seed}` runs its standard world"
            );
        }
        Err(why) if name.chars().all(|c| c.is_ascii_digit() || c == '_') => return why,
        Err(_) => {}
    }
    let what = if is_path(path) {
        "there is no file"
    } else {
        "there is no file and no scenario"
    };
    let Some(folder) = folder else {
        return format!(
            "there is no file `{name}`, and no folder `scenarios` here or above that could have it"
        );
    };
    // Of a path its last part: `scenarios/row_4.toml`.
    let wanted = path.file_stem().unwrap_or_default().to_string_lossy();
    let known = [folder.to_owned(), folder.join("regressions")];
    // What cannot be read is not suggested.
    let known = known.iter().flat_map(|folder| files(folder)).flatten();
    let known = known.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let like = like(&wanted, known.collect());
    if like.is_empty() {
        return format!("{what} `{name}`; `cargo sim list` shows what there is");
    }
    let like: Vec<String> = like.iter().map(|known| format!("`{known}`")).collect();
    format!("{what} `{name}`; is it {}?", like.join(" or "))
}

/// Names that are less like what was written are not worth mentioning, from 0 to 1.
const LIKE: f64 = 0.9;
/// So many names are mentioned.
const SUGGESTIONS_MAX: usize = 4;
/// Shorter words are part of too many names.
const PART_CHARS_MIN: usize = 3;

/// The known names that may have been meant, the likeliest first.
fn like(wanted: &str, known: Vec<String>) -> Vec<String> {
    let wanted = plain(wanted);
    let likeness = |known: &str| {
        let known = plain(known);
        match known.find(&wanted) {
            _ if wanted.is_empty() => 0.0,
            Some(0) => 2.0,
            Some(_) if wanted.chars().count() >= PART_CHARS_MIN => 1.0,
            _ => strsim::jaro_winkler(&known, &wanted),
        }
    };
    let mut like: Vec<(f64, String)> = known
        .into_iter()
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    like.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    like.truncate(SUGGESTIONS_MAX);
    like.into_iter().map(|(_, known)| known).collect()
}

/// A name as it is compared: `-` is `_`, case does not matter, and numbers have no zeros in front, so
/// that `row_4` finds `row_04_unread_stream`.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    let mut rest = name.chars().peekable();
    let mut in_number = false;
    while let Some(c) = rest.next() {
        let digit_follows = rest.peek().is_some_and(char::is_ascii_digit);
        if c == '0' && !in_number && digit_follows {
            continue;
        }
        in_number = c.is_ascii_digit();
        plain.push(if c == '-' {
            '_'
        } else {
            c.to_ascii_lowercase()
        });
    }
    plain
}

/// A word as a shell takes it, for commands that are printed.
pub(crate) fn quoted(word: &str) -> String {
    // Only a word with a zero byte cannot be quoted, and no argument has one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        let known = [
            "row_04_unread_stream",
            "row_14_crash",
            "row_10_few_slots",
            "extra",
        ];
        let known: Vec<String> = known.map(str::to_owned).to_vec();
        let found = |wanted: &str| like(wanted, known.clone());
        for wanted in ["row_4", "row_04", "ROW-04", "unread", "row_4_unread_strem"] {
            assert_eq!(found(wanted), ["row_04_unread_stream"], "{wanted}");
        }
        assert_eq!(found("row_10"), ["row_10_few_slots"]);
        assert_eq!(found("row").len(), 3);
        assert!(found("x").is_empty());
        assert!(found("").is_empty());
    }
}
