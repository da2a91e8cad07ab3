//! Calls of which only the schema is known: JSON in, JSON out, also through streams and tunnels.

use std::future::Future;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join;
use rapace_codec::Schema;
use rapace_session::ports::{EncodedPort, EncodedStream};
use rapace_session::{CallError, Tunnel};
use serde_json::{Value, json};

use super::invoke::{Content, Gets, Got, Making, pause};
use super::model::Arg;
use super::outcome::Ending;
use super::services::Services;
use super::workbench::pattern;
use crate::trace::decode::streams;

impl Making<'_> {
    /// Makes the call by the schema of its method.
    pub(super) async fn by_schema(self, services: &Services) -> Gets {
        let invocation = &self.call.invocation;
        let known = services.method(&invocation.service, &invocation.method);
        let Some(method) = known else {
            let text = format!("there is no method {}", invocation.full_name());
            return Err(CallError::Encode(text.into()));
        };
        let info = method.info().map_err(encode)?;
        let schema = &info.schema;
        let declared = &info.ports[..info.request_ports];
        let mut ports = Vec::new();
        let mut kept = None;
        let mut args = Vec::new();
        let mut ordinal = 0;
        for (arg, (_, wanted)) in invocation.args.iter().zip(&schema.args) {
            let mut here = Vec::new();
            streams(wanted, &mut here);
            let number = declared.get(ordinal).map_or(0, |port| port.port);
            ordinal += here.len();
            args.push(match arg {
                Arg::Json(value) => value.clone(),
                Arg::Bytes(len) if *wanted == Schema::String => json!("x".repeat(*len as usize)),
                Arg::Bytes(len) => json!(pattern(0, *len).to_vec()),
                Arg::Stream => {
                    let items = self.listed(here.first().copied().flatten())?;
                    ports.push((number, EncodedPort::Stream(items)));
                    json!(number)
                }
                Arg::Tunnel => {
                    let (ours, passed) = Tunnel::pair();
                    kept = Some(ours);
                    ports.push((number, EncodedPort::Tunnel(passed)));
                    json!(number)
                }
            });
        }
        let request = schema
            .json_to_request(&Value::Array(args))
            .map_err(encode)?;
        let mut call = self.caller.call_encoded(method, Bytes::from(request));
        for (number, port) in ports {
            call = call.port(number, port);
        }
        if let Some(deadline) = self.call.deadline {
            call = call.deadline(deadline.into());
        }
        let pumped = async {
            match kept {
                Some(tunnel) => Some(self.through(tunnel).await),
                None => None,
            }
        };
        let (reply, pumped) = join(call, pumped).await;
        let mut reply = reply?;
        if method.spec().oneway {
            return Ok(Got::value(Value::Null));
        }
        let value = schema.ret.postcard_to_json(reply.body());
        let mut value = value.map_err(|error| CallError::Decode(error.to_string().into()))?;
        let mut found = Vec::new();
        take_ports(&schema.ret, &mut value, &mut found);
        let Some((number, item)) = found.into_iter().next() else {
            return Ok(pumped
                .unwrap_or_else(|| Got::value(Value::Null))
                .with(value));
        };
        let port = reply.port(number)?;
        drop(reply);
        let got = match (port, item) {
            (EncodedPort::Stream(items), Some(item)) => self.compared(items, item).await?,
            (EncodedPort::Tunnel(tunnel), _) => self.through(tunnel).await,
            (EncodedPort::Stream(_), None) => Got::value(Value::Null),
        };
        Ok(got.with(value))
    }

    /// The items that the script lists, encoded, at its pace.
    fn listed(&self, item: Option<&Schema>) -> Result<EncodedStream, CallError> {
        let values = self.call.send.values.iter().flatten();
        let item = item.unwrap_or(&Schema::Unit);
        let encoded = values.map(|value| item.json_to_postcard(value).map(Bytes::from));
        let encoded: Vec<Bytes> = encoded.collect::<Result<_, _>>().map_err(encode)?;
        let (process, every) = (self.process.clone(), self.call.send.every);
        let items = futures_util::stream::iter(encoded).then(move |item| {
            let process = process.clone();
            async move {
                pause(&process, every).await;
                item
            }
        });
        if self.call.send.keep_open {
            return Ok(EncodedStream::new(
                items.chain(futures_util::stream::pending()),
            ));
        }
        Ok(EncodedStream::new(items))
    }

    /// Reads a stream as the script says, and compares it with the items that it lists.
    async fn compared(&self, mut items: EncodedStream, item: &Schema) -> Gets {
        let expected = self.call.expect.items.as_ref();
        let wanted = expected.map(|values| {
            let encoded = values.iter().map(|value| item.json_to_postcard(value));
            encoded.collect::<Result<Vec<_>, _>>()
        });
        let wanted = wanted.transpose().map_err(encode)?;
        let read = &self.call.read;
        pause(&self.process, read.start).await;
        let mut count = 0;
        let mut broken = None;
        while read.stop_after != Some(count) {
            let bytes = match items.next().await {
                None => break,
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => {
                    broken = Some((Ending::from(&error), error.to_string()));
                    break;
                }
            };
            // What does not decode is told even where nothing is compared.
            let value = item.postcard_to_json(&bytes);
            let value = value.map_err(|error| CallError::Decode(error.to_string().into()))?;
            if let Some(wanted) = &wanted {
                let here = wanted.get(count as usize);
                if here.is_none_or(|here| here[..] != bytes[..]) {
                    let listed = expected.and_then(|values| values.get(count as usize));
                    let listed = listed.map_or("the end".to_owned(), Value::to_string);
                    self.seen.is_wrong(|| {
                        let number = count + 1;
                        format!("item {number} of the stream is {value}, and not {listed}")
                    });
                }
            }
            count = self.seen.read(1);
            pause(&self.process, read.every).await;
        }
        Ok(Got::streamed(count, "items", broken))
    }

    /// Writes and reads a tunnel as the script says.
    fn through(&self, tunnel: Tunnel) -> impl Future<Output = Got> + Send {
        let send = &self.call.send;
        let out = match &send.text {
            Some(text) => Content::Text(text.as_bytes()),
            None => Content::Pattern(send.bytes as usize),
        };
        let expected = self.call.read.text.as_ref();
        let expected = expected.map(|text| Content::Text(text.as_bytes()));
        async move {
            let (count, broken) = self.pump(tunnel, out, expected).await;
            let wanted = expected.map_or(0, Content::len) as u64;
            if broken.is_none() && self.call.read.stop_after.is_none() && count < wanted {
                self.seen
                    .is_wrong(|| format!("the tunnel ends after {count} of {wanted} bytes"));
            }
            Got::streamed(count, "bytes", broken)
        }
    }
}

