//! The page docs/simulator/your-own-services.md does what it says.

use std::panic::catch_unwind;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/simulator/your-own-services.md");
const FILE: &str = include_str!("main.rs");

/// What the page shows in this language.
fn shown(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = PAGE.split(&begin).skip(1);
    let blocks: Vec<&str> = blocks
        .map(|rest| rest.split("```").next().expect("a split has a first part"))
        .collect();
    assert!(!blocks.is_empty(), "the page shows no {language}");
    blocks
}

#[test]
fn the_code_is_what_runs() {
    let flush_left = |text: &str| {
        text.lines()
            .map(|line| line.trim_start().to_owned() + "\n")
            .collect::<String>()
    };
    let file = flush_left(FILE);
    for block in shown("rust") {
        assert!(file.contains(&flush_left(block)), "no test has\n{block}");
    }
}

#[test]
fn the_failure_is_the_one_that_is_shown() {
    let panic = catch_unwind(super::what_was_learnt_is_known).expect_err("it is wrong on purpose");
    let message = panic.downcast_ref::<String>().expect("a message");
    let [shown] = *shown("text") else {
        panic!("one failure is shown");
    };
    let mut rest = &**message;
    for line in shown.lines().filter(|line| line.trim() != "…") {
        let Some((_, behind)) = rest.split_once(line) else {
            panic!("the page shows\n{line}\nbut it says\n{message}");
        };
        rest = behind;
    }
}

#[test]
fn the_command_replays_it() {
    let command = shown("text")[0].lines().last().expect("the command");
    let faults = command.split('\'').nth(1).expect("faults are quoted");
    let seed = command.split("RAPACE_SIM_SEED=").nth(1);
    let seed = seed.and_then(|rest| rest.split(' ').next());
    let this = std::env::current_exe().expect("this test has a file");
    let output = Command::new(this)
        .env("RAPACE_SIM_SEED", seed.expect("a seed"))
        .env("RAPACE_SIM_FAULTS", faults)
        .args(["what_was_learnt_is_known", "--exact", "--nocapture"])
        .output()
        .expect("this test runs");
    let said = String::from_utf8_lossy(&output.stdout);
    for part in ["!! kill dictionary", "`ghost` was learnt", "trace hash "] {
        assert!(said.contains(part), "{part} is missing from\n{said}");
    }
}
