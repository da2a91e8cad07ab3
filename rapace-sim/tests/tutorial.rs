//! The tutorial in docs/simulator does what it says.

use rapace_sim::LinkKind;
use rapace_sim::scenario::{Scenario, Services};

const TUTORIAL: &str = include_str!("../../docs/simulator/first-crash-scenario.md");
const FORMAT: &str = include_str!("../../docs/simulator/scenario-format.md");
const FIRST: &str = include_str!("../../docs/simulator/examples/first.toml");
const SECOND: &str = include_str!("../../docs/simulator/examples/second.toml");
const THIRD: &str = include_str!("../../docs/simulator/examples/third.toml");

fn parsed(name: &str, text: &str) -> Scenario {
    Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_files_are_the_ones_that_are_shown() {
    for file in [FIRST, SECOND, THIRD] {
        assert!(
            TUTORIAL.contains(file),
            "the tutorial does not show\n{file}"
        );
    }
}

#[test]
fn a_world_in_which_nothing_goes_wrong_is_fine() {
    for transport in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
        let verdict = parsed("first", FIRST).run(transport);
        let said = format!("first over {} with seed 1 is fine", transport.name());
        assert_eq!(verdict.to_string(), said);
        assert!(
            TUTORIAL.contains(&said),
            "the tutorial does not show\n{said}"
        );
    }
}

#[test]
fn a_death_that_was_not_expected_is_explained() {
    let verdict = parsed("second", SECOND).run(LinkKind::Stream);
    let [problem] = &*verdict.problems else {
        panic!("one problem, not {:?}", verdict.problems);
    };
    let shown: String = TUTORIAL.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "call `nap` (line 5) should succeed, but it failed with `peer died`: no answer, and \
                the method may have run: peer died";
    assert!(problem.contains(told), "{problem}");
    assert!(
        shown.contains(problem.as_str()),
        "the tutorial does not show\n{problem}"
    );
}

#[test]
fn a_plugin_that_comes_back_is_fine_and_may_crash_anywhere() {
    let scenario = parsed("third", THIRD);
    for transport in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
        let verdict = scenario.run(transport);
        assert!(verdict.is_ok(), "{verdict}");
        let all = scenario.crash_everywhere(transport, &Services::standard(), |_| {});
        assert!(all.failures.is_empty(), "{}", all.failures[0]);
    }
}

#[test]
fn the_example_of_the_reference_works() {
    let example = FORMAT
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let scenario = parsed(
        "reference",
        example.expect("the page begins with an example"),
    );
    for transport in &scenario.transports {
        let verdict = scenario.run(*transport);
        assert!(verdict.is_ok(), "{verdict}");
    }
}

#[test]
fn the_example_of_several_streams_works() {
    let example = FORMAT
        .split("```toml\n")
        .nth(2)
        .and_then(|rest| rest.split("```").next());
    let calls = example.expect("the page has a second example");
    let world = "about = \"x\"\n[plugin.images]\nserves = [\"Manifold\"]\n";
    let scenario = parsed("several", &format!("{world}{calls}"));
    for transport in &scenario.transports {
        let verdict = scenario.run(*transport);
        assert!(verdict.is_ok(), "{verdict}");
    }
}

/// A service of somebody else's, called from a script with JSON.
mod own {
    use futures_util::StreamExt as _;
    use rapace_session::{Streaming, Tunnel};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A picture's size.
    #[derive(Clone, Debug, facet::Facet)]
    pub(crate) struct Size {
        /// In pixels.
        pub(crate) width: u32,
        /// In pixels.
        pub(crate) height: u32,
    }

    /// Works on pictures.
    #[rapace_macros::service(crate = "rapace_session")]
    pub(crate) trait Images {
        /// So many times as large.
        async fn resize(&self, size: Size, by: u32) -> Result<Size, String>;
    }

    struct Worker;

    impl Images for Worker {
        async fn resize(&self, size: Size, by: u32) -> Result<Size, String> {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            if by == 0 {
                return Err("nothing would be left".to_owned());
            }
            Ok(Size {
                width: size.width * by,
                height: size.height * by,
            })
        }
    }

