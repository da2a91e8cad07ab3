//! What goes through streams and tunnels: what the script lists, or what is made up; and what must
//! come out of those of the standard services.

use bytes::Bytes;
use rapace_codec::Schema;
use rapace_codec::error::JsonError;
use serde_json::{Value, json};

use super::model::{Arg, CallScript, PortScript, Reads};
use super::workbench::pattern;

/// The items that are made up for the second stream of a call are counted from this on, those for the
/// third from twice that: so an item tells in which stream it belongs.
pub(super) const NEXT_STREAM: u32 = 1_000;

/// The items of a stream, encoded.
#[derive(Clone)]
pub(super) enum Items {
    /// These.
    Listed(Vec<Bytes>),
    /// Made up.
    MadeUp(MadeUp),
}

#[derive(Clone)]
pub(super) struct MadeUp {
    /// The type of the items: bytes, text or numbers.
    item: Schema,
    /// The number of the first one.
    first: u32,
    /// How many there are.
    count: u32,
    /// The length of each, for bytes and texts.
    bytes: u32,
    /// Whether texts are in upper case.
    upper: bool,
}

impl Items {
    /// What the caller sends on a stream.
    pub(super) fn sent(port: &PortScript) -> Result<Items, JsonError> {
        let item = port.item.clone().unwrap_or(Schema::Unit);
        if let Some(values) = &port.send.values {
            return Items::listed(&item, values.iter());
        }
        Ok(Items::MadeUp(MadeUp {
            item,
            first: (port.number - 1) * NEXT_STREAM,
            count: port.send.items,
            bytes: port.send.item_bytes,
            upper: false,
        }))
    }

    /// What must come out of a stream, if that is known.
    pub(super) fn expected(
        call: &CallScript,
        port: &PortScript,
    ) -> Result<Option<Items>, JsonError> {
        let item = port.item.clone().unwrap_or(Schema::Unit);
        if let Reads::Items(values) = &port.reads {
            return Items::listed(&item, values.iter()).map(Some);
        }
        let number = |at: usize| match call.invocation.args.get(at) {
            Some(Arg::Json(value)) => value.as_u64().unwrap_or(0) as u32,
            _ => 0,
        };
        let from = |name: &str| call.ports.iter().find(|port| port.name == name);
        let flowing = |first: u32, count: u32, bytes: u32| {
            Some(Items::MadeUp(MadeUp {
                item: item.clone(),
                first,
                count,
                bytes,
                upper: false,
            }))
        };
        let invocation = &call.invocation;
        let known = match (&*invocation.service, &*invocation.method, &*port.name) {
            ("Testbed", "count", _) => flowing(0, number(0), 0),
            ("Testbed", "relay", _) => from("items").map(Items::upper).transpose()?,
            ("Workbench", "drip", _) => flowing(0, number(0), number(1)),
            ("Manifold", "relay_both", name) => from(&format!("pair.{name}"))
                .map(Items::upper)
                .transpose()?,
            ("Manifold", "give", name) => {
                let at = usize::from(name == "right");
                let flow = |key: &str| match call.invocation.args.get(at) {
                    Some(Arg::Json(flow)) => flow[key].as_u64().unwrap_or(0) as u32,
                    _ => 0,
                };
                flowing(at as u32 * NEXT_STREAM, flow("items"), flow("bytes"))
            }
            _ => None,
        };
        Ok(known)
    }

    fn listed<'v>(
        item: &Schema,
        values: impl Iterator<Item = &'v Value>,
    ) -> Result<Items, JsonError> {
        let encoded = values.map(|value| item.json_to_postcard(value).map(Bytes::from));
        encoded.collect::<Result<_, _>>().map(Items::Listed)
    }

    /// What is sent on a stream of texts, in upper case.
    fn upper(sent: &PortScript) -> Result<Items, JsonError> {
        if let Some(values) = &sent.send.values {
            let upper = |value: &Value| json!(value.as_str().map(str::to_uppercase));
            let values: Vec<Value> = values.iter().map(upper).collect();
            return Items::listed(&Schema::String, values.iter());
        }
        Ok(match Items::sent(sent)? {
            Items::MadeUp(made) => Items::MadeUp(MadeUp {
                upper: true,
                ..made
            }),
            listed @ Items::Listed(_) => listed,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        match self {
            Items::Listed(items) => items.len() as u64,
            Items::MadeUp(made) => u64::from(made.count),
        }
    }

    /// One of them, counted from 0; `None` behind the end.
    pub(super) fn get(&self, n: u64) -> Option<Bytes> {
        if n >= self.len() {
            return None;
        }
        Some(match self {
            Items::Listed(items) => items[n as usize].clone(),
            Items::MadeUp(made) => made.item(n as u32),
        })
    }
}

impl MadeUp {
    fn item(&self, n: u32) -> Bytes {
        let n = self.first.wrapping_add(n);
        // Numbers fit in all types that the standard services stream.
        let encoded = |schema: &Schema, value: Value| schema.json_to_postcard(&value);
        match &self.item {
            Schema::Bytes => {
                let mut bytes = encoded(&Schema::U32, json!(self.bytes)).unwrap_or_default();
                bytes.extend_from_slice(&pattern(n, self.bytes));
                bytes.into()
            }
            Schema::String => {
                let text = text(n, self.bytes);
                let text = if self.upper {
                    text.to_uppercase()
                } else {
                    text
                };
                encoded(&Schema::String, json!(text))
                    .unwrap_or_default()
                    .into()
            }
            number => encoded(number, json!(n)).unwrap_or_default().into(),
        }
    }
}

/// The text of item `n`, filled up to a length.
pub(super) fn text(n: u32, bytes: u32) -> String {
    format!("{:.<width$}", format!("item {n} "), width = bytes as usize)
}

/// What goes through a tunnel.
#[derive(Clone, Copy)]
pub(super) enum Content<'c> {
    /// So many bytes, the first of which is the second number.
    Pattern(usize, u8),
    /// These.
    Text(&'c [u8]),
}

impl<'c> Content<'c> {
    /// What the caller sends through a tunnel.
    pub(super) fn sent(port: &'c PortScript) -> Self {
        match &port.send.text {
            Some(text) => Content::Text(text.as_bytes()),
            None => Content::Pattern(port.send.bytes as usize, port.number.wrapping_sub(1) as u8),
        }
    }

    /// What must come out of a tunnel, if that is known.
    pub(super) fn expected(call: &'c CallScript, port: &'c PortScript) -> Option<Self> {
        if let Some(text) = &port.read.text {
            return Some(Content::Text(text.as_bytes()));
        }
        match (&*call.invocation.service, &*call.invocation.method) {
            ("Testbed", "pipe") => Some(Content::sent(port)),
            ("Manifold", "cross") => {
                let mut others = call
                    .ports
                    .iter()
                    .filter(|other| other.number != port.number);
                others.next().map(Content::sent)
            }
            _ => None,
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Content::Pattern(len, _) => len,
            Content::Text(bytes) => bytes.len(),
        }
    }

    /// The byte in this place; `None` behind the end.
    pub(super) fn octet(self, at: usize) -> Option<u8> {
        match self {
            Content::Pattern(len, first) => {
                (at < len).then_some(((at ^ (at >> 8)) as u8).wrapping_add(first))
            }
            Content::Text(bytes) => bytes.get(at).copied(),
        }
    }
}
