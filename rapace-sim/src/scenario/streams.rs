//! `send`, `read` and `reads`: what goes through the streams and tunnels of a call.
//!
//! A call that can send on one of them, or read from one, says it without a name; with several, each
//! is named: `send.left = { … }`.

use std::ops::Range;

use rapace_codec::Schema;
use serde_json::Value;

use super::document::{Field, Table, in_order};
use super::error::Problem;
use super::invocation::{self, Parsed};
use super::model::{PortScript, Read, Reads, Send};
use super::ports::{self, Port};
use super::services::Services;

/// The keys of `send`.
pub(super) const SEND: &[&str] = &["items", "item_bytes", "bytes", "text", "every", "keep_open"];
/// The keys of `read`.
pub(super) const READ: &[&str] = &["start", "every", "stop_after", "text"];

/// The most items of a stream that a number stands for.
const ITEMS_MAX: u64 = 1 << 24;

/// What `reads` may be, for hints.
const COUNTS: &str = "write 1000, \"at least 3\", \"at most 10\", \"3 to 10\", or list the items";

/// Reads what stands in a `[[call]]`.
pub(super) fn read(table: &Table<'_, '_>, parsed: &Parsed) -> Result<Vec<PortScript>, Problem> {
    let mut scripts: Vec<PortScript> = parsed
        .ports
        .iter()
        .map(|port| plain(port, parsed))
        .collect();
    let method = Method { parsed };
    for (port, field) in method.spoken_of(table, Key::Send)? {
        scripts[port].send = method.send(&parsed.ports[port], field)?;
    }
    for (port, field) in method.spoken_of(table, Key::Read)? {
        scripts[port].read = method.read(&parsed.ports[port], field)?;
    }
    for (port, field) in method.spoken_of(table, Key::Reads)? {
        scripts[port].reads = method.reads(&parsed.ports[port], field)?;
    }
    Ok(scripts)
}

/// A stream or tunnel of which nothing is said.
fn plain(port: &Port<'_>, parsed: &Parsed) -> PortScript {
    PortScript {
        name: port.name(),
        number: port.number,
        item: port.item.cloned(),
        returned: port.returned,
        absent: !port.returned && !parsed.present.contains(&port.number),
        send: Send::default(),
        read: Read::default(),
        reads: Reads::Any,
    }
}

/// The keys of a call that speak of streams and tunnels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Send,
    Read,
    Reads,
}

impl Key {
    fn word(self) -> &'static str {
        match self {
            Key::Send => "send",
            Key::Read => "read",
            Key::Reads => "reads",
        }
    }

    /// Whether it can speak of this one.
    fn fits(self, port: &Port<'_>) -> bool {
        match self {
            Key::Send => port.takes(),
            Key::Read | Key::Reads => port.gives(),
        }
    }

    /// Whether a key of its table says something of a stream or tunnel, and names none.
    fn says(self, key: &str) -> bool {
        match self {
            Key::Send => SEND.contains(&key),
            Key::Read => READ.contains(&key),
            Key::Reads => false,
        }
    }

    /// An example of what it says of one, for hints.
    fn example(self) -> &'static str {
        match self {
            Key::Send => "{ … }",
            Key::Read => "{ every = \"1ms\" }",
            Key::Reads => "3",
        }
    }
}

/// A key and what it is, of those that name one of several ports.
type Named<'t, 'd> = (usize, Field<'t, 'd>);

/// The method that is called, with its ports.
struct Method<'s> {
    parsed: &'s Parsed,
}

