//! TOML with places: tables whose keys are known, values that say what was expected.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use crate::time::Nanos;

pub(super) type Node<'d> = Spanned<DeValue<'d>>;

/// A table of the file that may have certain keys only.
pub(super) struct Table<'t, 'd> {
    entries: &'t DeTable<'d>,
    /// Where it stands, for what is missing in it.
    pub(super) span: Range<usize>,
}

/// The value of a key.
#[derive(Clone, Copy)]
pub(super) struct Field<'t, 'd> {
    pub(super) key: &'t str,
    pub(super) node: &'t Node<'d>,
}

impl<'t, 'd> Table<'t, 'd> {
    /// Refuses keys that are not known; `what` names the table in messages: "a call".
    pub(super) fn new(
        entries: &'t DeTable<'d>,
        span: Range<usize>,
        what: &str,
        known: &[&str],
    ) -> Result<Self, Problem> {
        for (key, _) in in_order(entries) {
            if !known.contains(&&**key.get_ref()) {
                let name = key.get_ref();
                let message = format!("{what} has no `{name}`");
                return Err(Problem::new(key.span(), message).suggest(name, known.iter().copied()));
            }
        }
        Ok(Table { entries, span })
    }

    pub(super) fn get(&self, key: &'t str) -> Option<Field<'t, 'd>> {
        self.entries.get(key).map(|node| Field { key, node })
    }

    /// As [`Table::get`], for keys that must be there.
    pub(super) fn need(&self, key: &'t str, hint: &str) -> Result<Field<'t, 'd>, Problem> {
        self.get(key).ok_or_else(|| {
            Problem::new(self.span.clone(), format!("`{key}` is missing")).hint(hint)
        })
    }

    pub(super) fn nanos(&self, key: &'t str) -> Result<Option<Nanos>, Problem> {
        self.get(key).map(Field::nanos).transpose()
    }

    pub(super) fn number(&self, key: &'t str, most: u64) -> Result<Option<u64>, Problem> {
        self.get(key).map(|field| field.number(most)).transpose()
    }

    pub(super) fn bytes(&self, key: &'t str) -> Result<Option<u32>, Problem> {
        self.get(key).map(Field::bytes).transpose()
    }

    pub(super) fn flag(&self, key: &'t str) -> Result<Option<bool>, Problem> {
        self.get(key).map(Field::flag).transpose()
    }

    pub(super) fn text(&self, key: &'t str) -> Result<Option<&'t str>, Problem> {
        self.get(key).map(Field::text).transpose()
    }
}

/// The entries of a table in the order of the file.
pub(super) fn in_order<'t, 'd>(
    table: &'t DeTable<'d>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'d, str>>, &'t Node<'d>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Words for what a value is.
fn kind(node: &Node<'_>) -> &'static str {
    match node.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'t, 'd> Field<'t, 'd> {
    pub(super) fn span(self) -> Range<usize> {
        self.node.span()
    }

    fn expected(self, what: &str) -> Problem {
        let Field { key, node } = self;
        let message = format!("`{key}` is {what}, not {}", kind(node));
        Problem::new(node.span(), message)
    }

    pub(super) fn text(self) -> Result<&'t str, Problem> {
        match self.node.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.expected("text in quotes")),
        }
    }

    pub(super) fn flag(self) -> Result<bool, Problem> {
        match self.node.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number from 0 to `most`.
    pub(super) fn number(self, most: u64) -> Result<u64, Problem> {
        let range = || self.expected_range(most);
        match self.node.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| *number <= most)
                .ok_or_else(range),
            _ => Err(self.expected("a number")),
        }
    }

    fn expected_range(self, most: u64) -> Problem {
        let message = format!("`{}` is a number from 0 to {most}", self.key);
        Problem::new(self.node.span(), message)
    }

    pub(super) fn nanos(self) -> Result<Nanos, Problem> {
        let hint = "write it with its unit: \"250us\", \"1.5ms\", \"2s\"";
        let DeValue::String(text) = self.node.get_ref() else {
            return Err(self.expected("a span of time").hint(hint));
        };
        text.parse().map_err(|_| {
            let message = format!("`{text}` is no span of time");
            Problem::new(self.node.span(), message).hint(hint)
        })
    }

