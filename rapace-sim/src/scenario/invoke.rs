//! One call of a script, through the generated clients.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use facet::Facet;
use futures_util::StreamExt as _;
use futures_util::future::{Either, join, select};
use rapace_session::{Call, CallError, Caller, Client as _, StreamError, Streaming, Tunnel};
use rapace_testbed::TestbedClient;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::content::{Content, text};
use super::model::{Arg, CallScript, HOST, PortScript, Read, Send as Sends};
use super::outcome::Ending;
use super::perform::Seen;
use super::ports;
use super::services::Services;
use super::workbench::{WorkbenchClient, pattern};
use crate::process::Process;
use crate::time::Nanos;

/// A tunnel is written and read in pieces of this many bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// What a call gave.
pub(super) struct Got {
    pub(super) value: Value,
    /// What came of its streams and tunnels, of those that give anything.
    pub(super) piped: Vec<Piped>,
}

/// What came of reading a stream or tunnel.
pub(super) struct Piped {
    name: String,
    pub(super) count: u64,
    unit: &'static str,
    /// How it ended, if that was before its end.
    pub(super) broken: Option<(Ending, String)>,
}

impl Piped {
    pub(super) fn new(
        port: &PortScript,
        count: u64,
        unit: &'static str,
        broken: Option<(Ending, String)>,
    ) -> Self {
        Piped {
            name: port.name.clone(),
            count,
            unit,
            broken,
        }
    }
}

impl fmt::Debug for Got {
    /// As the trace shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.piped.is_empty() {
            return write!(f, "{}", self.value);
        }
        let several = self.piped.len() > 1;
        // The names of several tell what is there.
        let told = several && ports::is_all(&self.value);
        if !self.value.is_null() && !told {
            write!(f, "{}, ", self.value)?;
        }
        for (at, piped) in self.piped.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if several {
                write!(f, "{}: ", piped.name)?;
            }
            write!(f, "{} {}", piped.count, piped.unit)?;
            if let Some((_, says)) = &piped.broken {
                write!(f, ", then {says}")?;
            }
        }
        Ok(())
    }
}

impl Got {
    pub(super) fn value(value: Value) -> Self {
        Got {
            value,
            piped: Vec::new(),
        }
    }

    fn streamed(piped: Piped) -> Self {
        Got {
            value: Value::Null,
            piped: vec![piped],
        }
    }

    fn with(self, value: Value) -> Self {
        Got { value, ..self }
    }

    /// How the first of its streams and tunnels broke off that did, in order of declaration.
    pub(super) fn broken(&self) -> Option<(Ending, String)> {
        self.piped.iter().find_map(|piped| piped.broken.clone())
    }
}

pub(super) type Gets = Result<Got, CallError>;

/// Makes the call and reads what it gives to the end.
pub(super) async fn invoke(
    process: Process,
    call: &CallScript,
    services: &Services,
    seen: Seen,
) -> Gets {
    let caller = if call.from == HOST {
        process.caller(&call.to)
    } else {
        // A plugin's calls wait until its host is there.
        process.connected(&call.to).await.caller()
    };
    let making = Making {
        process,
        call,
        caller,
        seen,
    };
    let method = &*call.invocation.method;
    let literal = call.ports.iter().any(PortScript::is_literal);
    match &*call.invocation.service {
        // What the script does not say is made up for these.
        "Testbed" if !literal => making.testbed(method).await,
        "Workbench" if !literal => making.workbench(method).await,
        _ => making.by_schema(services).await,
    }
}

/// A call that is being made.
pub(super) struct Making<'c> {
    pub(super) process: Process,
    pub(super) call: &'c CallScript,
    pub(super) caller: Caller,
    pub(super) seen: Seen,
}

