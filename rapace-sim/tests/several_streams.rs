//! Calls with several streams and tunnels, of services that the simulator does not know, from scripts.

use facet::Facet;
use futures_util::StreamExt as _;
use rapace_session::{Streaming, Tunnel};
use rapace_sim::LinkKind;
use rapace_sim::scenario::{Scenario, Services};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

const TRANSPORTS: [LinkKind; 3] = [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm];

/// Two sources of different types.
#[derive(Facet)]
pub struct Sources {
    /// Words.
    pub words: Streaming<String>,
    /// Numbers, or none.
    pub numbers: Option<Streaming<u32>>,
}

/// What is made of [`Sources`].
#[derive(Facet)]
pub struct Mixed {
    /// The length of each word.
    pub lengths: Streaming<u32>,
    /// Each number twice as large.
    pub doubled: Option<Streaming<u32>>,
    /// The title backwards.
    pub title: String,
}

/// Works on several streams at once.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Mixer {
    /// Works on both sources at the same time; needs a title.
    async fn mix(&self, title: String, sources: Sources) -> Result<Mixed, String>;
    /// How many words come, or why there are none.
    async fn words(&self, origin: Result<Streaming<String>, String>) -> Result<u32, String>;
    /// Gives the lines of a tunnel as items, and each word as a line.
    async fn exchange(&self, line: Tunnel, words: Streaming<String>) -> Streaming<String>;
    /// Gives back what comes through each; how many bytes that were.
    async fn echo_both(&self, tunnel: Tunnel, other: Tunnel) -> u32;
}

struct Desk;

impl Mixer for Desk {
    async fn mix(&self, title: String, sources: Sources) -> Result<Mixed, String> {
        if title.is_empty() {
            return Err("it has no title".to_owned());
        }
        let lengths = sources
            .words
            .filter_map(async |word| Some(word.ok()?.len() as u32));
        let doubled = sources.numbers.map(|numbers| {
            Streaming::new(numbers.filter_map(async |number| Some(2 * number.ok()?)))
        });
        Ok(Mixed {
            lengths: Streaming::new(lengths),
            doubled,
            title: title.chars().rev().collect(),
        })
    }

    async fn words(&self, origin: Result<Streaming<String>, String>) -> Result<u32, String> {
        let mut words = origin?;
        let mut count = 0;
        while let Some(Ok(_)) = words.next().await {
            count += 1;
        }
        Ok(count)
    }

