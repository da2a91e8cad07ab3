//! From a file to a [`Scenario`].

use std::ops::Range;
use std::time::Duration;

use rapace_session::Limits;
use toml::de::DeTable;

use super::document::{Field, Table, in_order, inside};
use super::error::{Problem, ScriptError};
use super::expect;
use super::invocation;
use super::model::{CallScript, FaultScript, HOST, Party, PluginScript, Read, Scenario, Send};
use super::sentence;
use super::services::Services;
use crate::fault::{Fault, What};
use crate::link::{LinkConfig, LinkKind};
use crate::program::Restart;

/// Files longer than this are refused: nobody wrote them by hand.
const FILE_BYTES_MAX: usize = 1 << 20;
/// A scenario makes at most so many calls: more belong into a Rust test.
const CALLS_MAX: u64 = 1_000_000;

const TRANSPORTS: [(&str, LinkKind); 3] = [
    ("stream", LinkKind::Stream),
    ("mem", LinkKind::Mem),
    ("shm", LinkKind::Shm),
];

/// The tables and keys of the format; what is not here is refused.
const TOP: &[&str] = &[
    "about",
    "transports",
    "seed",
    "host",
    "plugin",
    "call",
    "fault",
    "expect",
];
const PARTY: &[&str] = &["serves", "limits"];
const PLUGIN: &[&str] = &["serves", "limits", "link", "restart"];
const LINK: &[&str] = &[
    "latency",
    "jitter",
    "window_bytes",
    "short_io",
    "ring_frames",
    "slots_max",
    "lane_bytes_max",
];
const CALL: &[&str] = &[
    "do",
    "name",
    "at",
    "after",
    "from",
    "to",
    "deadline",
    "cancel",
    "repeat",
    "parallel",
    "every",
    "send",
    "read",
    "returns",
    "fails",
    "may_fail",
    "says",
    "within",
    "not_before",
    "reads",
];
const SEND: &[&str] = &["items", "item_bytes", "bytes", "every", "keep_open"];
const READ: &[&str] = &["start", "every", "stop_after"];
const FAULT: &[&str] = &["when", "what", "may_miss"];
const LIMITS: &[&str] = &[
    "max_payload_size",
    "max_channels",
    "max_pending_calls",
    "window_bytes",
    "max_violations",
    "handshake_timeout",
    "grace",
    "ping_interval",
    "ping_timeout",
    "channel_buffer_bytes",
    "send_queue_bytes",
    "max_queued_replies",
];

/// All keys of the format, for the test that they are documented.
#[cfg(test)]
pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
    let tables = [
        TOP,
        PARTY,
        PLUGIN,
        LINK,
        CALL,
        SEND,
        READ,
        FAULT,
        expect::KEYS,
        LIMITS,
    ];
    tables.into_iter().flatten().copied()
}

impl Scenario {
    /// Reads a scenario that uses the standard services. `name` is what it is called.
    ///
    /// Never panics, whatever the text.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be understood, with its line and what was expected there.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, ScriptError> {
        Scenario::parse_with(name, text, &Services::standard())
    }

    /// As [`Scenario::parse`], with services of one's own.
    ///
    /// # Errors
    ///
    /// As for [`Scenario::parse`].
    pub fn parse_with(
        name: &str,
        text: &str,
        services: &Services,
    ) -> Result<Scenario, ScriptError> {
        let stem = name.rsplit('/').next().unwrap_or(name);
        let stem = stem.strip_suffix(".toml").unwrap_or(stem);
        let parser = Parser { text, services };
        parser
            .scenario(stem)
            .map_err(|problem| problem.at(name, text))
    }
}

struct Parser<'t> {
    text: &'t str,
    services: &'t Services,
}