impl Making<'_> {
    async fn testbed(self, method: &str) -> Gets {
        let client = TestbedClient::from_caller(self.caller.clone());
        match method {
            "add" => self.unary(client.add(self.arg(0)?, self.arg(1)?)).await,
            "divide" => self.unary(client.divide(self.arg(0)?, self.arg(1)?)).await,
            "nap" => self.unary(client.nap(self.arg(0)?)).await,
            "naps_running" => self.unary(client.naps_running()).await,
            "boom" => self.unary(client.boom(self.arg(0)?)).await,
            "echo" => {
                let data = self.bytes(0)?;
                let back = self.ends(client.echo(data.clone())).await?;
                if back != data {
                    self.seen
                        .is_wrong(|| "`echo` gave back other bytes".to_owned());
                }
                Ok(Got::value(json!(back.len())))
            }
            "sum" => {
                let send = self.sends();
                let numbers = self.outgoing(|n, _| n as i32);
                let expected = (0..i64::from(send.items)).sum::<i64>();
                let sum = self.ends(client.sum(numbers)).await?;
                if sum != expected && !send.keep_open {
                    self.seen
                        .is_wrong(|| format!("`sum` gave {sum} instead of {expected}"));
                }
                Ok(Got::value(json!(sum)))
            }
            "count" => {
                let items = self.ends(client.count(self.arg(0)?)).await?;
                self.drain(items, |n| n as u32).await
            }
            "relay" => {
                let items = self.outgoing(text);
                let back = self.ends(client.relay(items)).await?;
                let bytes = self.sends().item_bytes;
                self.drain(back, move |n| text(n as u32, bytes).to_uppercase())
                    .await
            }
            "pipe" => {
                let (kept, passed) = Tunnel::pair();
                let answered = self.ends(client.pipe(passed));
                // It gives back what it gets.
                let port = self.reading()?;
                let out = Content::sent(port);
                let pumped = self.pump(port, kept, out, Some(out));
                let (answered, piped) = join(answered, pumped).await;
                Ok(Got::streamed(piped).with(json!(answered?)))
            }
            _ => Err(CallError::Encode(
                format!("no such method: {method}").into(),
            )),
        }
    }

    async fn workbench(self, method: &str) -> Gets {
        let client = WorkbenchClient::from_caller(self.caller.clone());
        match method {
            "life" => self.unary(client.life()).await,
            "steady" => self.unary(client.steady(self.arg(0)?)).await,
            "remember" => self.unary(client.remember(self.arg(0)?)).await,
            "remembered" => self.unary(client.remembered()).await,
            "leave" => self.unary(client.leave()).await,
            "die" => self.unary(client.die()).await,
            "bounce" => {
                let (depth, data) = (self.arg(0)?, self.bytes(1)?);
                self.unary(client.bounce(depth, data)).await
            }
            "fan" => {
                let (width, depth, data) = (self.arg(0)?, self.arg(1)?, self.bytes(2)?);
                self.unary(client.fan(width, depth, data)).await
            }
            "drip" => {
                let bytes = self.arg(1)?;
                let drip = client.drip(self.arg(0)?, bytes, self.arg(2)?);
                let items = self.ends(drip).await?;
                self.drain(items, move |n| pattern(n as u32, bytes)).await
            }
            "gulp" => {
                let items = self.outgoing(pattern);
                let total = self.ends(client.gulp(items, self.arg(1)?)).await?;
                let send = self.sends();
                let expected = u64::from(send.items) * u64::from(send.item_bytes);
                if total != expected && !send.keep_open {
                    self.seen
                        .is_wrong(|| format!("`gulp` took {total} bytes instead of {expected}"));
                }
                Ok(Got::value(json!(total)))
            }
            "ignore" => {
                let items = self.outgoing(pattern);
                self.unary(client.ignore(items, self.arg(1)?)).await
            }
            _ => Err(CallError::Encode(
                format!("no such method: {method}").into(),
            )),
        }
    }

    /// The one stream or tunnel that can be read from.
    fn reading(&self) -> Result<&PortScript, CallError> {
        let port = self.call.ports.iter().find(|port| port.gives());
        port.ok_or_else(|| CallError::Encode("there is nothing to read from".into()))
    }

    /// What is said of the one stream or tunnel that can be sent on.
    fn sends(&self) -> Sends {
        let port = self.call.ports.iter().find(|port| port.takes());
        port.map(|port| port.send.clone()).unwrap_or_default()
    }

    /// The argument in this place.
    fn arg<T: DeserializeOwned>(&self, at: usize) -> Result<T, CallError> {
        let value = match self.call.invocation.args.get(at) {
            Some(Arg::Json(value)) => serde_json::from_value(value.clone()),
            Some(Arg::Bytes(len)) => serde_json::from_value(json!(text(0, *len))),
            _ => serde_json::from_value(Value::Null),
        };
        value.map_err(|error| CallError::Encode(error.to_string().into()))
    }

    fn bytes(&self, at: usize) -> Result<Bytes, CallError> {
        match self.call.invocation.args.get(at) {
            Some(Arg::Bytes(len)) => Ok(pattern(0, *len)),
            Some(Arg::Json(Value::String(text))) => Ok(Bytes::from(text.clone())),
            _ => self.arg::<Vec<u8>>(at).map(Bytes::from),
        }
    }

    async fn ends<A, R>(&self, call: Call<A, R>) -> Result<R, CallError>
    where
        A: Facet<'static>,
        R: Facet<'static>,
    {
        match self.call.deadline {
            Some(deadline) => call.deadline(deadline.into()).await,
            None => call.await,
        }
    }

    async fn unary<A, R>(&self, call: Call<A, R>) -> Gets
    where
        A: Facet<'static>,
        R: Facet<'static> + serde::Serialize,
    {
        let value = self.ends(call).await?;
        Ok(Got::value(json!(value)))
    }

    /// The stream that the script says is sent.
    fn outgoing<T: Send + 'static>(&self, item: fn(u32, u32) -> T) -> Streaming<T> {
        let Sends {
            items,
            item_bytes,
            every,
            keep_open,
            ..
        } = self.sends();
        let process = self.process.clone();
        let items = futures_util::stream::iter(0..items).then(move |n| {
            let process = process.clone();
            async move {
                pause(&process, every).await;
                item(n, item_bytes)
            }
        });
        if keep_open {
            return Streaming::new(items.chain(futures_util::stream::pending()));
        }
        Streaming::new(items)
    }

    /// Reads a stream as the script says, and compares.
    async fn drain<T>(&self, mut items: Streaming<T>, expected: impl Fn(u64) -> T) -> Gets
    where
        T: Facet<'static> + PartialEq,
    {
        let port = self.reading()?;
        let Read {
            start,
            every,
            stop_after,
            ..
        } = port.read;
        let mut count = self.seen.read(&port.name, 0);
        pause(&self.process, start).await;
        let mut broken = None;
        while stop_after != Some(count) {
            match items.next().await {
                None => break,
                Some(Ok(item)) if item == expected(count) => {}
                Some(Ok(_)) => self
                    .seen
                    .is_wrong(|| format!("item {count} of the stream is another one")),
                Some(Err(error)) => {
                    broken = Some((Ending::from(&error), error.to_string()));
                    break;
                }
            }
            count = self.seen.read(&port.name, 1);
            pause(&self.process, every).await;
        }
        Ok(Got::streamed(Piped::new(port, count, "items", broken)))
    }

    /// Writes and reads a tunnel as the script says, and compares.
    pub(super) async fn pump(
        &self,
        port: &PortScript,
        tunnel: Tunnel,
        out: Content<'_>,
        expected: Option<Content<'_>>,
    ) -> Piped {
        let (mut source, mut sink) = tokio::io::split(tunnel);
        let Sends {
            every, keep_open, ..
        } = port.send;
        let Read {
            start, stop_after, ..
        } = port.read;
        self.seen.read(&port.name, 0);
        let write = async {
            let mut at = 0;
            while at < out.len() {
                pause(&self.process, every).await;
                let len = CHUNK_BYTES.min(out.len() - at);
                let chunk: Vec<u8> = (at..at + len).map_while(|at| out.octet(at)).collect();
                sink.write_all(&chunk).await?;
                at += len;
            }
            if keep_open {
                std::future::pending::<()>().await;
            }
            sink.shutdown().await
        };
        let read = async {
            pause(&self.process, start).await;
            let mut buffer = vec![0; CHUNK_BYTES];
            let mut count = 0;
            loop {
                let left = stop_after.map_or(u64::MAX, |stop| stop - count);
                if left == 0 {
                    return Ok(Rest::Unwanted);
                }
                let room = buffer
                    .len()
                    .min(usize::try_from(left).unwrap_or(usize::MAX));
                let len = source.read(&mut buffer[..room]).await?;
                if len == 0 {
                    return Ok(Rest::Nothing);
                }
                let at = count as usize;
                let is_wrong = |content: Content<'_>| {
                    let mut read = buffer[..len].iter().zip(at..);
                    read.any(|(octet, at)| content.octet(at) != Some(*octet))
                };
                if expected.is_some_and(is_wrong) {
                    self.seen.is_wrong(|| {
                        let tunnel = self.called(port);
                        format!("a byte of {tunnel} behind {count} is another one")
                    });
                }
                count = self.seen.read(&port.name, len as u64);
                pause(&self.process, port.read.every).await;
            }
        };
        let read: Pumped<'_, Rest> = Box::pin(read);
        let write: Pumped<'_, ()> = Box::pin(write);
        let result = match select(read, write).await {
            // The other side has ended its half, which says nothing of this one; but who then wants
            // no more of this one may drop it.
            Either::Left((Ok(Rest::Nothing), write)) if !keep_open => match write.await {
                Err(error) if ending(&error) != Ending::Cancelled => Err(error),
                _ => Ok(()),
            },
            // Whoever has read all that it wanted drops the rest.
            Either::Left((result, _)) => result.map(drop),
            Either::Right((Ok(()), read)) => read.await.map(drop),
            Either::Right((Err(error), read)) => read.await.and(Err(error)),
        };
        let broken = result.err();
        let broken = broken.map(|error| (ending(&error), error.to_string()));
        Piped::new(port, self.seen.read(&port.name, 0), "bytes", broken)
    }
}

type Pumped<'a, T> = Pin<Box<dyn Future<Output = std::io::Result<T>> + Send + 'a>>;

/// What is behind the last byte that was read of a tunnel.
enum Rest {
    /// Its end.
    Nothing,
    /// What the script does not want.
    Unwanted,
}

/// How a tunnel broke off.
fn ending(error: &std::io::Error) -> Ending {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or(Ending::ConnectionLost, |error: &StreamError| error.into())
}

pub(super) async fn pause(process: &Process, span: Nanos) {
    if span > Nanos::ZERO {
        process.sleep(span).await;
    }
}