    async fn exchange(&self, line: Tunnel, words: Streaming<String>) -> Streaming<String> {
        let (source, mut sink) = tokio::io::split(line);
        let lines = tokio::io::BufReader::new(source).lines();
        tokio::spawn(async move {
            let mut words = words;
            while let Some(Ok(word)) = words.next().await {
                if sink
                    .write_all(format!("{word}\n").as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            }
            // The other side may be gone by now.
            let _ = sink.shutdown().await;
        });
        let lines = futures_util::stream::unfold(lines, async |mut lines| {
            let line = lines.next_line().await.ok()??;
            Some((line, lines))
        });
        Streaming::new(Box::pin(lines))
    }

    async fn echo_both(&self, tunnel: Tunnel, other: Tunnel) -> u32 {
        let echo = async |tunnel: Tunnel| {
            let (mut source, mut sink) = tokio::io::split(tunnel);
            let count = tokio::io::copy(&mut source, &mut sink).await.unwrap_or(0);
            let _ = sink.shutdown().await;
            count as u32
        };
        let (one, two) = futures_util::future::join(echo(tunnel), echo(other)).await;
        one + two
    }
}

fn services() -> Services {
    Services::standard().with::<MixerClient, _>(|_| MixerServer::new(Desk))
}

fn parsed(text: &str) -> Scenario {
    Scenario::parse_with("mixer", text, &services()).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(text: &str, transport: LinkKind) -> Vec<String> {
    parsed(text).run_with(transport, 1, &services()).problems
}

const MIXER: &str = r#"
about = "Several streams and tunnels of a service that the simulator does not know."

[plugin.desk]
restart = "5ms"

[[call]]
do = 'mix("xyz", { "words": stream, "numbers": stream })'
send.sources.words = { items = ["a", "bcd", ""], every = "1ms" }
send.sources.numbers = { items = [1, 20] }
read.Ok.lengths = { start = "2ms" }
reads.Ok.lengths = [1, 3, 0]
reads.Ok.doubled = [2, 40]
returns = { Ok = { lengths = "stream", doubled = "stream", title = "zyx" } }

[[call]]
name = "half"
do = 'mix("xyz", { "words": stream, "numbers": null })'
send.sources.words = { items = ["a"] }
reads.Ok = { lengths = [1], doubled = "absent" }
returns = { Ok = { lengths = "stream", title = "zyx" } }

[[call]]
name = "refused"
do = 'mix("", { "words": stream, "numbers": stream })'
returns = { Err = "it has no title" }

[[call]]
do = 'words({ "Err": "there are none" })'
returns = { Err = "there are none" }

[[call]]
do = 'words({ "Ok": stream })'
send = { items = ["a", "b"] }
returns = { Ok = 2 }

[[call]]
do = "exchange(tunnel, stream)"
send.line = { text = "one\ntwo\n" }
send.words = { items = ["three", "four"], every = "1ms" }
read.line = { text = "three\nfour\n" }
reads = { line = 11, return = ["one", "two"] }

[[call]]
do = "echo_both(tunnel, tunnel)"
send = { tunnel = { text = "here" }, other = { bytes = "40KiB" } }
read.tunnel = { text = "here" }
reads = { tunnel = 4, other = 40960 }
returns = 40964
"#;

#[test]
fn each_stream_carries_what_the_script_says_of_it() {
    for transport in TRANSPORTS {
        assert_eq!(problems(MIXER, transport), Vec::<String>::new());
    }
}

#[test]
fn what_comes_otherwise_names_its_stream() {
    for (right, wrong, told) in [
        (
            "[1, 3, 0]",
            "[1, 4, 0]",
            "item 2 of the stream `Ok.lengths` is 3, and not 4",
        ),
        (
            r#"items = ["a", "b"] }
returns = { Ok = 2 }"#,
            r#"items = ["a", "b"] }
returns = { Ok = 3 }"#,
            r#"should return {"Ok":3}, but it returned {"Ok":2}"#,
        ),
        (
            "[2, 40]",
            "[2]",
            "item 2 of the stream `Ok.doubled` is 40, and not the end",
        ),
        (
            "[2, 40]",
            "3",
            "should read 3 from `Ok.doubled`, but it read 2",
        ),
        (
            "[2, 40]",
            "\"absent\"",
            "should be left without `Ok.doubled`, but it is there",
        ),
        (
            "doubled = \"absent\"",
            "doubled = []",
            "should give `Ok.doubled`, but it is absent",
        ),
        (
            "returns = { Ok = { lengths = \"stream\", title = \"zyx\" } }",
            "returns = { Ok = { lengths = \"stream\", doubled = \"stream\", title = \"zyx\" } }",
            "should return",
        ),
        (
            r#"return = ["one", "two"]"#,
            r#"return = ["one", "too"]"#,
            r#"item 2 of the stream `return` is "two", and not "too""#,
        ),
        (
            r#"text = "three\nfour\n" }"#,
            r#"text = "three\nfive\n" }"#,
            "a byte of the tunnel `line` behind",
        ),
        (
            r#"read.tunnel = { text = "here" }"#,
            r#"read.tunnel = { text = "here and there" }"#,
            "the tunnel `tunnel` ends after 4 of 14 bytes",
        ),
        (
            "other = 40960",
            "other = \"at least 50000\"",
            "should read at least 50000 from `other`, but it read 40960",
        ),
    ] {
        assert!(MIXER.contains(right), "{right}");
        let problems = problems(&MIXER.replacen(right, wrong, 1), LinkKind::Stream);
        assert!(
            problems.iter().any(|problem| problem.contains(told)),
            "{wrong}: {problems:#?}"
        );
    }
}

#[test]
fn names_and_items_are_checked_when_the_file_is_read() {
    for (right, wrong, told) in [
        (
            "send.sources.numbers = { items = [1, 20] }",
            "send.sources.numbers = { items = [1, \"20\"] }",
            "`mix` has items of another type",
        ),
        (
            "send.sources.numbers = { items = [1, 20] }",
            "send.sources.numbers = { items = 2 }",
            "`mix` is sent what the script lists",
        ),
        (
            "reads.Ok.doubled = [2, 40]",
            "reads.doubled = [2, 40]",
            "did you mean `Ok.doubled`?",
        ),
        (
            "reads.Ok.lengths = [1, 3, 0]",
            "reads.Ok.lengths = \"absent\"\nreads.Ok.title = 1",
            "called `Ok.title`",
        ),
        (
            "returns = { Err = \"there are none\" }",
            "send = { items = [\"a\"] }",
            "`origin.Ok` is left out of the arguments here",
        ),
        (
            r#"words({ "Err": "there are none" })"#,
            r#"words({ "Err": stream })"#,
            "`origin.Err` is of type String, not a stream",
        ),
        (
            "reads = { line = 11, return = [\"one\", \"two\"] }",
            "reads = [\"one\", \"two\"]",
            "say which one `reads` is about",
        ),
        (
            "send.words = { items",
            "send.words = { bytes = 3, items",
            "`bytes` is for tunnels, and `words` of `exchange` is a stream",
        ),
    ] {
        assert!(MIXER.contains(right), "{right}");
        let text = MIXER.replacen(right, wrong, 1);
        let error = Scenario::parse_with("mixer", &text, &services()).expect_err(wrong);
        assert!(error.to_string().contains(told), "{error}");
        let line = text.lines().nth(error.line - 1).unwrap_or_default();
        let shown = wrong.lines().any(|wrong| line.contains(wrong));
        assert!(shown, "{error}");
    }
}

#[test]
fn a_crash_anywhere_leaves_prefixes_of_all_streams() {
    let text = r#"
about = "Two streams go in, two come out."
[plugin.desk]
restart = "never"
[[call]]
do = 'mix("xyz", { "words": stream, "numbers": stream })'
send.sources.words = { items = ["a", "bcd", ""], every = "1ms" }
send.sources.numbers = { items = [1, 20], every = "1ms" }
reads.Ok.lengths = [1, 3, 0]
reads.Ok.doubled = [2, 40]
may_fail = ["peer died", "not sent"]
"#;
    let scenario = parsed(text);
    for transport in [LinkKind::Stream, LinkKind::Mem] {
        let all = scenario.crash_everywhere(transport, &services(), |_| {});
        assert!(all.failures.is_empty(), "{}", all.failures[0]);
        assert!(all.moments > 20, "{} crash points", all.moments);
    }
}