impl Parser<'_> {
    fn scenario(&self, name: &str) -> Result<Scenario, Problem> {
        if self.text.len() > FILE_BYTES_MAX {
            let message = format!("a scenario is at most {FILE_BYTES_MAX} bytes long");
            return Err(Problem::new(0..0, message));
        }
        let document = DeTable::parse(self.text).map_err(|error| {
            let end = self.text.len();
            Problem::new(error.span().unwrap_or(end..end), error.message())
        })?;
        let top = Table::new(document.get_ref(), 0..0, "a scenario", TOP)?;
        let about = top.need("about", "say in a sentence what the scenario shows")?;
        let plugins = self.plugins(&top)?;
        let calls = self.calls(&top, &plugins)?;
        let scenario = Scenario {
            name: name.to_owned(),
            about: about.text()?.trim().to_owned(),
            transports: transports(&top)?,
            seed: top.number("seed", i64::MAX as u64)?.unwrap_or(1),
            host: match top.get("host") {
                Some(host) => {
                    let (span, entries) = host.table()?;
                    self.party(&Table::new(entries, span, "the host", PARTY)?)?
                }
                None => self.everything(),
            },
            faults: self.faults(&top, &plugins)?,
            expect: expect::of_world(&top, &plugins)?,
            plugins,
            calls,
        };
        Ok(scenario)
    }

    fn everything(&self) -> Party {
        Party {
            serves: self.services.by_default(),
            limits: Limits::default(),
        }
    }

    fn plugins(&self, top: &Table<'_, '_>) -> Result<Vec<PluginScript>, Problem> {
        let field = top.need(
            "plugin",
            "a world has at least one plugin: write [plugin.images]",
        )?;
        let (span, entries) = field.table()?;
        let mut plugins = Vec::new();
        for (key, node) in in_order(entries) {
            let name = key.get_ref();
            let simple = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(simple) || name == HOST {
                let message = format!("a plugin cannot be called `{name}`");
                let hint = "use letters, digits, - and _; `host` is taken";
                return Err(Problem::new(key.span(), message).hint(hint));
            }
            let (span, entries) = Field { key: name, node }.table()?;
            plugins.push(self.plugin(name, &Table::new(entries, span, "a plugin", PLUGIN)?)?);
        }
        if plugins.is_empty() {
            return Err(
                Problem::new(span, "a world has at least one plugin").hint("write [plugin.images]")
            );
        }
        Ok(plugins)
    }

    fn plugin(&self, name: &str, table: &Table<'_, '_>) -> Result<PluginScript, Problem> {
        let mut link = LinkConfig::default();
        if let Some(field) = table.get("link") {
            let (span, entries) = field.table()?;
            let table = Table::new(entries, span, "a link", LINK)?;
            link.latency = table.nanos("latency")?.unwrap_or(link.latency);
            link.jitter = table.nanos("jitter")?.unwrap_or(link.jitter);
            link.short_io = table.flag("short_io")?.unwrap_or(link.short_io);
            let positive = |key, place: &mut u32| match table.get(key) {
                Some(field) => at_least_one(field, field.bytes()?).map(|number| *place = number),
                None => Ok(()),
            };
            positive("window_bytes", &mut link.window_bytes)?;
            positive("ring_frames", &mut link.shm.ring_frames)?;
            positive("slots_max", &mut link.shm.slots_max)?;
            positive("lane_bytes_max", &mut link.shm.lane_bytes_max)?;
        }
        let restart = match table.get("restart") {
            None => Restart::default(),
            Some(field) if field.text() == Ok("never") => Restart::Never,
            Some(field) => {
                let after = field.nanos().map_err(|problem| {
                    problem.hint("write \"never\", or how long it stays down: \"20ms\"")
                })?;
                Restart::Backoff {
                    initial: after,
                    max: after,
                }
            }
        };
        Ok(PluginScript {
            name: name.to_owned(),
            party: self.party(table)?,
            link,
            restart,
        })
    }

    fn party(&self, table: &Table<'_, '_>) -> Result<Party, Problem> {
        let serves = match table.get("serves") {
            None => self.services.by_default(),
            Some(field) => {
                let mut serves = Vec::new();
                for (span, name) in field.texts()? {
                    if !self.services.names().contains(&name) {
                        let message = format!("there is no service `{name}`");
                        return Err(
                            Problem::new(span, message).suggest(name, self.services.names())
                        );
                    }
                    serves.push(name.to_owned());
                }
                serves
            }
        };
        let limits = match table.get("limits") {
            Some(field) => limits(field)?,
            None => Limits::default(),
        };
        Ok(Party { serves, limits })
    }

    fn calls(
        &self,
        top: &Table<'_, '_>,
        plugins: &[PluginScript],
    ) -> Result<Vec<CallScript>, Problem> {
        let Some(field) = top.get("call") else {
            return Ok(Vec::new());
        };
        let mut calls: Vec<CallScript> = Vec::new();
        let mut total = 0;
        for (span, entries) in field.tables()? {
            let table = Table::new(entries, span.clone(), "a call", CALL)?;
            let call = self.call(&table, plugins, &calls)?;
            total += call.total();
            if total > CALLS_MAX {
                let message = format!("a scenario makes at most {CALLS_MAX} calls");
                return Err(Problem::new(span, message));
            }
            calls.push(call);
        }
        Ok(calls)
    }

    fn call(
        &self,
        table: &Table<'_, '_>,
        plugins: &[PluginScript],
        before: &[CallScript],
    ) -> Result<CallScript, Problem> {
        let what = table.need("do", "say what is called: do = \"add(1, 2)\"")?;
        let invocation = invocation::parse(what.text()?, self.services)
            .map_err(|problem| self.within(&what, problem))?;
        let names = names(plugins);
        let who = |key: &'static str, default: &str| match table.get(key) {
            None => Ok(default.to_owned()),
            Some(field) => process(field.span(), field.text()?, &names),
        };
        let from = who("from", HOST)?;
        let to = who("to", if from == HOST { &plugins[0].name } else { HOST })?;
        if (from == HOST) == (to == HOST) {
            let message = format!("there is no link between `{from}` and `{to}`");
            return Err(Problem::new(what.span(), message)
                .hint("each plugin has a link to the host, and no other"));
        }
        if table.get("to").is_none() && from == HOST && plugins.len() > 1 {
            return Err(
                Problem::new(what.span(), "`to` is missing: there are several plugins")
                    .suggest("", plugins.iter().map(|plugin| plugin.name.as_str())),
            );
        }
        let name = match table.text("name")? {
            Some(name) => name.to_owned(),
            None => numbered(&invocation.method, before),
        };
        let mut after = Vec::new();
        if let Some(field) = table.get("after") {
            for (span, name) in field.texts()? {
                if !before.iter().any(|call| call.name == name) {
                    let message = format!("no call above is called `{name}`");
                    let names = before.iter().map(|call| call.name.as_str());
                    return Err(Problem::new(span, message).suggest(name, names));
                }
                after.push(name.to_owned());
            }
        }
        let times = |key: &'static str| match table.get(key) {
            None => Ok(1),
            Some(field) => at_least_one(field, field.number(CALLS_MAX)? as u32),
        };
        let (send, read) = self.streams(table, &invocation)?;
        Ok(CallScript {
            name,
            at: table.nanos("at")?.unwrap_or_default(),
            after,
            from,
            to,
            invocation,
            deadline: table.nanos("deadline")?,
            cancel: table.nanos("cancel")?,
            repeat: times("repeat")?,
            parallel: times("parallel")?,
            every: table.nanos("every")?.unwrap_or_default(),
            send,
            read,
            expect: expect::of_call(table)?,
            line: self.line(table.span.start),
        })
    }

    fn streams(
        &self,
        table: &Table<'_, '_>,
        invocation: &super::model::Invocation,
    ) -> Result<(Send, Read), Problem> {
        let schema = self
            .services
            .schema(&invocation.service, &invocation.method);
        let (sends, reads) = schema.map_or((true, true), |schema| invocation::ports(&schema));
        let mut send = Send::default();
        if let Some(field) = table.get("send") {
            if !sends {
                let message = format!("`{}` takes no stream or tunnel", invocation.method);
                return Err(Problem::new(field.span(), message));
            }
            let (span, entries) = field.table()?;
            let table = Table::new(entries, span, "`send`", SEND)?;
            send = Send {
                items: table.number("items", 1 << 24)?.unwrap_or(0) as u32,
                item_bytes: table.bytes("item_bytes")?.unwrap_or(0),
                bytes: table.bytes("bytes")?.unwrap_or(0),
                every: table.nanos("every")?.unwrap_or_default(),
                keep_open: table.flag("keep_open")?.unwrap_or(false),
            };
        }
        let mut read = Read::default();
        if let Some(field) = table.get("read") {
            if !reads {
                let message = format!("`{}` gives no stream or tunnel", invocation.method);
                return Err(Problem::new(field.span(), message));
            }
            let (span, entries) = field.table()?;
            let table = Table::new(entries, span, "`read`", READ)?;
            read = Read {
                start: table.nanos("start")?.unwrap_or_default(),
                every: table.nanos("every")?.unwrap_or_default(),
                stop_after: table.number("stop_after", u64::from(u32::MAX))?,
            };
        }
        Ok((send, read))
    }

    fn faults(
        &self,
        top: &Table<'_, '_>,
        plugins: &[PluginScript],
    ) -> Result<Vec<FaultScript>, Problem> {
        let Some(field) = top.get("fault") else {
            return Ok(Vec::new());
        };
        let tables = field.tables()?.into_iter();
        let read = |(span, entries): (Range<usize>, _)| {
            let table = Table::new(entries, span, "a fault", FAULT)?;
            let when = table.need("when", "say when: when = \"at 20ms\"")?;
            let what = table.need("what", "say what happens: what = \"kill images\"")?;
            let fault = Fault {
                when: sentence::when(when.text()?).map_err(|it| self.within(&when, it))?,
                what: sentence::what(what.text()?).map_err(|it| self.within(&what, it))?,
            };
            self.who_is_there(&fault, plugins, &when, &what)?;
            Ok(FaultScript {
                fault,
                may_miss: table.flag("may_miss")?.unwrap_or(false),
                line: self.line(table.span.start),
            })
        };
        tables.map(read).collect()
    }

    /// Whether everybody and everything that a fault names is there.
    fn who_is_there(
        &self,
        fault: &Fault,
        plugins: &[PluginScript],
        when: &Field<'_, '_>,
        what: &Field<'_, '_>,
    ) -> Result<(), Problem> {
        let names = names(plugins);
        for name in fault.when.processes() {
            process(self.word(when, name), name, &names)?;
        }
        if let Some(name) = fault.what.process() {
            process(self.word(what, name), name, &names)?;
        }
        if let What::CutHalf { from, .. } | What::Corrupt { from, .. } = &fault.what {
            process(self.word(what, from), from, &names)?;
        }
        if let Some(link) = fault.what.link()
            && !names[1..].contains(&link)
        {
            let message = format!("there is no link `{link}`");
            let links = names[1..].iter().copied();
            return Err(Problem::new(self.word(what, link), message).suggest(link, links));
        }
        Ok(())
    }

    /// Where a word stands that a sentence has.
    fn word(&self, field: &Field<'_, '_>, word: &str) -> Range<usize> {
        let at = field
            .text()
            .ok()
            .and_then(|text| sentence::place(text, word));
        at.map_or_else(|| field.span(), |at| inside(field, self.text, at))
    }

    /// A problem inside of a text, as a problem of the file.
    fn within(&self, field: &Field<'_, '_>, problem: Problem) -> Problem {
        Problem {
            span: inside(field, self.text, problem.span),
            ..problem
        }
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

fn at_least_one(field: Field<'_, '_>, number: u32) -> Result<u32, Problem> {
    if number == 0 {
        let message = format!("`{}` is at least 1", field.key);
        return Err(Problem::new(field.span(), message));
    }
    Ok(number)
}

fn transports(top: &Table<'_, '_>) -> Result<Vec<LinkKind>, Problem> {
    let Some(field) = top.get("transports") else {
        return Ok(TRANSPORTS.iter().map(|(_, kind)| *kind).collect());
    };
    let names = field.texts()?.into_iter();
    let kinds: Vec<LinkKind> = names
        .map(|(span, name)| transport(span, name))
        .collect::<Result<_, _>>()?;
    if kinds.is_empty() {
        return Err(Problem::new(
            field.span(),
            "a scenario runs over at least one transport",
        ));
    }
    Ok(kinds)
}

/// The transport of this name.
pub(super) fn transport(span: Range<usize>, name: &str) -> Result<LinkKind, Problem> {
    let known = TRANSPORTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = TRANSPORTS.iter().map(|(name, _)| *name);
        Problem::new(span, format!("there is no transport `{name}`")).suggest(name, names)
    })
}