    /// A number of bytes: 4096 or "4KiB".
    pub(super) fn bytes(self) -> Result<u32, Problem> {
        let DeValue::String(text) = self.node.get_ref() else {
            return self.number(u64::from(u32::MAX)).map(|bytes| bytes as u32);
        };
        size(text).ok_or_else(|| {
            let message = format!("`{text}` is no number of bytes");
            Problem::new(self.node.span(), message)
                .hint("write 4096 or \"4KiB\"; the units are B, KiB and MiB")
        })
    }

    /// One text, or a list of them.
    pub(super) fn texts(self) -> Result<Vec<(Range<usize>, &'t str)>, Problem> {
        match self.node.get_ref() {
            DeValue::String(text) => Ok(vec![(self.span(), text)]),
            DeValue::Array(items) => items
                .iter()
                .map(|node| {
                    let field = Field { node, ..self };
                    Ok((node.span(), field.text()?))
                })
                .collect(),
            _ => Err(self.expected("text in quotes, or a list of such")),
        }
    }

    /// The items of a list.
    pub(super) fn items(self) -> Result<Vec<Field<'t, 'd>>, Problem> {
        match self.node.get_ref() {
            DeValue::Array(items) => Ok(items.iter().map(|node| Field { node, ..self }).collect()),
            _ => Err(self.expected("a list")),
        }
    }

    /// The tables of `[[key]]`, or those of a list.
    pub(super) fn tables(self) -> Result<Vec<(Range<usize>, &'t DeTable<'d>)>, Problem> {
        let DeValue::Array(items) = self.node.get_ref() else {
            let hint = format!("write [[{}]] once for each", self.key);
            return Err(self.expected("a list of tables").hint(hint));
        };
        let table = |node: &'t Node<'d>| Field { node, ..self }.table();
        items.iter().map(table).collect()
    }

    pub(super) fn table(self) -> Result<(Range<usize>, &'t DeTable<'d>), Problem> {
        match self.node.get_ref() {
            DeValue::Table(table) => Ok((self.span(), table)),
            _ => Err(self.expected("a table")),
        }
    }

    /// The value as JSON.
    pub(super) fn json(self) -> Result<Value, Problem> {
        json(self.node)
    }
}

fn json(node: &Node<'_>) -> Result<Value, Problem> {
    Ok(match node.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            i64::from_str_radix(digits, radix)
                .map(Value::from)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from))
                .map_err(|_| Problem::new(node.span(), "this number is too large"))?
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse::<f64>().ok();
            let number = parsed.and_then(serde_json::Number::from_f64);
            number
                .map(Value::Number)
                .ok_or_else(|| Problem::new(node.span(), "JSON has no such number"))?
        }
        DeValue::Datetime(_) => {
            return Err(Problem::new(
                node.span(),
                "JSON has no dates; put it in quotes",
            ));
        }
        DeValue::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let entries = in_order(table).into_iter();
            let entries = entries.map(|(key, node)| Ok((key.get_ref().to_string(), json(node)?)));
            Value::Object(entries.collect::<Result<_, Problem>>()?)
        }
    })
}

/// The places of a text's characters in the file, for errors inside of it. Exact for texts without
/// escapes; else the whole text is meant.
pub(super) fn inside(field: &Field<'_, '_>, source: &str, within: Range<usize>) -> Range<usize> {
    let outer = field.span();
    let raw = source.get(outer.clone()).unwrap_or("");
    let quoted = |mark: &str| raw.starts_with(mark).then_some(mark.len());
    let skip = ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(quoted);
    match (skip, field.text()) {
        (Some(skip), Ok(text)) if raw.get(skip..skip + text.len()) == Some(text) => {
            let start = outer.start + skip;
            start + within.start..start + within.end
        }
        _ => outer,
    }
}

/// Bytes from text: `4096`, `4KiB`, `1MiB`.
pub(super) fn size(text: &str) -> Option<u32> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let number: u32 = text[..split].trim().parse().ok()?;
    let unit = match text[split..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.checked_mul(unit)
}
