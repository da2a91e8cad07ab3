//! The TOML block between `+++` lines at the top of a page.

use serde::Deserialize;

/// The line that opens and closes the block.
const FENCE: &str = "+++";

/// What a page says about itself.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrontMatter {
    /// The title of the page.
    pub(crate) title: String,
    /// A sentence about it.
    #[serde(default)]
    pub(crate) summary: String,
    /// Where it stands in its section: smaller first, then by title.
    #[serde(default)]
    pub(crate) order: i32,
    /// Left out of the site while true.
    #[serde(default)]
    pub(crate) draft: bool,
}

/// A page taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SplitPage<'a> {
    /// What stood in the block.
    pub(crate) front: FrontMatter,
    /// The line that the body starts on, counted from 1.
    pub(crate) first_line: u32,
    /// The Markdown text.
    pub(crate) body: &'a str,
}

/// What is wrong with a block, and on which line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FrontMatterError {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Lower case.
    pub(crate) message: String,
}

/// Takes `text` apart.
pub(crate) fn split(text: &str) -> Result<SplitPage<'_>, FrontMatterError> {
    let mut lines = text.split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some(FENCE) {
        return Err(FrontMatterError {
            line: 1,
            message: format!("front matter is missing; begin the page with a {FENCE} line"),
        });
    }
    let block_start = text.find('\n').map_or(text.len(), |end| end + 1);
    let mut block_end = block_start;
    for (index, line) in lines.enumerate() {
        if line.trim_end() == FENCE {
            let front = parse(&text[block_start..block_end])?;
            let body = &text[block_end + line.len()..];
            // The opening fence, the lines before this one, this one, and one further.
            return Ok(SplitPage {
                front,
                first_line: index as u32 + 3,
                body,
            });
        }
        block_end += line.len();
    }
    Err(FrontMatterError {
        line: 1,
        message: format!("front matter does not end; close it with a {FENCE} line"),
    })
}

fn parse(block: &str) -> Result<FrontMatter, FrontMatterError> {
    toml::from_str(block).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start).min(block.len());
        let before = block.get(..offset).unwrap_or(block).matches('\n').count();
        FrontMatterError {
            line: before as u32 + 2,
            message: format!("front matter: {}", error.message().replace('\n', "; ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = split("+++\ntitle = \"A\"\norder = 3\n+++\n\n# Body\n").unwrap();
        assert_eq!((page.front.title.as_str(), page.front.order), ("A", 3));
        assert_eq!((page.first_line, page.body), (5, "\n# Body\n"));
    }

    #[test]
    fn a_fault_names_its_line() {
        let unknown = split("+++\ntitle = \"A\"\n\nauthor = 1\n+++\n").unwrap_err();
        assert_eq!(unknown.line, 4);
        assert!(unknown.message.contains("author"), "{}", unknown.message);
        let syntax = split("+++\ntitle = \"A\"\norder = [\n+++\n").unwrap_err();
        assert!((3..=4).contains(&syntax.line), "{syntax:?}");
        let wrong_type = split("+++\ntitle = \"A\"\norder = \"first\"\n+++\n").unwrap_err();
        assert_eq!(wrong_type.line, 3);
    }

    #[test]
    fn a_missing_or_open_block_is_a_fault() {
        assert!(split("# Body\n").unwrap_err().message.contains("missing"));
        assert!(split("").unwrap_err().message.contains("missing"));
        assert!(
            split("+++\ntitle = \"A\"\n")
                .unwrap_err()
                .message
                .contains("does not end")
        );
    }
}
