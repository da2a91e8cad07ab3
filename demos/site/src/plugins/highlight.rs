//! The highlight plugin: source code to HTML with classes, and the style sheet for the classes.
//!
//! tree-sitter rather than syntect, measured on one 430-byte sample in six languages (release
//! builds, 2 virtual cores): cold 46–73 ms against 196–257 ms, warm 0.1–0.6 ms against 0.2–2.2 ms a
//! block, a third of the HTML. syntect's binary is the smaller one (4.4 MB against 6.7 MB), but it
//! brings a `bincode` that is no longer maintained. A grammar's queries take about 8 ms to
//! compile, so each language is prepared when it is first met.

use std::sync::OnceLock;

use facet::Facet;
use tree_sitter_highlight::{
    Highlight as Capture, HighlightConfiguration, Highlighter, HtmlRenderer,
};
use tree_sitter_language::LanguageFn;

use crate::markup::escape;

/// Code blocks longer than this are shown without colours. In bytes.
const MAX_BLOCK_BYTES: usize = 256 << 10;

/// A block of source code.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeBlock {
    /// What the author called the language; may be empty or unknown.
    pub(crate) language: String,
    /// The code.
    pub(crate) text: String,
}

/// A block of code as HTML.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct HighlightedBlock {
    /// The content for a `<code>` element.
    pub(crate) html: String,
    /// The usual name of the language; empty when the plugin does not know it.
    pub(crate) language: String,
}

/// The highlight plugin.
#[rapace::service]
pub(crate) trait Highlight {
    /// Highlights `blocks`, one answer per block in order. Unknown languages come back escaped.
    #[rapace(idempotent)]
    async fn highlight(&self, blocks: Vec<CodeBlock>) -> Vec<HighlightedBlock>;
    /// The style sheet for the classes in the HTML, for light and dark pages.
    #[rapace(idempotent)]
    async fn stylesheet(&self) -> String;
}

/// The implementation of [`Highlight`].
pub(crate) struct HighlightPlugin;

impl Highlight for HighlightPlugin {
    async fn highlight(&self, blocks: Vec<CodeBlock>) -> Vec<HighlightedBlock> {
        let mut highlighter = Highlighter::new();
        blocks
            .into_iter()
            .map(|block| highlight(&mut highlighter, &block))
            .collect()
    }

    async fn stylesheet(&self) -> String {
        stylesheet()
    }
}

/// What a part of code is, as grammars name it, with its class and its light and dark colours.
/// A longer name wins over its prefix.
const STYLES: &[(&str, &str, &str, &str)] = &[
    ("attribute", "at", "#7a5c00", "#d8b45a"),
    ("boolean", "nu", "#9a4a00", "#e3a871"),
    ("comment", "co", "#6c7480", "#8b949e"),
    ("constant", "cn", "#9a4a00", "#e3a871"),
    ("constant.builtin", "nu", "#9a4a00", "#e3a871"),
    ("constructor", "ty", "#0f6b6b", "#6fc7c0"),
    ("embedded", "em", "inherit", "inherit"),
    ("escape", "es", "#9a4a00", "#e3a871"),
    ("function", "fn", "#2257a8", "#82b1f0"),
    ("function.builtin", "fn", "#2257a8", "#82b1f0"),
    ("function.macro", "ma", "#2257a8", "#82b1f0"),
    ("keyword", "kw", "#8a2f8f", "#d69be0"),
    ("label", "la", "#7a5c00", "#d8b45a"),
    ("module", "mo", "#0f6b6b", "#6fc7c0"),
    ("number", "nu", "#9a4a00", "#e3a871"),
    ("operator", "op", "#50545c", "#aab2bd"),
    ("property", "pr", "#2257a8", "#9cc4f5"),
    ("punctuation", "pu", "#50545c", "#aab2bd"),
    ("string", "st", "#2c6e2f", "#98c97c"),
    ("string.special", "es", "#9a4a00", "#e3a871"),
    ("string.special.key", "pr", "#2257a8", "#9cc4f5"),
    ("tag", "kw", "#8a2f8f", "#d69be0"),
    ("type", "ty", "#0f6b6b", "#6fc7c0"),
    ("type.builtin", "ty", "#0f6b6b", "#6fc7c0"),
    ("variable.builtin", "kw", "#8a2f8f", "#d69be0"),
    ("variable.parameter", "pa", "inherit", "inherit"),
];

/// A language: its usual name, what else authors call it, and its grammar once it is needed.
struct Language {
    name: &'static str,
    aliases: &'static [&'static str],
    load: fn() -> Option<HighlightConfiguration>,
    loaded: OnceLock<Option<HighlightConfiguration>>,
}

impl Language {
    const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        load: fn() -> Option<HighlightConfiguration>,
    ) -> Self {
        Self {
            name,
            aliases,
            load,
            loaded: OnceLock::new(),
        }
    }
}

