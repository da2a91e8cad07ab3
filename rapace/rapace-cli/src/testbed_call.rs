//! Calls of the testbed by name, with arguments and results as JSON.
//!
//! [`Planned`] reads the command line; [`make`] does what it says. The types are those of this
//! build, so that a call needs nothing of the peer's list of methods.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rapace_core::control::CancelReason;
use rapace_session::facet::Facet;
use rapace_session::method::{Method, MethodSpec};
use rapace_session::{CallError, NotSent, Session, SessionEnd, StreamError, Streaming, Tunnel};
use rapace_testbed::TestbedClient;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::subject::end_code;

/// A call as the command line asks for it.
#[derive(Debug)]
pub(crate) enum Planned {
    Add(i32, i32),
    Echo(ShownBytes),
    Divide(i32, i32),
    Boom(String),
    Nap(u32),
    NapsRunning,
    Sum(Vec<i32>),
    Count(u32),
    Relay(Vec<String>),
    Pipe(Bytes),
    /// A method that is not of the testbed, so that its types are unknown: it is called without
    /// arguments. A peer that does not know it either answers UNIMPLEMENTED.
    Unknown {
        service: String,
        name: String,
    },
}

impl Planned {
    /// Reads `Service.method` and its arguments. A stream or tunnel that is left out is empty.
    pub(crate) fn new(method: &str, args: &[Value]) -> Result<Self, Failure> {
        let arguments = Arguments { method, args };
        let (names, planned): (&[&str], Read) = match method {
            "Testbed.add" => (&["a", "b"], |args| {
                Ok(Planned::Add(args.int(0)?, args.int(1)?))
            }),
            "Testbed.echo" => (&["data"], |args| Ok(Planned::Echo(args.bytes(0)?))),
            "Testbed.divide" => (&["a", "b"], |args| {
                Ok(Planned::Divide(args.int(0)?, args.int(1)?))
            }),
            "Testbed.boom" => (&["message"], |args| Ok(Planned::Boom(args.string(0)?))),
            "Testbed.nap" => (&["millis"], |args| Ok(Planned::Nap(args.int(0)?))),
            "Testbed.naps_running" => (&[], |_| Ok(Planned::NapsRunning)),
            "Testbed.count" => (&["n"], |args| Ok(Planned::Count(args.int(0)?))),
            "Testbed.sum" => (&["numbers"], |args| {
                let number = |value: &Value| value.as_i64()?.try_into().ok();
                Ok(Planned::Sum(args.list(0, "integers of 32 bits", number)?))
            }),
            "Testbed.relay" => (&["items"], |args| {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                Ok(Planned::Relay(args.list(0, "strings", text)?))
            }),
            "Testbed.pipe" => (&["tunnel"], |args| Ok(Planned::Pipe(args.bytes(0)?.bytes))),
            other => return Planned::unknown(other, args),
        };
        let may_be_empty = matches!(method, "Testbed.sum" | "Testbed.relay" | "Testbed.pipe");
        if args.len() != names.len() && !(may_be_empty && args.is_empty()) {
            let (takes, got) = (names.join(", "), args.len());
            let message = format!("{method} takes [{takes}], got {got} arguments");
            return Err(Failure::argument(message));
        }
        planned(&arguments)
    }

