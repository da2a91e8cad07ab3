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

/// A service of somebody else's, called from a script with JSON.
mod own {
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
}