    #[test]
    fn a_service_of_ones_own_is_called_with_json() {
        let text = r#"
about = "A picture grows; the plugin dies; the next one refuses to vanish."

[plugin.images]
restart = "5ms"

[[call]]
do = 'Images.resize({ "width": 2, "height": 3 }, 2)'
returns = { Ok = { width = 4, height = 6 } }

[[call]]
at = "20ms"
name = "lost"
do = 'resize({ "width": 2, "height": 3 }, 2)'
fails = "peer died"

[[call]]
after = "lost"
do = 'resize({ "width": 2, "height": 3 }, 0)'
returns = { Err = "nothing would be left" }

[[fault]]
when = "after host sends request 2"
what = "kill images"
"#;
        let services = Services::standard().with::<ImagesClient, _>(|_| ImagesServer::new(Worker));
        let scenario = Scenario::parse_with("own", text, &services);
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        for transport in [LinkKind::Stream, LinkKind::Mem] {
            let verdict = scenario.run_with(transport, 1, &services);
            assert!(verdict.is_ok(), "{verdict}");
        }
        let wrong = text.replacen("\"height\": 3", "\"hight\": 3", 1);
        let error =
            Scenario::parse_with("own", &wrong, &services).expect_err("a field is misspelt");
        assert!(error.message.contains("height"), "{error}");
        assert_eq!(error.line, 8);
    }

    /// Works on many pictures.
    #[rapace_macros::service(crate = "rapace_session")]
    pub(crate) trait Albums {
        /// The sizes of pictures, as they are named; none for an album without a title.
        async fn sizes(
            &self,
            title: String,
            names: Streaming<String>,
        ) -> Result<Streaming<Size>, String>;
        /// How many pictures are named.
        async fn count(&self, names: Streaming<String>) -> u32;
        /// As `count`; none are named by none.
        async fn count_any(&self, names: Option<Streaming<String>>) -> u32;
        /// Each line backwards.
        async fn mirror(&self, text: Tunnel) -> u32;
    }

    struct Album;

    impl Albums for Album {
        async fn sizes(
            &self,
            title: String,
            names: Streaming<String>,
        ) -> Result<Streaming<Size>, String> {
            if title.is_empty() {
                return Err("it has no title".to_owned());
            }
            let sizes = names.filter_map(|name| async move {
                let name = name.ok()?;
                Some(Size {
                    width: name.len() as u32,
                    height: 1,
                })
            });
            Ok(Streaming::new(sizes))
        }

        async fn count(&self, mut names: Streaming<String>) -> u32 {
            let mut count = 0;
            while let Some(Ok(_)) = names.next().await {
                count += 1;
            }
            count
        }

        async fn count_any(&self, names: Option<Streaming<String>>) -> u32 {
            match names {
                Some(names) => self.count(names).await,
                None => 0,
            }
        }

        async fn mirror(&self, text: Tunnel) -> u32 {
            let (source, mut sink) = tokio::io::split(text);
            let mut lines = tokio::io::BufReader::new(source).lines();
            let mut count = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                let back: String = line.chars().rev().chain(['\n']).collect();
                if sink.write_all(back.as_bytes()).await.is_err() {
                    break;
                }
                count += 1;
            }
            // The other side may be gone by now.
            let _ = sink.shutdown().await;
            count
        }
    }

    const ALBUMS: &str = r#"
about = "Streams and tunnels of a service that the simulator does not know."

[plugin.images]

[[call]]
do = 'Albums.count(stream)'
send = { items = ["one", "two", "three"], every = "1ms" }
returns = 3
not_before = "3ms"

[[call]]
do = 'sizes("summer", stream)'
send = { items = ["a", "bcd", ""] }
reads = [{ width = 1, height = 1 }, { width = 3, height = 1 }, { width = 0, height = 1 }]

[[call]]
do = 'sizes("", stream)'
send = { items = ["never read"] }
returns = { Err = "it has no title" }

[[call]]
do = 'count_any(null)'
returns = 0

