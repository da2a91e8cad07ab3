//! Frames as people read them: arguments, results and items decoded by the schemas of the services
//! that the world's programs serve.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use rapace_codec::{MethodSchema, Schema};
use rapace_core::control::{Hello, Message};
use rapace_core::envelope::{Code, Envelope};
use rapace_core::frame::{Flags, NO_DEADLINE, Payload};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::record::{Entry, SentFrame, kind};
use super::{FrameEvent, Happening, Trace, TraceEvent, TraceHash, TraceLink};
use crate::fault::FrameKind;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::time::Nanos;

/// Strings and byte strings longer than this are abbreviated.
const TEXT_MAX: usize = 32;
/// Lists longer than this are abbreviated.
const LIST_MAX: usize = 8;

/// Makes a trace of what was recorded.
pub(crate) fn trace(
    stage: &Arc<Stage>,
    plan: &Plan,
    entries: Vec<(u64, Entry)>,
    hash: TraceHash,
) -> Trace {
    let decoder = Decoder::new(stage, &entries);
    let links = stage.links.iter().map(|link| TraceLink {
        name: link.name.clone(),
        transport: link.state().config.kind.name().to_owned(),
        ends: link.ends.map(|end| stage.names[end].to_string()),
    });
    let links: Vec<TraceLink> = links.collect();
    let events = entries.into_iter().map(|(at, entry)| TraceEvent {
        at: Nanos(at),
        what: decoder.happening(stage, plan, entry),
    });
    Trace {
        processes: stage.names.iter().map(ToString::to_string).collect(),
        events: events.collect(),
        links,
        hash,
    }
}

/// A channel over one life of a link.
type ChannelKey = (usize, u32, u32);

/// What is known of the methods and channels of a world.
struct Decoder {
    methods: BTreeMap<u32, (String, MethodSchema)>,
    /// The method of each call.
    calls: BTreeMap<ChannelKey, u32>,
    /// The call and the port of each stream and tunnel.
    ports: BTreeMap<ChannelKey, (u32, u32)>,
}

impl Decoder {
    fn new(stage: &Arc<Stage>, entries: &[(u64, Entry)]) -> Self {
        let mut decoder = Decoder {
            methods: methods(stage),
            calls: BTreeMap::new(),
            ports: BTreeMap::new(),
        };
        for (_, entry) in entries {
            let Entry::Sent(frame) = entry else { continue };
            let (link, life) = (frame.route.link, frame.route.life);
            match kind(&frame.desc) {
                FrameKind::Request => {
                    let key = (link, life, frame.desc.channel_id.0);
                    decoder.calls.insert(key, frame.desc.method_id.0);
                }
                FrameKind::Open => {
                    if let Some(Message::Open(open)) = message(frame)
                        && let Some(attach) = open.attach
                    {
                        let key = (link, life, open.channel.0);
                        decoder.ports.insert(key, (attach.call.0, attach.port));
                    }
                }
                _ => {}
            }
        }
        decoder
    }

    fn happening(&self, stage: &Stage, plan: &Plan, entry: Entry) -> Happening {
        let name = |process: usize| stage.names[process].to_string();
        match entry {
            Entry::Sent(frame) => Happening::Frame(self.frame(stage, &frame)),
            Entry::Fault { fault, hit } => Happening::Fault {
                fault: plan.faults[fault].clone(),
                hit,
            },
            Entry::Process {
                process,
                life,
                change,
            } => Happening::Process {
                process: name(process),
                life,
                change,
            },
            Entry::Link { link, life, change } => Happening::Link {
                link: stage.links[link].name.clone(),
                life,
                change,
            },
            Entry::Call {
                process,
                call,
                label,
                outcome,
            } => Happening::Call {
                process: name(process),
                call,
                label,
                outcome,
            },
            Entry::Mark { name } => Happening::Mark { name },
            Entry::Note { process, text } => Happening::Note {
                process: name(process),
                text,
            },
            Entry::Failure { text } => Happening::Failure { text },
        }
    }

    fn frame(&self, stage: &Stage, frame: &SentFrame) -> FrameEvent {
        let link = &stage.links[frame.route.link];
        let desc = &frame.desc;
        let verb = kind(desc);
        let key = |channel: u32| (frame.route.link, frame.route.life, channel);
        let channel = desc.channel_id.0;
        let port = self.ports.get(&key(channel));
        let call = port.map_or(channel, |(call, _)| *call);
        let method = self
            .calls
            .get(&key(call))
            .and_then(|id| self.methods.get(id));
        let schema = method.map(|(_, schema)| schema);
        let text = match verb {
            FrameKind::Request => request(frame, schema),
            FrameKind::Response => response(frame, schema),
            FrameKind::Data => {
                let port = port.map(|(_, port)| *port);
                data(
                    frame,
                    schema
                        .zip(port)
                        .and_then(|(schema, port)| item(schema, port)),
                )
            }
            FrameKind::Hello => hello(frame),
            _ => control(frame),
        };
        let method = method.map(|(name, _)| name.clone());
        FrameEvent {
            link: link.name.clone(),
            life: frame.route.life,
            from: stage.names[frame.route.from].to_string(),
            to: stage.names[link.ends[1 - frame.route.end]].to_string(),
            received: frame.received.map(Nanos),
            channel,
            verb,
            flags: flags(desc.flags),
            deadline: (desc.deadline_ns != NO_DEADLINE).then_some(Nanos(desc.deadline_ns)),
            credit: desc.has(Flags::CREDITS).then_some(desc.credit_grant),
            method: if channel == 0 { None } else { method },
            text,
            payload_bytes: frame.payload_len,
            payload_hash: format!("{:08x}", frame.payload_hash >> 32),
        }
    }
}