fn encode(error: impl std::fmt::Display) -> CallError {
    CallError::Encode(error.to_string().into())
}

/// Takes the port numbers out of a value: what they are, and the type of their items for streams.
fn take_ports<'s>(
    schema: &'s Schema,
    value: &mut Value,
    found: &mut Vec<(u32, Option<&'s Schema>)>,
) {
    match (schema, value) {
        (Schema::Stream(_) | Schema::Tunnel, value) => {
            let number = value.take().as_u64().unwrap_or(0) as u32;
            found.push(match schema {
                Schema::Stream(item) => (number, Some(item)),
                _ => (number, None),
            });
        }
        (_, Value::Null) => {}
        (Schema::Option(inner), value) => take_ports(inner, value, found),
        (Schema::Tuple(parts), Value::Array(items)) => {
            for (part, item) in parts.iter().zip(items) {
                take_ports(part, item, found);
            }
        }
        (Schema::Struct(parts), Value::Object(fields)) => {
            for part in &parts.fields {
                if let Some(value) = fields.get_mut(&part.name) {
                    take_ports(&part.schema, value, found);
                }
            }
        }
        (Schema::Enum(parts), Value::Object(fields)) => {
            for part in &parts.variants {
                if let (Some(payload), Some(value)) = (&part.payload, fields.get_mut(&part.name)) {
                    take_ports(payload, value, found);
                }
            }
        }
        _ => {}
    }
}