static LANGUAGES: [Language; 7] = [
    Language::new("bash", &["sh", "shell", "console"], || {
        configure(
            tree_sitter_bash::LANGUAGE,
            "bash",
            tree_sitter_bash::HIGHLIGHT_QUERY,
        )
    }),
    Language::new("c", &["h"], || {
        configure(tree_sitter_c::LANGUAGE, "c", tree_sitter_c::HIGHLIGHT_QUERY)
    }),
    Language::new("javascript", &["js"], || {
        configure(
            tree_sitter_javascript::LANGUAGE,
            "javascript",
            tree_sitter_javascript::HIGHLIGHT_QUERY,
        )
    }),
    Language::new("json", &[], || {
        configure(
            tree_sitter_json::LANGUAGE,
            "json",
            tree_sitter_json::HIGHLIGHTS_QUERY,
        )
    }),
    Language::new("python", &["py"], || {
        configure(
            tree_sitter_python::LANGUAGE,
            "python",
            tree_sitter_python::HIGHLIGHTS_QUERY,
        )
    }),
    Language::new("rust", &["rs"], || {
        configure(
            tree_sitter_rust::LANGUAGE,
            "rust",
            tree_sitter_rust::HIGHLIGHTS_QUERY,
        )
    }),
    Language::new("toml", &[], || {
        configure(
            tree_sitter_toml_ng::LANGUAGE,
            "toml",
            tree_sitter_toml_ng::HIGHLIGHTS_QUERY,
        )
    }),
];

/// Prepares a grammar; nothing if its queries do not fit it, which a test rules out.
fn configure(grammar: LanguageFn, name: &str, query: &str) -> Option<HighlightConfiguration> {
    let mut configuration =
        HighlightConfiguration::new(grammar.into(), name, query, "", "").ok()?;
    let names: Vec<&str> = STYLES.iter().map(|(name, ..)| *name).collect();
    configuration.configure(&names);
    Some(configuration)
}

fn highlight(highlighter: &mut Highlighter, block: &CodeBlock) -> HighlightedBlock {
    let wanted = block.language.to_lowercase();
    let language = LANGUAGES
        .iter()
        .find(|language| language.name == wanted || language.aliases.contains(&wanted.as_str()));
    let Some(language) = language else {
        return HighlightedBlock {
            html: escape(&block.text),
            language: String::new(),
        };
    };
    let html = language
        .loaded
        .get_or_init(language.load)
        .as_ref()
        .filter(|_| block.text.len() <= MAX_BLOCK_BYTES)
        .and_then(|configuration| render(highlighter, configuration, &block.text))
        .unwrap_or_else(|| escape(&block.text));
    HighlightedBlock {
        html,
        language: language.name.to_owned(),
    }
}

/// The HTML of `text`, or nothing if the grammar gives up on it.
fn render(
    highlighter: &mut Highlighter,
    configuration: &HighlightConfiguration,
    text: &str,
) -> Option<String> {
    let events = highlighter
        .highlight(configuration, text.as_bytes(), None, None, |_| None)
        .ok()?;
    let mut renderer = HtmlRenderer::new();
    renderer
        .render(
            events,
            text.as_bytes(),
            &|Capture(index), output: &mut Vec<u8>| {
                let class = STYLES.get(index).map_or("", |(_, class, ..)| class);
                output.extend_from_slice(format!("class=\"hl-{class}\"").as_bytes());
            },
        )
        .ok()?;
    String::from_utf8(renderer.html).ok()
}

fn stylesheet() -> String {
    let mut classes: Vec<_> = STYLES
        .iter()
        .filter(|(_, _, light, _)| *light != "inherit")
        .map(|(_, class, light, dark)| (*class, *light, *dark))
        .collect();
    classes.sort_unstable();
    classes.dedup();
    let rules = classes.iter().map(|(class, light, dark)| {
        format!(".hl-{class} {{ color: light-dark({light}, {dark}); }}\n")
    });
    rules
        .chain([".hl-co { font-style: italic; }\n".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(language: &str, text: &str) -> HighlightedBlock {
        highlight(
            &mut Highlighter::new(),
            &CodeBlock {
                language: language.into(),
                text: text.into(),
            },
        )
    }

    #[test]
    fn every_grammar_fits_its_queries() {
        for language in &LANGUAGES {
            assert!((language.load)().is_some(), "{}", language.name);
        }
    }

    #[test]
    fn code_gets_classes_and_stays_escaped() {
        let block = one("rs", "fn main() { let a = 1 < 2; }\n");
        assert_eq!(block.language, "rust");
        assert!(
            block.html.contains("<span class=\"hl-kw\">fn</span>"),
            "{}",
            block.html
        );
        assert!(block.html.contains("&lt;"));
    }

    #[test]
    fn unknown_languages_are_escaped_and_nothing_else() {
        let block = one("klingon", "a < b");
        assert_eq!(
            (block.html.as_str(), block.language.as_str()),
            ("a &lt; b", "")
        );
    }

    #[test]
    fn every_class_has_one_style() {
        let sheet = stylesheet();
        for (_, class, light, _) in STYLES {
            let rules = sheet.matches(&format!(".hl-{class} {{ color")).count();
            assert_eq!(rules, usize::from(*light != "inherit"), "{class}");
        }
    }
}
