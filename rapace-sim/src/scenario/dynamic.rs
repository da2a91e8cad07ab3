//! Calls of which only the schema is known: JSON in, JSON out, also through streams and tunnels, all
//! of which are fed and read at the same time.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{join, join_all};
use rapace_codec::Schema;
use rapace_session::call::EncodedCall;
use rapace_session::ports::{EncodedPort, EncodedStream};
use rapace_session::{CallError, Tunnel};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::content::{Content, Items};
use super::invoke::{Gets, Got, Making, Piped, pause};
use super::model::{Arg, PortScript};
use super::outcome::Ending;
use super::ports;
use super::services::Services;
use super::workbench::pattern;

/// A stream or tunnel that is being read.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<Piped, CallError>> + Send + 'a>>;

impl Making<'_> {
    /// Makes the call by the schema of its method.
    pub(super) async fn by_schema(self, services: &Services) -> Gets {
        let invocation = &self.call.invocation;
        let known = services.method(&invocation.service, &invocation.method);
        let Some(method) = known else {
            let text = format!("there is no method {}", invocation.full_name());
            return Err(CallError::Encode(text.into()));
        };
        let schema = &method.info().map_err(encode)?.schema;
        let args = invocation.args.iter().zip(&schema.args);
        let args = args.map(|(arg, (_, wanted))| match arg {
            Arg::Json(value) => value.clone(),
            Arg::Bytes(len) if *wanted == Schema::String => json!("x".repeat(*len as usize)),
            Arg::Bytes(len) => json!(pattern(0, *len).to_vec()),
        });
        let request = schema.json_to_request(&args.collect()).map_err(encode)?;
        let mut call = self.caller.call_encoded(method, Bytes::from(request));
        let mut pumps = Vec::new();
        let sent = self.call.ports.iter();
        for port in sent.filter(|port| !port.returned && !port.absent) {
            let passed = match port.item {
                Some(_) => EncodedPort::Stream(self.items(port)?),
                None => {
                    let (ours, passed) = Tunnel::pair();
                    pumps.push(self.through(port, ours));
                    EncodedPort::Tunnel(passed)
                }
            };
            call = call.port(port.number, passed);
        }
        if let Some(deadline) = self.call.deadline {
            call = call.deadline(deadline.into());
        }
        let returned = (!method.spec().oneway).then_some(&schema.ret);
        let answered = self.answered(call, returned);
        let (answered, pumped) = join(answered, join_all(pumps)).await;
        let mut got = answered?;
        let mut piped = pumped.into_iter().collect::<Result<Vec<_>, _>>()?;
        piped.append(&mut got.piped);
        Ok(Got { piped, ..got })
    }

    /// Waits for what is returned, and reads all streams and tunnels in it.
    async fn answered(&self, call: EncodedCall, returned: Option<&Schema>) -> Gets {
        let mut reply = call.await?;
        let Some(schema) = returned else {
            return Ok(Got::value(Value::Null));
        };
        let decode = |why: String| CallError::Decode(why.into());
        let value = schema.postcard_to_json(reply.body());
        let mut value = value.map_err(|error| decode(error.to_string()))?;
        let mut numbers = Vec::new();
        ports::take(schema, &mut value, &mut numbers);
        let mut reading: Vec<Reading<'_>> = Vec::new();
        for number in numbers {
            let mut known = self.call.ports.iter();
            let Some(script) = known.find(|port| port.returned && port.number == number) else {
                return Err(decode(format!("port {number} is not declared")));
            };
            reading.push(match reply.port(number)? {
                EncodedPort::Stream(items) => Box::pin(self.compared(script, items)),
                EncodedPort::Tunnel(tunnel) => Box::pin(self.through(script, tunnel)),
            });
        }
        // What is left of the call must not hold up its streams.
        drop(reply);
        let piped = join_all(reading).await.into_iter();
        Ok(Got {
            // A stream or tunnel alone is no value.
            value: match schema {
                Schema::Stream(_) | Schema::Tunnel => Value::Null,
                _ => value,
            },
            piped: piped.collect::<Result<_, _>>()?,
        })
    }

    /// The items of a stream, at the pace of the script.
    fn items(&self, port: &PortScript) -> Result<EncodedStream, CallError> {
        let items = Items::sent(port).map_err(encode)?;
        let (process, every) = (self.process.clone(), port.send.every);
        let numbers = futures_util::stream::iter(0..items.len());
        let items = numbers.then(move |n| {
            let (process, item) = (process.clone(), items.get(n).unwrap_or_default());
            async move {
                pause(&process, every).await;
                item
            }
        });
        if port.send.keep_open {
            return Ok(EncodedStream::new(
                items.chain(futures_util::stream::pending()),
            ));
        }
        Ok(EncodedStream::new(items))
    }

    /// Reads a stream as the script says, and compares it with what must come.
    async fn compared(
        &self,
        port: &PortScript,
        mut items: EncodedStream,
    ) -> Result<Piped, CallError> {
        let item = port.item.as_ref().unwrap_or(&Schema::Unit);
        let expected = Items::expected(self.call, port).map_err(encode)?;
        let read = &port.read;
        let mut count = self.seen.read(&port.name, 0);
        let mut broken = None;
        pause(&self.process, read.start).await;
        while read.stop_after != Some(count) {
            let bytes = match items.next().await {
                None => {
                    self.ends_early(port, expected.as_ref(), count);
                    break;
                }
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => {
                    broken = Some((Ending::from(&error), error.to_string()));
                    break;
                }
            };
            // What does not decode is told even where nothing is compared.
            let value = item.postcard_to_json(&bytes);
            let value = value.map_err(|error| CallError::Decode(error.to_string().into()))?;
            if let Some(expected) = &expected {
                let here = expected.get(count);
                if here.as_deref() != Some(&bytes[..]) {
                    self.seen.is_wrong(|| {
                        let here = here.and_then(|bytes| item.postcard_to_json(&bytes).ok());
                        let here = here.map_or("the end".to_owned(), |value| brief(&value));
                        let (number, stream) = (count + 1, self.called(port));
                        format!(
                            "item {number} of {stream} is {}, and not {here}",
                            brief(&value)
                        )
                    });
                }
            }
            count = self.seen.read(&port.name, 1);
            pause(&self.process, read.every).await;
        }
        Ok(Piped::new(port, count, "items", broken))
    }

    /// A stream that ends in good order has given everything. Whether all listed items have come is
    /// judged with the call.
    fn ends_early(&self, port: &PortScript, expected: Option<&Items>, count: u64) {
        if let Some(expected @ Items::MadeUp(_)) = expected
            && count < expected.len()
        {
            self.seen.is_wrong(|| {
                let (stream, all) = (self.called(port), expected.len());
                format!("{stream} ends after {count} of {all} items")
            });
        }
    }

    /// What a stream or tunnel is called in messages.
    pub(super) fn called(&self, port: &PortScript) -> String {
        let word = ports::word(port.item.is_none());
        if self.call.ports.iter().filter(|port| port.gives()).count() > 1 {
            return format!("the {word} `{}`", port.name);
        }
        format!("the {word}")
    }

    /// Writes and reads a tunnel as the script says.
    async fn through(&self, port: &PortScript, tunnel: Tunnel) -> Result<Piped, CallError> {
        let expected = Content::expected(self.call, port);
        let piped = self.pump(port, tunnel, Content::sent(port), expected).await;
        let wanted = expected.map_or(0, Content::len) as u64;
        let count = piped.count;
        if piped.broken.is_none() && port.read.stop_after.is_none() && count < wanted {
            self.seen.is_wrong(|| {
                let name = self.called(port);
                format!("{name} ends after {count} of {wanted} bytes")
            });
        }
        Ok(piped)
    }
}

/// A value as messages show it; of long ones the beginning, and a hash that tells them apart.
fn brief(value: &Value) -> String {
    const CHARS_MAX: usize = 100;
    const HEAD_CHARS: usize = 40;
    let text = value.to_string();
    let chars = text.chars().count();
    if chars <= CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(HEAD_CHARS).collect();
    let hash = xxh3_64(text.as_bytes()) >> 32;
    format!("{head}… {chars} chars {hash:08x}")
}

fn encode(error: impl std::fmt::Display) -> CallError {
    CallError::Encode(error.to_string().into())
}
