//! Pages rendered with a host that knows two files.

use rapace::Session;

use super::*;

struct TestHost;

impl SiteHost for TestHost {
    async fn resolve_links(&self, page: String, links: Vec<LinkQuery>) -> Vec<LinkAnswer> {
        assert_eq!(page, "guide/page.md");
        links
            .into_iter()
            .map(|link| match link.target.as_str() {
                "other.md" => LinkAnswer::Page {
                    href: "other.html".into(),
                    page: link.target,
                },
                "other.md#there" => LinkAnswer::Page {
                    href: "other.html#there".into(),
                    page: "other.md".into(),
                },
                "p.jpg" => LinkAnswer::Picture(PictureSet {
                    src: "p.jpg".into(),
                    srcset: "p-480.jpg 480w, p.jpg 900w".into(),
                    width: 900,
                    height: 600,
                }),
                target if target.starts_with("https:") => LinkAnswer::External,
                _ => LinkAnswer::Broken {
                    reason: "no such file".into(),
                },
            })
            .collect()
    }

    async fn template(&self, name: String) -> Option<String> {
        match name.as_str() {
            "heading.html" => {
                Some("<h{{ level }} id=\"{{ id }}\">{{ content|safe }}</h{{ level }}>\n".into())
            }
            "picture.html" => Some("<img src=\"{{ src }}\" alt=\"{{ alt }}\">".into()),
            _ => None,
        }
    }
}

fn render(body: &str) -> RenderedPage {
    let page = PageSource {
        path: "guide/page.md".into(),
        first_line: 5,
        body: body.to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (host_end, plugin_end) = rapace::mem::pair();
        let _plugin = Session::builder()
            .serve(MarkdownServer::new(MarkdownPlugin))
            .accept(plugin_end)
            .unwrap();
        let host = Session::builder()
            .serve(SiteHostServer::new(TestHost))
            .connect(host_end)
            .unwrap();
        let client: MarkdownClient = host.client();
        client.render(page).await.unwrap().unwrap()
    })
}

fn html(page: &RenderedPage) -> String {
    page.pieces
        .iter()
        .map(|piece| match piece {
            Piece::Html(text) => text.clone(),
            Piece::Code(code) => format!("[{}:{}]", code.language, code.text.trim()),
        })
        .collect()
}

#[test]
fn links_lead_where_the_host_says() {
    let page =
        render("See [it](other.md), [there](other.md#there) and [out](https://example.org).");
    assert_eq!(
        html(&page),
        "<p>See <a href=\"other.html\">it</a>, <a href=\"other.html#there\">there</a> and \
         <a class=\"external\" href=\"https://example.org\">out</a>.</p>\n"
    );
    assert_eq!(
        page.fragments,
        [FragmentUse {
            line: 5,
            page: "other.md".into(),
            fragment: "there".into()
        }]
    );
}

#[test]
fn a_broken_link_names_the_line_of_the_file() {
    let page = render("one\n\ntwo\n[three](missing.md)\n");
    assert_eq!(
        page.broken,
        [BrokenLink {
            line: 8,
            target: "missing.md".into(),
            reason: "no such file".into()
        }]
    );
}

#[test]
fn headings_get_unique_anchors() {
    let page = render("## Set up\n\n## Set up\n\n## `code` & more\n\n## Mine {#own}\n");
    let ids: Vec<_> = page
        .headings
        .iter()
        .map(|heading| heading.id.as_str())
        .collect();
    assert_eq!(ids, ["set-up", "set-up-1", "code--more", "own"]);
    assert!(html(&page).contains("<h2 id=\"code--more\"><code>code</code> &amp; more</h2>"));
}

#[test]
fn code_blocks_are_pieces_of_their_own_inside_lists_too() {
    let page = render("- item\n\n  ```rust,no_run\n  fn a() {}\n  ```\n- next\n");
    assert_eq!(page.pieces.len(), 3);
    assert_eq!(
        page.pieces[1],
        Piece::Code(CodeBlock {
            language: "rust".into(),
            text: "fn a() {}\n".into()
        })
    );
}

#[test]
fn a_lone_picture_is_no_paragraph() {
    assert_eq!(
        html(&render("![a *b*](p.jpg)")),
        "<img src=\"p.jpg\" alt=\"a b\">\n"
    );
    assert_eq!(
        html(&render("x ![a](p.jpg)")),
        "<p>x <img src=\"p.jpg\" alt=\"a\"></p>\n"
    );
}

#[test]
fn footnotes_are_numbered_in_order_of_use() {
    let page =
        render("B[^b] a[^a] b[^b]\n\n[^a]: alpha\n\n[^b]: beta\n\n    ```c\n    x\n    ```\n");
    let text = html(&page);
    assert!(text.contains("B<sup class=\"footnote-ref\"><a href=\"#fn-1\" id=\"fnref-1\">1</a>"));
    let (beta, alpha) = (text.find("beta").unwrap(), text.find("alpha").unwrap());
    assert!(beta < alpha);
    assert!(text.contains("[c:x]"));
}

#[test]
fn tables_survive_the_walk() {
    let text = html(&render("| a | b |\n|---|--:|\n| [x](other.md) | 2 |\n"));
    assert!(text.contains("<td><a href=\"other.html\">x</a></td>"));
    assert!(text.contains("<td style=\"text-align: right\">2</td>"));
}

#[test]
fn search_text_has_words_but_no_code_blocks() {
    let page = render("## Head\n\nOne *two*\nthree.\n\n```sh\nrm\n```\n\nFour `five`.");
    assert_eq!(page.text, "Head One two three. Four five.");
}
