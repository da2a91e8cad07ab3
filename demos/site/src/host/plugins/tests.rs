//! A plugin that some input kills, among calls that have done nothing wrong.

use super::*;
use crate::plugins::highlight::{Highlight, HighlightServer};
use futures_util::future::join_all;
use rapace::plugin::Plugin;

const POISON: &str = "poison";

/// Answers after a while, and aborts when it is asked for poison.
struct Poisonable;

impl Highlight for Poisonable {
    async fn highlight(&self, blocks: Vec<CodeBlock>) -> Vec<HighlightedBlock> {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if blocks.iter().any(|block| block.text == POISON) {
            eprintln!("this was poison");
            std::process::abort();
        }
        blocks
            .into_iter()
            .map(|block| HighlightedBlock {
                html: block.text,
                language: String::new(),
            })
            .collect()
    }

    async fn stylesheet(&self) -> String {
        String::new()
    }
}

#[tokio::test]
#[ignore = "the plugin process of the other test; does nothing when started by hand"]
async fn poisonable_process() {
    if rapace::plugin::started_by_host() {
        rapace::plugin::run(HighlightServer::new(Poisonable))
            .await
            .expect("an end in good order");
        std::process::exit(0);
    }
}

#[tokio::test]
async fn the_call_that_kills_the_plugin_is_named_and_its_neighbours_are_answered() {
    let plugin = Plugin::current_exe()
        .args([
            "host::plugins::tests::poisonable_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .name("highlight")
        .restart(link::restart(true));
    let link = Arc::new(Link::to_process(
        Name::Highlight,
        plugin.spawn().await.unwrap(),
    ));
    let connected: Connected<HighlightClient> = Connected::new((link.clone(), None));
    let texts = ["a", "b", "c", POISON, "d", "e", "f", "g"];
    let answers = join_all(texts.map(|text| {
        let blocks = vec![CodeBlock {
            language: String::new(),
            text: text.to_owned(),
        }];
        connected.call(0, |_| 0, move |client| client.highlight(blocks.clone()))
    }))
    .await;
    for (text, answer) in texts.iter().zip(answers) {
        match answer {
            Ok(blocks) => assert_eq!(blocks[0].html, *text),
            Err(lost) => {
                let message = lost.about("a page").to_string();
                assert_eq!(*text, POISON, "{message}");
                for part in ["a page: plugin highlight: ", "signal 6", "this was poison"] {
                    assert!(message.contains(part), "{message}");
                }
            }
        }
    }
    let summary = connected.take_summary();
    assert_eq!(summary.calls(), texts.len() - 1);
    assert!(summary.restarts >= 1);
    link.shutdown().await;
}
