//! The streams and tunnels of a method by the names that scripts call them.
//!
//! A name is the place in the method's declaration: `names` for an argument, `feeds.left` for a field
//! of one; `0` or `Ok.left` for a place in what is returned, written as in JSON, where options add
//! nothing. What is returned whole is `return`.

use std::collections::BTreeSet;

use rapace_codec::Schema;
use rapace_session::method::MethodInfo;
use serde_json::Value;

/// The words that stand for a stream and for a tunnel in arguments, and in what is returned.
pub(super) const STREAM: &str = "stream";
pub(super) const TUNNEL: &str = "tunnel";

/// The name of a stream or tunnel that is the whole of what a method returns. No argument can be
/// called so.
const RETURN: &str = "return";

/// What stands in arguments where the script has one of the two words, until it is known which port
/// is meant.
const MARK: char = '\0';

/// A stream or tunnel in a method's signature.
#[derive(Clone, Debug)]
pub(super) struct Port<'s> {
    /// Its name: one word for each step.
    pub(super) path: Vec<String>,
    /// Its number on the wire.
    pub(super) number: u32,
    /// The type of a stream's items; `None` for tunnels.
    pub(super) item: Option<&'s Schema>,
    /// Whether it stands in what is returned.
    pub(super) returned: bool,
    /// Whether it is there in every value.
    pub(super) required: bool,
}

impl Port<'_> {
    /// The name as scripts write it.
    pub(super) fn name(&self) -> String {
        name(&self.path)
    }

    /// What it is.
    pub(super) fn word(&self) -> &'static str {
        word(self.item.is_none())
    }

    /// Whether the caller can send on it.
    pub(super) fn takes(&self) -> bool {
        !self.returned || self.item.is_none()
    }

    /// Whether the caller can read from it.
    pub(super) fn gives(&self) -> bool {
        self.returned || self.item.is_none()
    }
}

/// The word for a stream or a tunnel.
pub(super) fn word(is_tunnel: bool) -> &'static str {
    if is_tunnel { TUNNEL } else { STREAM }
}

/// Words with dots between them, in quotes where TOML wants them.
pub(super) fn name(path: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words = path.iter().map(|word| {
        if !word.is_empty() && word.chars().all(bare) {
            word.clone()
        } else {
            format!("{word:?}")
        }
    });
    words.collect::<Vec<_>>().join(".")
}

/// All streams and tunnels of a method, in order of declaration.
pub(super) fn of(info: &MethodInfo) -> Vec<Port<'_>> {
    let mut found = Vec::new();
    for (name, wanted) in &info.schema.args {
        leaves(wanted, &mut vec![name.clone()], true, &mut found);
    }
    let returned_from = found.len();
    leaves(&info.schema.ret, &mut Vec::new(), true, &mut found);
    let number = |at: usize| info.ports.get(at).map_or(0, |declared| declared.port);
    let mut ports: Vec<Port<'_>> = found
        .into_iter()
        .enumerate()
        .map(|(at, (path, item, required))| Port {
            path,
            number: number(at),
            item,
            returned: at >= returned_from,
            required,
        })
        .collect();
    let (args, returned) = ports.split_at_mut(returned_from);
    for port in returned {
        // Only tunnels are spoken of in both directions and can be mistaken for one another.
        let mistaken = |arg: &Port<'_>| {
            let either = arg.item.is_none() || port.item.is_none();
            either && arg.path.first() == port.path.first()
        };
        if port.path.is_empty() || args.iter().any(mistaken) {
            port.path.insert(0, RETURN.to_owned());
        }
    }
    ports
}

/// The place of a port, the type of its items unless it is a tunnel, whether it is always there.
type Leaf<'s> = (Vec<String>, Option<&'s Schema>, bool);

fn leaves<'s>(
    schema: &'s Schema,
    path: &mut Vec<String>,
    required: bool,
    found: &mut Vec<Leaf<'s>>,
) {
    let mut step = |name: String, inner: &'s Schema, required: bool| {
        path.push(name);
        leaves(inner, path, required, found);
        path.pop();
    };
    match schema {
        Schema::Stream(item) => found.push((path.clone(), Some(item), required)),
        Schema::Tunnel => found.push((path.clone(), None, required)),
        Schema::Option(inner) => leaves(inner, path, false, found),
        Schema::Tuple(parts) => {
            for (at, part) in parts.iter().enumerate() {
                step(at.to_string(), part, required);
            }
        }
        Schema::Struct(parts) => {
            for field in &parts.fields {
                step(field.name.clone(), &field.schema, required);
            }
        }
        Schema::Enum(parts) => {
            for variant in &parts.variants {
                if let Some(payload) = &variant.payload {
                    step(variant.name.clone(), payload, false);
                }
            }
        }
        // The codec refuses streams and tunnels anywhere else.
        _ => {}
    }
}

/// JSON with the two words in it, bare, as a value in which they are marked.
pub(super) fn marked(text: &str) -> Result<Value, serde_json::Error> {
    let mut json = String::with_capacity(text.len());
    let mut rest = 0;
    for span in bare_words(text) {
        let word = &text[span.clone()];
        if word == STREAM || word == TUNNEL {
            json.push_str(&text[rest..span.start]);
            json.push_str("\"\\u0000");
            json.push_str(word);
            json.push('"');
            rest = span.end;
        }
    }
    json.push_str(&text[rest..]);
    serde_json::from_str(&json)
}

