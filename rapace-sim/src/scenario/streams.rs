//! `send`, `read` and `reads`: what goes through the stream or the tunnel of a call.

use rapace_codec::{MethodSchema, Schema};
use serde_json::Value;

use super::document::{Field, Table};
use super::error::Problem;
use super::model::{Invocation, Read, Send};
use super::services::Services;
use crate::trace::decode::streams;

/// The keys of `send`.
pub(super) const SEND: &[&str] = &["items", "item_bytes", "bytes", "text", "every", "keep_open"];
/// The keys of `read`.
pub(super) const READ: &[&str] = &["start", "every", "stop_after", "text"];

/// The most items of a stream that a number stands for.
const ITEMS_MAX: u64 = 1 << 24;

/// What a script says of the stream or tunnel of a call.
pub(super) struct Streams {
    pub(super) send: Send,
    pub(super) read: Read,
    /// The items that must come, if they are listed.
    pub(super) items: Option<Vec<Value>>,
}

/// Reads what stands in a `[[call]]`.
pub(super) fn read(
    table: &Table<'_, '_>,
    what: &Field<'_, '_>,
    invocation: &Invocation,
    services: &Services,
) -> Result<Streams, Problem> {
    let schema = services.schema(&invocation.service, &invocation.method);
    let schema = schema.map_err(|why| Problem::new(what.span(), why))?;
    let shape = Shape::of(&schema, invocation);
    let mut streams = Streams {
        send: Send::default(),
        read: Read::default(),
        items: None,
    };
    if let Some(field) = table.get("send") {
        streams.send = shape.send(field)?;
    }
    if let Some(field) = table.get("read") {
        streams.read = shape.read(field)?;
    }
    if let Some(field) = table.get("reads")
        && let Ok(items) = field.items()
    {
        streams.items = Some(shape.listed(&items, &shape.reads, "gives no stream")?);
    }
    let literal = streams.items.is_some() || streams.send.is_literal();
    if literal || !Services::makes_items(&invocation.service) {
        shape.is_simple(what)?;
    }
    Ok(streams)
}

/// The streams and tunnels of a method: the items of a stream, nothing for a tunnel.
struct Shape<'s> {
    schema: &'s MethodSchema,
    service: &'s str,
    method: &'s str,
    sends: Vec<Option<&'s Schema>>,
    reads: Vec<Option<&'s Schema>>,
}

impl<'s> Shape<'s> {
    fn of(schema: &'s MethodSchema, invocation: &'s Invocation) -> Self {
        let (mut sends, mut reads) = (Vec::new(), Vec::new());
        for (_, arg) in &schema.args {
            streams(arg, &mut sends);
        }
        streams(&schema.ret, &mut reads);
        Shape {
            schema,
            service: &invocation.service,
            method: &invocation.method,
            sends,
            reads,
        }
    }

    fn wrong(&self, field: &Field<'_, '_>, what: &str) -> Problem {
        let message = format!("`{}` {what}", self.method);
        Problem::new(field.span(), message).hint(self.schema.text(self.method))
    }

    fn has_tunnel(&self) -> bool {
        self.sends.iter().chain(&self.reads).any(Option::is_none)
    }

    /// Where the script itself says what goes through, there is one place for it in each direction.
    fn is_simple(&self, what: &Field<'_, '_>) -> Result<(), Problem> {
        if self.sends.len() > 1 || self.reads.len() > 1 {
            let text = "has several streams or tunnels in one direction; a script can speak of one";
            return Err(self.wrong(what, text));
        }
        Ok(())
    }

    fn send(&self, field: Field<'_, '_>) -> Result<Send, Problem> {
        if self.sends.is_empty() && !self.has_tunnel() {
            return Err(self.wrong(&field, "takes no stream or tunnel"));
        }
        let (span, entries) = field.table()?;
        let table = Table::new(entries, span, "`send`", SEND)?;
        let mut send = Send {
            item_bytes: table.bytes("item_bytes")?.unwrap_or(0),
            bytes: table.bytes("bytes")?.unwrap_or(0),
            every: table.nanos("every")?.unwrap_or_default(),
            keep_open: table.flag("keep_open")?.unwrap_or(false),
            ..Send::default()
        };
        if let Some(field) = table.get("items") {
            match field.items() {
                Ok(items) => {
                    send.values = Some(self.listed(&items, &self.sends, "takes no stream")?);
                }
                Err(_) if Services::makes_items(self.service) => {
                    send.items = field.number(ITEMS_MAX)? as u32;
                }
                Err(_) => {
                    let text = "is sent what the script lists: items = [1, 2, 3]";
                    return Err(self.wrong(&field, text));
                }
            }
        }
        send.text = self.text(&table)?;
        Ok(send)
    }

    fn read(&self, field: Field<'_, '_>) -> Result<Read, Problem> {
        if self.reads.is_empty() && !self.has_tunnel() {
            return Err(self.wrong(&field, "gives no stream or tunnel"));
        }
        let (span, entries) = field.table()?;
        let table = Table::new(entries, span, "`read`", READ)?;
        Ok(Read {
            start: table.nanos("start")?.unwrap_or_default(),
            every: table.nanos("every")?.unwrap_or_default(),
            stop_after: table.number("stop_after", u64::from(u32::MAX))?,
            text: self.text(&table)?,
        })
    }

    /// The bytes of a tunnel, as text.
    fn text(&self, table: &Table<'_, '_>) -> Result<Option<String>, Problem> {
        let Some(field) = table.get("text") else {
            return Ok(None);
        };
        if !self.has_tunnel() {
            return Err(self.wrong(&field, "has no tunnel"));
        }
        field.text().map(|text| Some(text.to_owned()))
    }

    /// Items that are listed, which must be of the type of the stream.
    fn listed(
        &self,
        items: &[Field<'_, '_>],
        ports: &[Option<&Schema>],
        none: &str,
    ) -> Result<Vec<Value>, Problem> {
        let Some(item) = ports.iter().flatten().next() else {
            let place = items.first().map_or(0..0, |first| first.span());
            return Err(Problem::new(place, format!("`{}` {none}", self.method))
                .hint(self.schema.text(self.method)));
        };
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
