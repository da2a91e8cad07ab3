//! The seeds of the fuzz targets of this crate, through the bodies that the fuzzer runs.

use std::path::Path;

use rapace_sim::{scenario, standard};

/// Every file of `fuzz/seeds/TARGET`, by name.
fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let entries = std::fs::read_dir(&folder).expect("the folder of seeds");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        eprintln!("{}", file.display());
        body(&std::fs::read(&file).expect("a seed"));
    }
}

#[test]
fn plans_of_the_corpus_find_nothing() {
    replay("sim_plan", standard::fuzz_bodies::plan);
}

#[test]
fn scripts_of_the_corpus_are_read_or_refused() {
    replay("sim_script", scenario::fuzz_bodies::script);
}
