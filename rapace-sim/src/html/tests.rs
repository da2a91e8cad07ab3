use super::*;
use crate::fault::{Fault, FrameKind, Moment, What, When};
use crate::time::Nanos;
use crate::trace::{CallEnd, FrameEvent, LinkChange, ProcessChange, TraceEvent, TraceLink};

/// A plugin is killed in the middle of a call, comes back and answers.
const CRASH: &str = include_str!("fixtures/crash.json");

fn crash() -> Trace {
    serde_json::from_str(CRASH).expect("the fixture is a trace")
}

/// A trace whose every text says `words`.
fn saying(words: &str) -> Trace {
    let said = || words.to_owned();
    let happen = [
        Happening::Process {
            process: said(),
            life: 1,
            change: ProcessChange::Exited(said()),
        },
        Happening::Link {
            link: said(),
            life: 1,
            change: LinkChange::Ended {
                at: said(),
                reason: said(),
            },
        },
        Happening::Frame(FrameEvent {
            link: said(),
            life: 1,
            from: said(),
            to: said(),
            received: Some(Nanos(7)),
            channel: 1,
            verb: FrameKind::Request,
            flags: vec![said()],
            deadline: None,
            credit: Some(1),
            method: Some(said()),
            text: said(),
            payload_bytes: 3,
            payload_hash: said(),
        }),
        Happening::Fault {
            fault: Fault {
                when: When::Frame {
                    from: said(),
                    kind: FrameKind::Any,
                    n: 1,
                    moment: Moment::Before,
                },
                what: What::CutHalf {
                    link: said(),
                    from: said(),
                },
            },
            hit: true,
        },
        Happening::Call {
            process: said(),
            call: 1,
            label: said(),
            outcome: Some(CallEnd::Err(said())),
        },
        Happening::Mark { name: said() },
        Happening::Note {
            process: said(),
            text: said(),
        },
        Happening::Failure { text: said() },
    ];
    let event = |what| TraceEvent { at: Nanos(5), what };
    Trace {
        processes: vec![said()],
        links: vec![TraceLink {
            name: said(),
            transport: said(),
            ends: [said(), said()],
        }],
        events: happen.into_iter().map(event).collect(),
        ..Trace::default()
    }
}

/// The names of the tags of a page, in order: `p`, then `/p`. What stands in `style` and `script`
/// is no markup up to their end tags, as in browsers.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').expect("every tag ends");
        let name = tag.split_whitespace().next().expect("every tag has a name");
        tags.push(name.to_owned());
        rest = after;
        if name == "script" || name == "style" {
            let end = format!("</{name}");
            rest = &after[after.find(&end).expect("every script and style ends")..];
        }
    }
    tags
}

#[test]
fn every_element_of_a_page_is_closed() {
    const VOID: [&str; 2] = ["meta", "input"];
    let page = page(&crash(), "crash");
    let mut open = Vec::new();
    for tag in tags(&page).into_iter().skip(1) {
        match tag.strip_prefix('/') {
            None if VOID.contains(&tag.as_str()) => {}
            None => open.push(tag),
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed)),
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn what_a_trace_says_never_becomes_markup() {
    let plain = tags(&page(&saying("quiet"), "quiet"));
    for attack in [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "</SCRIPT ><img src=x onerror=alert(1)>",
        "<!-- <script>",
        "]]><svg onload=alert(1)>",
        "</title></style><h1>",
        "\" onload=\"alert(1)\" x='",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "{{data}} {{scripts}} }} {{",
        "\u{2028}\u{2029}\u{0}\\u003c\\",
    ] {
        let trace = saying(attack);
        let page = page(&trace, attack);
        assert_eq!(tags(&page), plain, "{attack}");
        assert_eq!(trace_of(&page).expect(attack), trace, "{attack}");
    }
}

#[test]
fn nothing_but_escapes_stands_for_angle_brackets_in_the_data() {
    let page = page(&saying("<b>&\u{2028}\u{2029}</b><!--"), "t");
    let (_, data) = page.split_once(DATA_OPENS).expect("a page has data");
    let (data, _) = data.split_once(DATA_ENDS).expect("the data ends");
    assert_eq!(data.find(['<', '>', '&', '\u{2028}', '\u{2029}']), None);
    assert!(data.contains(r"\u003cb\u003e\u0026\u2028\u2029\u003c/b\u003e\u003c!--"));
}

#[test]
fn a_page_gives_its_trace_back() {
    let trace = crash();
    assert_eq!(
        trace_of(&page(&trace, "crash")).expect("a page of ours"),
        trace
    );
    for other in ["", "<html></html>", DATA_OPENS] {
        assert!(matches!(trace_of(other), Err(NotAPage::NoData)), "{other}");
    }
    let broken = format!("{DATA_OPENS}{{}}{DATA_ENDS}");
    assert!(matches!(trace_of(&broken), Err(NotAPage::Unreadable(_))));
}

#[test]
fn equal_traces_give_equal_pages() {
    assert_eq!(page(&crash(), "crash"), page(&crash(), "crash"));
    let mut other = crash();
    other.events.pop();
    assert_ne!(page(&crash(), "crash"), page(&other, "crash"));
}

#[test]
fn faults_are_on_the_page_in_words() {
    let page = page(&crash(), "crash");
    assert!(page.contains("restart images after 20ms"));
    assert!(page.contains("after host sends its request 2"));
}

#[test]
fn a_page_loads_nothing() {
    let page = page(&crash(), "crash");
    assert!(page.contains("default-src 'none'"));
    for loads in [
        "src=",
        "href=",
        "url(",
        "@import",
        "fetch(",
        "import(",
        "XMLHttpRequest",
    ] {
        assert!(!page.contains(loads), "{loads}");
    }
    // Names, not addresses: the only one is that of SVG, which is never loaded.
    let addresses: Vec<_> = page.match_indices("://").collect();
    assert_eq!(
        addresses.len(),
        page.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn scripts_put_text_on_the_screen_as_text_only() {
    for script in SCRIPTS {
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
        ] {
            assert!(!script.contains(markup), "{markup}");
        }
        assert!(!script.contains("</script") && !script.contains("<!--"));
    }
    assert!(!STYLE.contains("</style"));
}

#[test]
fn the_scripts_know_every_kind_of_event() {
    for kind in FrameKind::ALL {
        let name = format!("\"{}\"", kind.name());
        assert!(
            SCRIPTS[0].contains(&name),
            "{name} has no place among the filters"
        );
    }
    for event in saying("x").events {
        let json = serde_json::to_value(&event).expect("an event is JSON");
        let tag = json["event"].as_str().expect("every event has a tag");
        let reader = format!("\n  {tag}(event, raw");
        assert!(SCRIPTS[0].contains(&reader), "nothing reads {tag}");
    }
}