fn request(frame: &SentFrame, schema: Option<&MethodSchema>) -> String {
    let decoded = schema
        .zip(frame.payload.as_ref())
        .and_then(|(schema, bytes)| Some((schema, schema.request_to_json(bytes).ok()?)));
    let Some((schema, Value::Array(values))) = decoded else {
        let name = if schema.is_none() {
            format!("method {:#010x}", frame.desc.method_id.0)
        } else {
            String::new()
        };
        return format!("{name}({})", raw(frame));
    };
    let args = schema.args.iter().zip(&values);
    let args: Vec<String> = args
        .map(|((_, schema), value)| show(schema, value))
        .collect();
    format!("({})", args.join(", "))
}

fn response(frame: &SentFrame, schema: Option<&MethodSchema>) -> String {
    let Some(bytes) = &frame.payload else {
        return format!(" = {}", raw(frame));
    };
    let envelope = match Envelope::decode(&Payload::from(bytes.clone())) {
        Ok(envelope) => envelope,
        Err(fault) => return format!(" = no envelope: {}", fault.0),
    };
    if envelope.status.code != Code::OK {
        return format!(
            " failed: {}: {}",
            envelope.status.code, envelope.status.message
        );
    }
    let body = envelope.body.map(Payload::into_bytes).unwrap_or_default();
    let value = schema.and_then(|schema| {
        let value = schema.ret.postcard_to_json(&body).ok()?;
        Some(show(&schema.ret, &value))
    });
    match value {
        Some(value) => format!(" = {value}"),
        None => format!(" = {}", abbreviated(&body)),
    }
}

/// The methods of all services that were served.
fn methods(stage: &Arc<Stage>) -> BTreeMap<u32, (String, MethodSchema)> {
    let mut methods = BTreeMap::new();
    for method in stage.served().iter().flat_map(|service| service.methods()) {
        if let Ok(info) = method.info() {
            let name = method.spec().full_name();
            methods.insert(info.id.0, (name, info.schema.clone()));
        }
    }
    methods
}

/// What the items of a port look like; `None` for tunnels.
fn item(schema: &MethodSchema, port: u32) -> Option<&Schema> {
    let mut found = Vec::new();
    if port < 101 {
        for (_, arg) in &schema.args {
            streams(arg, &mut found);
        }
    } else {
        streams(&schema.ret, &mut found);
    }
    let nth = if port < 101 { port - 1 } else { port - 101 };
    found.get(nth as usize).copied().flatten()
}

/// The ports of a type in order of declaration: the items of streams, nothing for tunnels.
pub(crate) fn streams<'a>(schema: &'a Schema, found: &mut Vec<Option<&'a Schema>>) {
    match schema {
        Schema::Stream(item) => found.push(Some(item)),
        Schema::Tunnel => found.push(None),
        Schema::Option(inner) => streams(inner, found),
        Schema::Tuple(parts) => parts.iter().for_each(|part| streams(part, found)),
        Schema::Struct(parts) => {
            for field in &parts.fields {
                streams(&field.schema, found);
            }
        }
        Schema::Enum(parts) => {
            for payload in parts.variants.iter().filter_map(|one| one.payload.as_ref()) {
                streams(payload, found);
            }
        }
        _ => {}
    }
}

fn data(frame: &SentFrame, item: Option<&Schema>) -> String {
    if !frame.desc.has(Flags::DATA) {
        return String::new();
    }
    let value = item.zip(frame.payload.as_ref()).and_then(|(item, bytes)| {
        let value = item.postcard_to_json(bytes).ok()?;
        Some(show(item, &value))
    });
    value.unwrap_or_else(|| raw(frame))
}

fn message(frame: &SentFrame) -> Option<Message> {
    let bytes = frame.payload.as_ref()?;
    Message::decode(frame.desc.method_id, bytes).ok()
}