    fn unknown(method: &str, args: &[Value]) -> Result<Self, Failure> {
        let Some((service, name)) = method.split_once('.') else {
            return Err(Failure::argument(format!(
                "`{method}` is not SERVICE.METHOD"
            )));
        };
        if !args.is_empty() {
            eprintln!(
                "note: the types of {method} are not known here; calling it without arguments"
            );
        }
        Ok(Planned::Unknown {
            service: service.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Makes the call and waits for the whole of its result, streams included.
pub(crate) async fn make(session: &Session, planned: Planned) -> Result<Value, Failure> {
    let testbed: TestbedClient = session.client();
    Ok(match planned {
        Planned::Add(a, b) => json!(testbed.add(a, b).await?),
        Planned::Echo(data) => data.form.show(&testbed.echo(data.bytes).await?),
        Planned::Divide(a, b) => match testbed.divide(a, b).await? {
            Ok(quotient) => json!({ "Ok": quotient }),
            Err(why) => json!({ "Err": why }),
        },
        Planned::Boom(message) => {
            testbed.boom(message).await?;
            Value::Null
        }
        Planned::Nap(millis) => json!(testbed.nap(millis).await?),
        Planned::NapsRunning => json!(testbed.naps_running().await?),
        Planned::Sum(numbers) => json!(testbed.sum(Streaming::from_iter(numbers)).await?),
        Planned::Count(n) => collect(testbed.count(n).await?).await?,
        Planned::Relay(items) => collect(testbed.relay(Streaming::from_iter(items)).await?).await?,
        Planned::Pipe(data) => pipe(&testbed, data).await?,
        Planned::Unknown { service, name } => {
            // Methods live as long as the process, which makes one call.
            let spec = MethodSpec {
                service: String::leak(service),
                name: String::leak(name),
                docs: "",
                args: &[],
                oneway: false,
                idempotent: false,
            };
            let method: &'static Method<(), ()> = Box::leak(Box::new(Method::new(spec)));
            session.caller().call(method, ()).await?;
            Value::Null
        }
    })
}

async fn collect<T>(mut items: Streaming<T>) -> Result<Value, Failure>
where
    T: Into<Value> + Facet<'static> + Send + 'static,
{
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item?.into());
    }
    Ok(Value::Array(all))
}

/// Sends bytes through the tunnel and compares what comes back; the result is the peer's count.
async fn pipe(testbed: &TestbedClient, data: Bytes) -> Result<Value, Failure> {
    let (tunnel, remote) = Tunnel::pair();
    let call = testbed.pipe(remote);
    let through = async {
        let (mut reader, mut writer) = tokio::io::split(tunnel);
        let send = async {
            writer.write_all(&data).await?;
            writer.shutdown().await
        };
        let mut echoed = Vec::new();
        let (sent, received) = tokio::join!(send, reader.read_to_end(&mut echoed));
        sent.and(received).map(|_| echoed)
    };
    let (total, echoed) = tokio::join!(call, through);
    // A call that failed says more than its tunnel.
    let total = total?;
    let echoed = echoed.map_err(|error| Failure::new("CANCELLED", error.to_string()))?;
    if echoed != data {
        let message = format!("{} other bytes came back for {}", echoed.len(), data.len());
        return Err(Failure::new("DATA_LOSS", message));
    }
    Ok(json!(total))
}

/// Makes a plan of arguments whose number is right.
type Read = fn(&Arguments<'_>) -> Result<Planned, Failure>;

/// The arguments of one call, with errors that name them.
struct Arguments<'a> {
    method: &'a str,
    args: &'a [Value],
}

impl Arguments<'_> {
    fn wrong(&self, at: usize, expected: &str) -> Failure {
        let (method, got) = (self.method, &self.args[at]);
        let message = format!(
            "argument {} of {method} must be {expected}, not {got}",
            at + 1
        );
        Failure::argument(message)
    }

    fn int<T: TryFrom<i64>>(&self, at: usize) -> Result<T, Failure> {
        let number = self.args[at]
            .as_i64()
            .and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.wrong(at, "an integer in the range of its type"))
    }

    fn string(&self, at: usize) -> Result<String, Failure> {
        let text = self.args[at].as_str().map(str::to_owned);
        text.ok_or_else(|| self.wrong(at, "a string"))
    }

    fn list<T>(
        &self,
        at: usize,
        of: &str,
        item: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, Failure> {
        let Some(list) = self.args.get(at) else {
            return Ok(Vec::new());
        };
        let items = list
            .as_array()
            .and_then(|items| items.iter().map(item).collect());
        items.ok_or_else(|| self.wrong(at, &format!("an array of {of}")))
    }

    fn bytes(&self, at: usize) -> Result<ShownBytes, Failure> {
        let Some(json) = self.args.get(at) else {
            return Ok(ShownBytes {
                bytes: Bytes::new(),
                form: Form::Base64,
            });
        };
        let expected = "bytes: base64, text, or an array of numbers from 0 to 255";
        ShownBytes::new(json).ok_or_else(|| self.wrong(at, expected))
    }
}

/// Bytes, and how they stood on the command line.
#[derive(Debug)]
pub(crate) struct ShownBytes {
    bytes: Bytes,
    form: Form,
}

/// How bytes stand in JSON.
#[derive(Clone, Copy, Debug)]
enum Form {
    Base64,
    Text,
    Numbers,
}

impl ShownBytes {
    fn new(json: &Value) -> Option<Self> {
        let (bytes, form) = match json {
            Value::String(text) => match BASE64.decode(text) {
                Ok(bytes) => (bytes, Form::Base64),
                // What is no base64 stands for itself.
                Err(_) => (text.clone().into_bytes(), Form::Text),
            },
            Value::Array(items) => {
                let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
                let bytes = items.iter().map(byte).collect::<Option<Vec<u8>>>()?;
                (bytes, Form::Numbers)
            }
            _ => return None,
        };
        let bytes = bytes.into();
        Some(ShownBytes { bytes, form })
    }
}

impl Form {
    fn show(self, bytes: &Bytes) -> Value {
        match (self, std::str::from_utf8(bytes)) {
            (Form::Numbers, _) => json!(bytes.to_vec()),
            (Form::Text, Ok(text)) => Value::String(text.to_owned()),
            (Form::Text, Err(_)) | (Form::Base64, _) => Value::String(BASE64.encode(bytes)),
        }
    }
}

/// What is printed after `error`.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    message: String,
}