/// Where words stand outside of quotes.
pub(super) fn bare_words(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut words: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ if c.is_alphanumeric() || c == '_' || c == '.' => match words.last_mut() {
                Some(last) if last.end == at => last.end += c.len_utf8(),
                _ => words.push(at..at + c.len_utf8()),
            },
            _ => {}
        }
    }
    words.retain(|span| text[span.clone()].starts_with(|c: char| c.is_alphabetic() || c == '_'));
    words
}

fn marked_word(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(MARK)
}

/// Puts the number of its port in each marked place of an argument.
pub(super) struct Places<'p> {
    ports: &'p [Port<'p>],
    /// The ports of the arguments that have a value.
    pub(super) present: BTreeSet<u32>,
    path: Vec<String>,
}

impl<'p> Places<'p> {
    pub(super) fn new(ports: &'p [Port<'p>]) -> Self {
        Places {
            ports,
            present: BTreeSet::new(),
            path: Vec::new(),
        }
    }

    /// Goes through an argument.
    ///
    /// # Errors
    ///
    /// A sentence about a place that has a word and no port, or a port and no word.
    pub(super) fn argument(
        &mut self,
        name: &str,
        wanted: &Schema,
        value: &mut Value,
    ) -> Result<(), String> {
        self.path = vec![name.to_owned()];
        self.fill(wanted, value)
    }

    fn fill(&mut self, wanted: &Schema, value: &mut Value) -> Result<(), String> {
        match (wanted, value) {
            (Schema::Stream(_) | Schema::Tunnel, value) => self.port(value),
            (Schema::Option(inner), value) if !value.is_null() => self.fill(inner, value),
            (Schema::Tuple(parts), Value::Array(items)) => {
                for (at, (part, item)) in parts.iter().zip(items).enumerate() {
                    self.step(&at.to_string(), part, item)?;
                }
                Ok(())
            }
            (Schema::Struct(parts), Value::Object(fields)) => {
                for part in &parts.fields {
                    if let Some(value) = fields.get_mut(&part.name) {
                        self.step(&part.name, &part.schema, value)?;
                    }
                }
                Ok(())
            }
            (Schema::Enum(parts), Value::Object(fields)) => {
                for part in &parts.variants {
                    if let (Some(payload), Some(value)) =
                        (&part.payload, fields.get_mut(&part.name))
                    {
                        self.step(&part.name, payload, value)?;
                    }
                }
                Ok(())
            }
            (wanted, value) => match first_mark(value) {
                None => Ok(()),
                Some(word) => Err(format!(
                    "`{}` is of type {wanted}, not a {word}",
                    name(&self.path)
                )),
            },
        }
    }

    fn step(&mut self, name: &str, wanted: &Schema, value: &mut Value) -> Result<(), String> {
        self.path.push(name.to_owned());
        self.fill(wanted, value)?;
        self.path.pop();
        Ok(())
    }

    fn port(&mut self, value: &mut Value) -> Result<(), String> {
        let here = |port: &&Port<'_>| !port.returned && port.path == self.path;
        let Some(port) = self.ports.iter().find(here) else {
            return Err(format!("`{}` is no port", name(&self.path)));
        };
        let (name, word) = (port.name(), port.word());
        if marked_word(value) != Some(word) {
            let several = self.ports.iter().filter(|port| port.takes()).count() > 1;
            let key = if several {
                format!("send.{name}")
            } else {
                "send".to_owned()
            };
            return Err(format!(
                "`{name}` is a {word}: write `{word}`, and what it carries under `{key}`"
            ));
        }
        self.present.insert(port.number);
        *value = port.number.into();
        Ok(())
    }
}

/// The first marked word in a value.
fn first_mark(value: &Value) -> Option<&str> {
    match value {
        Value::Array(items) => items.iter().find_map(first_mark),
        Value::Object(fields) => fields.values().find_map(first_mark),
        value => marked_word(value),
    }
}

/// Takes the numbers of ports out of a value that was returned. What is left in their places is the
/// word for what was there.
pub(super) fn take(schema: &Schema, value: &mut Value, found: &mut Vec<u32>) {
    match (schema, value) {
        (Schema::Stream(_) | Schema::Tunnel, value) => {
            found.push(value.as_u64().unwrap_or(0) as u32);
            *value = word(matches!(schema, Schema::Tunnel)).into();
        }
        (_, Value::Null) => {}
        (Schema::Option(inner), value) => take(inner, value, found),
        (Schema::Tuple(parts), Value::Array(items)) => {
            for (part, item) in parts.iter().zip(items) {
                take(part, item, found);
            }
        }
        (Schema::Struct(parts), Value::Object(fields)) => {
            for part in &parts.fields {
                if let Some(value) = fields.get_mut(&part.name) {
                    take(&part.schema, value, found);
                }
            }
        }
        (Schema::Enum(parts), Value::Object(fields)) => {
            for part in &parts.variants {
                if let (Some(payload), Some(value)) = (&part.payload, fields.get_mut(&part.name)) {
                    take(payload, value, found);
                }
            }
        }
        _ => {}
    }
}

/// Whether a value that was returned says nothing beside which streams and tunnels it has.
pub(super) fn is_all(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text == STREAM || text == TUNNEL,
        Value::Array(items) => items.iter().all(is_all),
        Value::Object(fields) => fields.values().all(is_all),
        _ => false,
    }
}