fn control(frame: &SentFrame) -> String {
    let Some(message) = message(frame) else {
        return format!("verb {} {}", frame.desc.method_id.0, raw(frame));
    };
    match message {
        Message::Open(open) => {
            let kind = format!("{:?}", open.kind).to_lowercase();
            let mut text = format!("#{} {kind}", open.channel.0);
            if let Some(attach) = open.attach {
                let _ = write!(text, " of #{} port {}", attach.call.0, attach.port);
            }
            if open.initial_credits > 0 {
                let _ = write!(text, " +{} bytes", open.initial_credits);
            }
            let metadata = open.metadata.unwrap_or_default();
            for (key, value) in metadata.iter() {
                let _ = write!(text, " {key}={}", abbreviated(value));
            }
            text
        }
        Message::Close { channel, error } => {
            let channel = if channel.0 == 0 {
                String::new()
            } else {
                format!("#{}", channel.0)
            };
            format!("{channel} {}", error.unwrap_or_default())
                .trim()
                .to_owned()
        }
        Message::Cancel { channel, reason } => format!("#{} {reason:?}", channel.0),
        Message::Grant { channel, bytes } => format!("#{} +{bytes} bytes", channel.0),
        Message::Ping(bytes) => format!("ping {}", hex(&bytes)),
        Message::Pong(bytes) => format!("pong {}", hex(&bytes)),
        Message::GoAway {
            reason,
            last_channel,
            message,
            ..
        } => format!("{reason:?} after #{} {message}", last_channel.0)
            .trim()
            .to_owned(),
    }
}

fn hello(frame: &SentFrame) -> String {
    let decoded = frame
        .payload
        .as_ref()
        .and_then(|bytes| Hello::decode(bytes).ok());
    let Some(hello) = decoded else {
        return raw(frame);
    };
    format!(
        "{:?}, {}, at most {}, {}, {}",
        hello.role,
        counted(hello.methods.len() as u64, "method"),
        counted(hello.limits.max_payload_size.into(), "byte"),
        counted(hello.limits.max_channels.into(), "channel"),
        counted(hello.limits.max_pending_calls.into(), "call"),
    )
}

/// `1 method`, `2 methods`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn flags(flags: Flags) -> Vec<String> {
    let shown = Flags(flags.0 & !Flags::CONTROL.0);
    if shown == Flags::empty() {
        return Vec::new();
    }
    format!("{shown:?}").split('|').map(str::to_owned).collect()
}

fn raw(frame: &SentFrame) -> String {
    match &frame.payload {
        Some(bytes) => abbreviated(bytes),
        None => format!(
            "{} bytes {:08x}",
            frame.payload_len,
            frame.payload_hash >> 32
        ),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Bytes as hexadecimal while they are few; then their length and hash.
fn abbreviated(bytes: &Bytes) -> String {
    if bytes.len() <= TEXT_MAX / 2 {
        return format!("x'{}'", hex(bytes));
    }
    format!("{} bytes {:08x}", bytes.len(), xxh3_64(bytes) >> 32)
}

/// A decoded value, with long parts abbreviated.
fn show(schema: &Schema, value: &Value) -> String {
    match (schema, value) {
        (Schema::Bytes, Value::String(text)) => match decode_base64(text) {
            Some(bytes) => abbreviated(&bytes.into()),
            None => short_text(text),
        },
        (Schema::Stream(_) | Schema::Tunnel, value) => format!("port {value}"),
        (Schema::Option(inner), value) if !value.is_null() => show(inner, value),
        (Schema::Vec(inner), Value::Array(items)) => list(
            '[',
            ']',
            items.iter().map(|item| show(inner, item)),
            items.len(),
        ),
        (Schema::Tuple(parts), Value::Array(items)) => {
            let items = parts.iter().zip(items);
            list(
                '(',
                ')',
                items.map(|(part, item)| show(part, item)),
                parts.len(),
            )
        }
        (Schema::Struct(parts), Value::Object(fields)) => {
            let shown = parts.fields.iter().map(|field| {
                let value = fields.get(&field.name).unwrap_or(&Value::Null);
                format!("{}: {}", field.name, show(&field.schema, value))
            });
            list('{', '}', shown, parts.fields.len())
        }
        (Schema::Enum(parts), Value::Object(fields)) if fields.len() == 1 => {
            let (name, value) = fields.iter().next().expect("it has one");
            let payload = parts.variants.iter().find(|variant| variant.name == *name);
            match payload.and_then(|variant| variant.payload.as_ref()) {
                Some(payload) => format!("{name}({})", show(payload, value)),
                None => name.clone(),
            }
        }
        (Schema::Enum(_), Value::String(name)) => name.clone(),
        (_, Value::String(text)) => short_text(text),
        (_, Value::Null) => "()".to_owned(),
        (_, other) => {
            let text = other.to_string();
            if text.len() > 2 * TEXT_MAX {
                short_text(&text)
            } else {
                text
            }
        }
    }
}

fn list(open: char, close: char, items: impl Iterator<Item = String>, len: usize) -> String {
    let mut shown: Vec<String> = items.take(LIST_MAX).collect();
    if len > LIST_MAX {
        shown.push(format!("… {len} in all"));
    }
    format!("{open}{}{close}", shown.join(", "))
}

fn short_text(text: &str) -> String {
    let chars = text.chars().count();
    if chars <= TEXT_MAX {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(TEXT_MAX / 2).collect();
    let hash = xxh3_64(text.as_bytes()) >> 32;
    format!("{head:?}… {chars} chars {hash:08x}")
}

/// The bytes of standard base64; `None` when it is none.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for symbol in text.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
