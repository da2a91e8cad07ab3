//! The tests that docs/simulator/your-own-services.md shows, as a user of rapace writes them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rapace::prelude::*;
use rapace_sim::{
    Fault, LinkConfig, Process, Program, World, WorldBuilder, assert_trace_snapshot, shrink,
    sometimes,
};

/// Words that somebody taught it.
#[rapace::service]
pub trait Dictionary {
    /// Remembers a word; says how many words are known now.
    #[rapace(idempotent)]
    async fn learn(&self, word: String) -> u32;
    /// Whether this word was learnt.
    #[rapace(idempotent)]
    async fn knows(&self, word: String) -> bool;
}

#[derive(Default)]
struct InMemory {
    words: Mutex<BTreeSet<String>>,
}

impl Dictionary for InMemory {
    async fn learn(&self, word: String) -> u32 {
        tokio::time::sleep(3.ms()).await; // virtual time: nobody waits
        let mut words = self.words.lock().unwrap();
        words.insert(word);
        words.len() as u32
    }

    async fn knows(&self, word: String) -> bool {
        self.words.lock().unwrap().contains(&word)
    }
}

fn dictionary() -> Program {
    Program::new().serve(|| DictionaryServer::new(InMemory::default()))
}

async fn trusting(editor: Process) {
    let dictionary: DictionaryClient = editor.client("dictionary");
    for word in ["ghost", "lane", "nap"] {
        dictionary.learn(word.to_owned()).await.expect("repeated");
        editor.sleep(100.ms()).await;
        let known = dictionary.knows(word.to_owned()).await;
        assert!(known.expect("repeated"), "`{word}` was learnt");
    }
}

#[should_panic(expected = "was learnt")]
#[rapace_sim::test(seeds = 200)]
fn what_was_learnt_is_known(world: WorldBuilder) -> WorldBuilder {
    world
        .host("editor", Program::new().main(trusting))
        .plugin_over("dictionary", LinkConfig::shm(), dictionary())
}

/// Asks, and teaches what has been forgotten.
async fn patient(editor: Process) {
    let dictionary: DictionaryClient = editor.client("dictionary");
    for word in ["ghost", "lane", "nap"] {
        dictionary.learn(word.to_owned()).await.expect("repeated");
        editor.sleep(100.ms()).await;
        loop {
            let known = dictionary.knows(word.to_owned()).await;
            let known = known.expect("repeated");
            sometimes!(!known, "a word was forgotten");
            if known {
                break;
            }
            dictionary.learn(word.to_owned()).await.expect("repeated");
        }
    }
}

#[rapace_sim::test(seeds = 200)]
fn what_was_forgotten_is_taught_again(world: WorldBuilder) -> WorldBuilder {
    world
        .host("editor", Program::new().main(patient))
        .plugin_over("dictionary", LinkConfig::shm(), dictionary())
}

fn forgetful(link: LinkConfig) -> WorldBuilder {
    let death = "after dictionary sends its response 3: kill dictionary";
    let death: Fault = death.parse().expect("a fault");
    World::builder()
        .host("editor", Program::new().main(patient))
        .plugin_over("dictionary", link, dictionary())
        .fault(death.when, death.what)
}

#[test]
fn the_second_word_is_taught_again() {
    for link in [LinkConfig::stream(), LinkConfig::shm(), LinkConfig::mem()] {
        let report = forgetful(link).run();
        report.check();
        assert_eq!(report.marks["a word was forgotten"], 1);
    }
}

#[test]
fn the_trace_of_a_forgotten_word() {
    let report = forgetful(LinkConfig::shm()).trace(true).run();
    assert_trace_snapshot!(report);
}

#[test]
fn the_faults_that_matter() {
    let world = |seed| {
        World::builder()
            .seed(seed)
            .host("editor", Program::new().main(trusting))
            .plugin_over("dictionary", LinkConfig::shm(), dictionary())
            .swarm()
    };
    let failing = (0..1_000).map(world).find(|world| !world.run().is_ok());
    let shrunk = shrink(&failing.expect("some seed kills it")).expect("it fails");
    println!("{}", shrunk.plan);
    assert_eq!(shrunk.plan.faults.len(), 1);
}

mod page;
