//! The calls of a file.

use super::document::Table;
use super::error::Problem;
use super::expect;
use super::invocation;
use super::model::{CallScript, HOST, PluginScript};
use super::parse::{Parser, at_least_one, names, process};
use super::streams;

/// A scenario makes at most so many calls: more belong into a Rust test.
const CALLS_MAX: u64 = 1_000_000;

/// The keys of `[[call]]` and of the tables in it, for the test that they are documented.
#[cfg(test)]
pub(super) const KEYS: &[&[&str]] = &[CALL, streams::SEND, streams::READ];
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

/// Reads calls.
#[derive(Clone, Copy)]
pub(super) struct Calls<'p> {
    pub(super) parser: &'p Parser<'p>,
    /// Whom they can go to.
    pub(super) plugins: &'p [PluginScript],
}

impl Calls<'_> {
    /// All calls of a file.
    pub(super) fn read(&self, top: &Table<'_, '_>) -> Result<Vec<CallScript>, Problem> {
        let Some(field) = top.get("call") else {
            return Ok(Vec::new());
        };
        let mut calls: Vec<CallScript> = Vec::new();
        let mut total = 0;
        for (span, entries) in field.tables()? {
            let table = Table::new(entries, span.clone(), "a call", CALL)?;
            let call = self.call(&table, &calls)?;
            total += call.total();
            if total > CALLS_MAX {
                let message = format!("a scenario makes at most {CALLS_MAX} calls");
                return Err(Problem::new(span, message));
            }
            calls.push(call);
        }
        Ok(calls)
    }

    fn call(&self, table: &Table<'_, '_>, before: &[CallScript]) -> Result<CallScript, Problem> {
        let Calls { parser, plugins } = *self;
        let what = table.need("do", "say what is called: do = \"add(1, 2)\"")?;
        let parsed = invocation::parse(what.text()?, parser.services)
            .map_err(|problem| parser.within(&what, problem))?;
        let ports = streams::read(table, &parsed)?;
        let expect = expect::of_call(table, &parsed)?;
        let invocation = parsed.invocation;
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
            ports,
            expect,
            line: parser.line(table.span.start),
        })
    }
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