[[call]]
do = 'mirror(tunnel)'
send = { text = "abc\ndef\n" }
read = { text = "cba\nfed\n" }
returns = 2
reads = 8
"#;

    fn albums() -> Services {
        Services::standard().with::<AlbumsClient, _>(|_| AlbumsServer::new(Album))
    }

    fn of_albums(text: &str, transport: LinkKind) -> Vec<String> {
        let scenario = Scenario::parse_with("albums", text, &albums());
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        scenario.run_with(transport, 1, &albums()).problems
    }

    #[test]
    fn streams_and_tunnels_of_ones_own_carry_what_the_script_lists() {
        for transport in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
            assert_eq!(of_albums(ALBUMS, transport), Vec::<String>::new());
        }
    }

    #[test]
    fn what_comes_otherwise_than_listed_is_told() {
        for (right, wrong, told) in [
            (
                "{ width = 3, height = 1 }",
                "{ width = 4, height = 1 }",
                r#"item 2 of the stream is {"height":1,"width":3}, and not {"height":1,"width":4}"#,
            ),
            (
                ", { width = 0, height = 1 }]",
                "]",
                r#"item 3 of the stream is {"height":1,"width":0}, and not the end"#,
            ),
            (
                r#"["a", "bcd", ""]"#,
                r#"["a", "bcd"]"#,
                "should read 3, but it read 2",
            ),
            ("cba\\nfed", "cba\\ndef", "a byte of the tunnel behind 4"),
            (
                "fed\\n",
                "fed\\nihg\\n",
                "the tunnel ends after 8 of 12 bytes",
            ),
        ] {
            assert!(ALBUMS.contains(right), "{right}");
            let problems = of_albums(&ALBUMS.replacen(right, wrong, 1), LinkKind::Stream);
            assert!(
                problems.iter().any(|problem| problem.contains(told)),
                "{wrong}: {problems:#?}"
            );
        }
    }

    #[test]
    fn a_plugin_that_dies_within_a_listed_stream_leaves_a_prefix() {
        let text = ALBUMS.replace("every = \"1ms\"", "every = \"0s\"")
            + r#"
[[call]]
name = "cut short"
at = "10ms"
do = 'sizes("summer", stream)'
send = { items = ["a", "bcd", ""], every = "10ms" }
reads = [{ width = 1, height = 1 }, { width = 3, height = 1 }, { width = 0, height = 1 }]
fails = "peer died"

[[fault]]
when = "at 35ms"
what = "kill images"
"#;
        let text = text.replace("not_before = \"3ms\"\n", "");
        for transport in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
            assert_eq!(of_albums(&text, transport), Vec::<String>::new());
        }
        let scenario = Scenario::parse_with("albums", &text, &albums());
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let all = scenario.crash_everywhere(LinkKind::Stream, &albums(), |_| {});
        assert!(all.failures.is_empty(), "{}", all.failures[0]);
        assert!(all.moments > 50, "{} crash points", all.moments);
    }

    #[test]
    fn items_are_checked_when_the_file_is_read() {
        for (right, wrong, told) in [
            ("\"two\"", "2", "`count` has items of another type"),
            (
                "Albums.count(",
                "count(",
                "say `Testbed.count` or `Albums.count`",
            ),
            (
                r#"items = ["one", "two", "three"]"#,
                "items = 3",
                "`count` is sent what the script lists",
            ),
            ("{ width = 3, height", "{ widht = 3, height", "widht"),
            ("returns = 3", "reads = [1]", "`count` gives no stream"),
            (
                "send = { text",
                "send = { items = [1], text",
                "`items` is for streams, and `text` of `mirror` is a tunnel",
            ),
            (
                r#"{ items = ["never"#,
                r#"{ text = "x", items = ["never"#,
                "`text` is for tunnels, and `names` of `sizes` is a stream",
            ),
        ] {
            assert!(ALBUMS.contains(right), "{right}");
            let text = ALBUMS.replacen(right, wrong, 1);
            let error = Scenario::parse_with("albums", &text, &albums()).expect_err(wrong);
            assert!(error.to_string().contains(told), "{error}");
            let line = text.lines().nth(error.line - 1).unwrap_or_default();
            assert!(line.contains(wrong), "{error}");
        }
    }
}