fn limits(field: Field<'_, '_>) -> Result<Limits, Problem> {
    let (span, entries) = field.table()?;
    let table = Table::new(entries, span, "`limits`", LIMITS)?;
    let mut limits = Limits::default();
    let bytes = |key, place: &mut u32| {
        table
            .bytes(key)
            .map(|bytes| *place = bytes.unwrap_or(*place))
    };
    bytes("max_payload_size", &mut limits.max_payload_size)?;
    bytes("window_bytes", &mut limits.window_bytes)?;
    bytes("channel_buffer_bytes", &mut limits.channel_buffer_bytes)?;
    bytes("max_channels", &mut limits.max_channels)?;
    bytes("max_pending_calls", &mut limits.max_pending_calls)?;
    bytes("max_violations", &mut limits.max_violations)?;
    bytes("max_queued_replies", &mut limits.max_queued_replies)?;
    if let Some(bytes) = table.bytes("send_queue_bytes")? {
        limits.send_queue_bytes = bytes as usize;
    }
    let span = |key, place: &mut Duration| {
        table
            .nanos(key)
            .map(|span| *place = span.map_or(*place, Duration::from))
    };
    span("handshake_timeout", &mut limits.handshake_timeout)?;
    span("grace", &mut limits.grace)?;
    span("ping_timeout", &mut limits.ping_timeout)?;
    limits.ping_interval = table.nanos("ping_interval")?.map(Duration::from);
    if limits.handshake_timeout > Duration::from_secs(30)
        && let Some(field) = table.get("handshake_timeout")
    {
        return Err(Problem::new(field.span(), "a handshake takes at most 30s"));
    }
    Ok(limits)
}

/// All processes, the host first.
pub(super) fn names(plugins: &[PluginScript]) -> Vec<&str> {
    let plugins = plugins.iter().map(|plugin| plugin.name.as_str());
    std::iter::once(HOST).chain(plugins).collect()
}

pub(super) fn process(span: Range<usize>, name: &str, names: &[&str]) -> Result<String, Problem> {
    if names.contains(&name) {
        return Ok(name.to_owned());
    }
    let message = format!("there is no process `{name}`");
    Err(Problem::new(span, message).suggest(name, names.iter().copied()))
}

/// `nap`, then `nap 2`, `nap 3`.
fn numbered(method: &str, before: &[CallScript]) -> String {
    let same = before
        .iter()
        .filter(|call| call.invocation.method == method);
    match same.count() {
        0 => method.to_owned(),
        earlier => format!("{method} {}", earlier + 1),
    }
}