impl Method<'_> {
    fn name(&self) -> &str {
        &self.parsed.invocation.method
    }

    fn problem(&self, span: Range<usize>, message: String) -> Problem {
        Problem::new(span, message).hint(invocation::signature(self.parsed.info, self.name()))
    }

    /// What is wrong with this, with the method in front.
    fn wrong(&self, field: &Field<'_, '_>, what: &str) -> Problem {
        self.problem(field.span(), format!("`{}` {what}", self.name()))
    }

    /// The ports that a key speaks of, by their places in the list of all, and what it says of each.
    fn spoken_of<'t, 'd>(
        &self,
        table: &Table<'t, 'd>,
        key: Key,
    ) -> Result<Vec<Named<'t, 'd>>, Problem> {
        let Some(field) = table.get(key.word()) else {
            return Ok(Vec::new());
        };
        let ports = self.parsed.ports.iter().enumerate();
        let fitting: Vec<usize> = ports
            .filter(|(_, port)| key.fits(port))
            .map(|(at, _)| at)
            .collect();
        let named = match fitting.as_slice() {
            [] => {
                let verb = if key == Key::Send { "takes" } else { "gives" };
                return Err(self.wrong(&field, &format!("{verb} no stream or tunnel")));
            }
            [only] => {
                self.names_nothing(key, *only, &field)?;
                vec![(*only, field)]
            }
            several => {
                let mut named = Vec::new();
                self.named(key, several, &mut Vec::new(), field, &mut named)?;
                named
            }
        };
        for (at, field) in &named {
            let port = &self.parsed.ports[*at];
            if !port.returned && !self.parsed.present.contains(&port.number) {
                let message = format!("`{}` is left out of the arguments here", port.name());
                return Err(self.problem(field.span(), message));
            }
        }
        Ok(named)
    }

    /// Where there is one to speak of, its name is no key.
    fn names_nothing(&self, key: Key, only: usize, field: &Field<'_, '_>) -> Result<(), Problem> {
        let Ok((_, entries)) = field.table() else {
            return Ok(());
        };
        let port = &self.parsed.ports[only];
        let first = port.path.first().map(String::as_str);
        for (entry, _) in in_order(entries) {
            let is_name = Some(&**entry.get_ref()) == first && !key.says(entry.get_ref());
            if is_name || key == Key::Reads {
                let (word, which) = (key.word(), port.word());
                let message = format!("`{}` has one {which} here, which is not named", self.name());
                let hint = format!("write {word} = {}", key.example());
                return Err(Problem::new(entry.span(), message).hint(hint));
            }
        }
        Ok(())
    }

    /// Where there are several to speak of, tables within tables lead to what is said of each.
    fn named<'t, 'd>(
        &self,
        key: Key,
        fitting: &[usize],
        path: &mut Vec<String>,
        field: Field<'t, 'd>,
        found: &mut Vec<Named<'t, 'd>>,
    ) -> Result<(), Problem> {
        let ports = &self.parsed.ports;
        let Ok((_, entries)) = field.table() else {
            return Err(self.which(key, fitting, field.span()));
        };
        for (entry, node) in in_order(entries) {
            let word = entry.get_ref();
            path.push(word.to_string());
            let under = |at: &&usize| ports[**at].path.starts_with(path);
            let within: Vec<usize> = fitting.iter().filter(under).copied().collect();
            let field = Field { key: word, node };
            match within.as_slice() {
                [] if key.says(word) => return Err(self.which(key, fitting, entry.span())),
                [] => return Err(self.unknown(key, fitting, path, entry.span())),
                [one] if ports[*one].path == *path => found.push((*one, field)),
                several => self.named(key, several, path, field, found)?,
            }
            path.pop();
        }
        Ok(())
    }

    /// It is not said which one of several is meant.
    fn which(&self, key: Key, fitting: &[usize], span: Range<usize>) -> Problem {
        let ports = fitting.iter().map(|at| &self.parsed.ports[*at]);
        let word = key.word();
        let all: Vec<String> = ports
            .map(|port| format!("{word}.{} = {}", port.name(), key.example()))
            .collect();
        let verb = if key == Key::Send { "takes" } else { "gives" };
        let message = format!(
            "`{}` {verb} several streams or tunnels: say which one `{word}` is about",
            self.name()
        );
        Problem::new(span, message).hint(format!("write one of:\n  {}", all.join("\n  ")))
    }

    fn unknown(&self, key: Key, fitting: &[usize], path: &[String], span: Range<usize>) -> Problem {
        let name = ports::name(path);
        let verb = if key == Key::Send { "takes" } else { "gives" };
        let message = format!(
            "`{}` {verb} no stream or tunnel that is called `{name}`",
            self.name()
        );
        let names = fitting.iter().map(|at| self.parsed.ports[*at].name());
        let names: Vec<String> = names.collect();
        Problem::new(span, message).suggest(&name, names.iter().map(String::as_str))
    }

    fn makes_items(&self) -> bool {
        Services::makes_items(&self.parsed.invocation.service)
    }

    fn send(&self, port: &Port<'_>, field: Field<'_, '_>) -> Result<Send, Problem> {
        let (span, entries) = field.table()?;
        let table = Table::new(entries, span, "`send`", SEND)?;
        self.only_for(port, &table, &["items", "item_bytes"], &["bytes", "text"])?;
        let mut send = Send {
            item_bytes: table.bytes("item_bytes")?.unwrap_or(0),
            bytes: table.bytes("bytes")?.unwrap_or(0),
            text: table.text("text")?.map(str::to_owned),
            every: table.nanos("every")?.unwrap_or_default(),
            keep_open: table.flag("keep_open")?.unwrap_or(false),
            ..Send::default()
        };
        if let Some((field, item)) = table.get("items").zip(port.item) {
            match field.items() {
                Ok(items) => send.values = Some(self.listed(&items, item)?),
                Err(_) if self.makes_items() => send.items = field.number(ITEMS_MAX)? as u32,
                Err(_) => {
                    let text = "is sent what the script lists: items = [1, 2, 3]";
                    return Err(self.wrong(&field, text));
                }
            }
        }
        Ok(send)
    }

    fn read(&self, port: &Port<'_>, field: Field<'_, '_>) -> Result<Read, Problem> {
        let (span, entries) = field.table()?;
        let table = Table::new(entries, span, "`read`", READ)?;
        self.only_for(port, &table, &[], &["text"])?;
        Ok(Read {
            start: table.nanos("start")?.unwrap_or_default(),
            every: table.nanos("every")?.unwrap_or_default(),
            stop_after: table.number("stop_after", u64::from(u32::MAX))?,
            text: table.text("text")?.map(str::to_owned),
        })
    }

    /// Refuses what cannot be said of a stream, or of a tunnel.
    fn only_for(
        &self,
        port: &Port<'_>,
        table: &Table<'_, '_>,
        streams: &[&'static str],
        tunnels: &[&'static str],
    ) -> Result<(), Problem> {
        let keys = if port.item.is_some() {
            tunnels
        } else {
            streams
        };
        match keys.iter().find_map(|key| table.get(key)) {
            None => Ok(()),
            Some(field) => {
                let (other, is) = match port.item {
                    Some(_) => ("tunnels", "stream"),
                    None => ("streams", "tunnel"),
                };
                let message = format!(
                    "`{}` is for {other}, and `{}` of `{}` is a {is}",
                    field.key,
                    port.name(),
                    self.name()
                );
                Err(self.problem(field.span(), message))
            }
        }
    }

    fn reads(&self, port: &Port<'_>, field: Field<'_, '_>) -> Result<Reads, Problem> {
        if let Ok(items) = field.items() {
            let Some(item) = port.item else {
                let text = format!("gives bytes in `{}`, and no items", port.name());
                let hint = "count them, or say what they are: read = { text = \"…\" }";
                return Err(self.wrong(&field, &text).hint(hint));
            };
            return Ok(Reads::Items(self.listed(&items, item)?));
        }
        if field.text() == Ok("absent") {
            if port.required {
                let text = format!("always has a {} in `{}`", port.word(), port.name());
                return Err(self.wrong(&field, &text));
            }
            return Ok(Reads::Absent);
        }
        count(field)
    }

    /// Items that are listed, which must be of the type of the stream.
    fn listed(&self, items: &[Field<'_, '_>], item: &Schema) -> Result<Vec<Value>, Problem> {
        let value = |field: &Field<'_, '_>| {
            let value = field.json()?;
            match item.json_to_postcard(&value) {
                Ok(_) => Ok(value),
                Err(error) => {
                    Err(self.wrong(field, &format!("has items of another type: {error}")))
                }
            }
        };
        items.iter().map(value).collect()
    }
}

/// `1000`, or `"at least 3"`, `"at most 10"`, `"3 to 10"`.
fn count(field: Field<'_, '_>) -> Result<Reads, Problem> {
    let Ok(text) = field.text() else {
        let count = field.number(u64::from(u32::MAX));
        let count = count.map_err(|problem| problem.hint(COUNTS))?;
        return Ok(Reads::Count {
            least: count,
            most: count,
        });
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.parse::<u64>().ok();
    let range = match words.as_slice() {
        ["at", "least", least] => number(least).map(|least| (least, u64::MAX)),
        ["at", "most", most] => number(most).map(|most| (0, most)),
        [least, "to", most] => number(least).zip(number(most)),
        _ => None,
    };
    let (least, most) = range
        .ok_or_else(|| Problem::new(field.span(), format!("`{text}` is no count")).hint(COUNTS))?;
    Ok(Reads::Count { least, most })
}
