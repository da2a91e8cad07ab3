//! The inputs of `fuzz/seeds`, through the bodies that the fuzzer runs.

use std::path::{Path, PathBuf};

use rapace_sim::{scenario, standard};

type Body = fn(&[u8]);

/// What each fuzz target runs.
const TARGETS: [(&str, Body); 7] = [
    ("codec_decode", rapace_codec::fuzz_bodies::any),
    ("core_hello", |bytes| {
        rapace_core::fuzz_bodies::hello(bytes);
        rapace_core::fuzz_bodies::messages(bytes);
    }),
    ("core_receive", rapace_core::fuzz_bodies::receive),
    ("shm_peer", rapace_shm::fuzz_bodies::peer),
    ("sim_plan", standard::fuzz_bodies::plan),
    ("sim_script", scenario::fuzz_bodies::script),
    ("stream_reader", rapace_stream::fuzz_bodies::reader),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    entries
}

/// Every file of `fuzz/seeds/TARGET`, by name.
fn replay(target: &str) {
    let (_, body) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a known target");
    let files = entries(&folder().join("seeds").join(target));
    assert!(!files.is_empty(), "{target} has no seeds");
    for file in files {
        eprintln!("{}", file.display());
        body(&std::fs::read(&file).expect("a seed"));
    }
}

#[test]
fn payloads_of_the_corpus_are_decoded_or_refused() {
    replay("codec_decode");
}

#[test]
fn hellos_of_the_corpus_are_taken_or_refused() {
    replay("core_hello");
}

#[test]
fn frames_of_the_corpus_leave_nothing_behind() {
    replay("core_receive");
}

#[test]
fn hostile_lanes_of_the_corpus_are_refused() {
    replay("shm_peer");
}

#[test]
fn plans_of_the_corpus_find_nothing() {
    replay("sim_plan");
}

#[test]
fn scripts_of_the_corpus_are_read_or_refused() {
    replay("sim_script");
}

#[test]
fn sockets_of_the_corpus_read_the_same_in_pieces() {
    replay("stream_reader");
}

#[test]
fn every_target_has_seeds_and_every_folder_of_seeds_a_target() {
    let names = |folder: &Path| -> Vec<String> {
        let entries = entries(folder).into_iter();
        let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into());
        entries.filter_map(stem).collect()
    };
    let here: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&folder().join("fuzz_targets")), here);
    assert_eq!(names(&folder().join("seeds")), here);
}