impl Failure {
    fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure {
            code: code.into(),
            message: message.into(),
        }
    }

    /// A mistake in the arguments.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Failure::new("INVALID_ARGUMENT", message)
    }
}

impl fmt::Display for Failure {
    /// One line, whatever a peer put into its message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        for char in self.message.chars() {
            if char.is_control() {
                write!(f, "{}", char.escape_default())?;
            } else {
                write!(f, "{char}")?;
            }
        }
        Ok(())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Status(status) => {
                return Failure::new(status.code.to_string(), &status.message);
            }
            CallError::PeerDied(_) => "PEER_DIED",
            CallError::MaybeSent(end) | CallError::NotSent(NotSent::Ended(end)) => end_code(end),
            CallError::SchemaMismatch { .. } => "SCHEMA",
            CallError::Cancelled(reason) => cancel_code(*reason),
            other => return Failure::new(other.code().to_string(), error.to_string()),
        };
        Failure::new(code, error.to_string())
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let code = match &error {
            StreamError::Lost(end) => end_code(end),
            StreamError::Decode(_) => "DECODE_ERROR",
            StreamError::DeadlineExceeded => "DEADLINE_EXCEEDED",
            StreamError::Cancelled(reason) => cancel_code(*reason),
            _ => "CANCELLED",
        };
        Failure::new(code, error.to_string())
    }
}

impl From<SessionEnd> for Failure {
    fn from(end: SessionEnd) -> Self {
        Failure::new(end_code(&end), end.to_string())
    }
}

/// The status code that says what a CancelChannel said.
fn cancel_code(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::ClientCancel => "CANCELLED",
        CancelReason::DeadlineExceeded => "DEADLINE_EXCEEDED",
        CancelReason::ResourceExhausted => "RESOURCE_EXHAUSTED",
        CancelReason::ProtocolViolation => "PROTOCOL_ERROR",
        CancelReason::Unauthenticated => "UNAUTHENTICATED",
        CancelReason::PermissionDenied => "PERMISSION_DENIED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_the_form_in_which_they_were_given() {
        for (given, bytes) in [
            (json!("aGk="), &b"hi"[..]),
            (json!("no base64!"), b"no base64!"),
            (json!([104, 105]), b"hi"),
            (json!(""), b""),
        ] {
            let read = ShownBytes::new(&given).expect("bytes");
            assert_eq!(read.bytes, bytes, "{given}");
            assert_eq!(read.form.show(&read.bytes), given);
        }
        assert!(ShownBytes::new(&json!([256])).is_none());
    }

    #[test]
    fn mistakes_name_the_argument_and_what_is_expected() {
        for (method, args, part) in [
            ("Testbed.add", json!([1]), "takes [a, b], got 1"),
            ("Testbed.add", json!([1, "2"]), "argument 2"),
            ("Testbed.add", json!([1, 2_147_483_648_i64]), "range"),
            ("Testbed.sum", json!([["x"]]), "array of integers"),
            ("Testbed.naps_running", json!([1]), "takes []"),
            ("add", json!([]), "SERVICE.METHOD"),
        ] {
            let args = args.as_array().expect("an array").clone();
            let failure = Planned::new(method, &args).expect_err(method).to_string();
            assert!(failure.starts_with("INVALID_ARGUMENT "), "{failure}");
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn an_error_is_one_line() {
        let failure = Failure::new("INTERNAL", "one\ntwo\u{1b}");
        assert_eq!(failure.to_string(), "INTERNAL one\\ntwo\\u{1b}");
    }
}
