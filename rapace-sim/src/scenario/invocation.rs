//! Calls as they are written: `add(1, 2)`, `Testbed.echo(64KiB)`, `take({ "left": stream })`.

use std::collections::BTreeSet;
use std::ops::Range;

use rapace_codec::Schema;
use rapace_session::method::MethodInfo;
use serde_json::Value;

use super::error::{Problem, either};
use super::model::{Arg, Invocation};
use super::ports::{self, Places, Port};
use super::services::Services;

/// A call, the ports of its method, and those of its arguments that have a value.
pub(super) struct Parsed {
    pub(super) invocation: Invocation,
    pub(super) info: &'static MethodInfo,
    pub(super) ports: Vec<Port<'static>>,
    pub(super) present: BTreeSet<u32>,
}

/// Understands the text of a call; problems are offsets into it.
pub(super) fn parse(text: &str, services: &Services) -> Result<Parsed, Problem> {
    let whole = 0..text.len();
    let hint = "write `method(arguments)`, for example `add(1, 2)`";
    let open = text
        .find('(')
        .ok_or_else(|| Problem::new(whole.clone(), "a call needs parentheses").hint(hint))?;
    let trimmed = text.trim_end();
    if !trimmed.ends_with(')') || trimmed.len() <= open {
        return Err(Problem::new(whole, "the closing parenthesis is missing").hint(hint));
    }
    let close = trimmed.len() - 1;
    let name = &text[..open];
    let (service, method) = find(name, services)?;
    let info = services
        .info(&service, &method)
        .map_err(|why| Problem::new(0..open, why))?;
    let (schema, ports) = (&info.schema, ports::of(info));
    let args = arguments(&text[open + 1..close], open + 1)?;
    if args.len() != schema.args.len() {
        let span = open..close + 1;
        let takes = match schema.args.len() {
            1 => "1 argument".to_owned(),
            count => format!("{count} arguments"),
        };
        let message = format!("`{service}.{method}` takes {takes}, not {}", args.len());
        return Err(Problem::new(span, message).hint(schema.text(&method)));
    }
    let mut places = Places::new(&ports);
    let mut values = Vec::new();
    for ((name, wanted), (span, mut arg)) in schema.args.iter().zip(args) {
        fits(&mut arg, name, wanted, &mut places)
            .map_err(|why| Problem::new(span, why).hint(signature(info, &method)))?;
        values.push(arg);
    }
    let present = places.present;
    let invocation = Invocation {
        service,
        method,
        args: values,
    };
    Ok(Parsed {
        invocation,
        info,
        ports,
        present,
    })
}

/// A method as it is declared, with the types that have its streams and tunnels in them.
pub(super) fn signature(info: &MethodInfo, method: &str) -> String {
    let schema = &info.schema;
    let values = schema.args.iter().map(|(_, wanted)| wanted);
    let having = values.chain([&schema.ret]).filter(|value| {
        let mut found = Vec::new();
        crate::trace::decode::streams(value, &mut found);
        !found.is_empty()
    });
    let types = Schema::Tuple(having.cloned().collect()).declarations();
    let lines = types.lines().filter(|line| !line.is_empty());
    let text = schema.text(method);
    std::iter::once(&*text)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// `Service.method`, or the method alone if only one service has it.
fn find(name: &str, services: &Services) -> Result<(String, String), Problem> {
    let name = name.trim();
    if let Some((service, method)) = name.split_once('.') {
        if !services.names().contains(&service) {
            let message = format!("there is no service `{service}`");
            return Err(Problem::new(0..service.len(), message).suggest(service, services.names()));
        }
        let methods = services.methods(service);
        if !methods.contains(&method) {
            let message = format!("`{service}` has no method `{method}`");
            let span = service.len() + 1..name.len();
            return Err(Problem::new(span, message).suggest(method, methods));
        }
        return Ok((service.to_owned(), method.to_owned()));
    }
    let having: Vec<&str> = services
        .names()
        .into_iter()
        .filter(|service| services.methods(service).contains(&name))
        .collect();
    match having.as_slice() {
        [service] => Ok(((*service).to_owned(), name.to_owned())),
        [_, ..] => {
            let names: Vec<String> = having.iter().map(|one| format!("{one}.{name}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("several services have a method `{name}`");
            Err(Problem::new(0..name.len(), message).hint(format!("say {}", either(&names))))
        }
        [] => {
            let all = services.names().into_iter();
            let all = all.flat_map(|service| services.methods(service));
            Err(
                Problem::new(0..name.len(), format!("no service has a method `{name}`"))
                    .suggest(name, all),
            )
        }
    }
}

/// Splits at commas that stand outside of quotes and brackets.
fn arguments(text: &str, offset: usize) -> Result<Vec<(Range<usize>, Arg)>, Problem> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0_i32, false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() || !parts.is_empty() {
        parts.push(start..text.len());
    }
    let argument = |span: Range<usize>| {
        let raw = &text[span.clone()];
        let begin = offset + span.start + (raw.len() - raw.trim_start().len());
        let place = begin..begin + raw.trim().len();
        Ok((place.clone(), argument(raw.trim(), place)?))
    };
    parts.into_iter().map(argument).collect()
}

fn argument(text: &str, place: Range<usize>) -> Result<Arg, Problem> {
    let sized = ["KiB", "MiB", "B"].iter().any(|unit| text.ends_with(unit));
    if sized && text.starts_with(|c: char| c.is_ascii_digit()) {
        let bytes = super::document::size(text);
        return bytes
            .map(Arg::Bytes)
            .ok_or_else(|| Problem::new(place, format!("`{text}` is no number of bytes")));
    }
    ports::marked(text).map(Arg::Json).map_err(|_| {
        const KNOWN: [&str; 5] = [ports::STREAM, ports::TUNNEL, "null", "true", "false"];
        let words = ports::bare_words(text).into_iter();
        let unknown = words.filter(|span| !KNOWN.contains(&&text[span.clone()]));
        let (span, what) = match unknown.min_by_key(|span| span.start) {
            Some(span) => (
                place.start + span.start..place.start + span.end,
                &text[span],
            ),
            None => (place, text),
        };
        let message =
            format!("`{what}` is no JSON, no size such as 64KiB, not `stream` or `tunnel`");
        Problem::new(span, message).suggest_similar(what, &KNOWN)
    })
}

/// Whether an argument can be what the method takes; gives its streams and tunnels their numbers.
fn fits(arg: &mut Arg, name: &str, wanted: &Schema, places: &mut Places<'_>) -> Result<(), String> {
    match (arg, wanted) {
        (Arg::Bytes(_), Schema::Bytes | Schema::String) => Ok(()),
        (Arg::Bytes(_), Schema::Stream(_) | Schema::Tunnel) => {
            places.argument(name, wanted, &mut Value::Null)
        }
        (Arg::Bytes(_), wanted) => Err(format!("`{name}` is of type {wanted}")),
        (Arg::Json(value), wanted) => {
            places.argument(name, wanted, value)?;
            wanted
                .json_to_postcard(value)
                .map(drop)
                .map_err(|error| format!("`{name}`: {error}"))
        }
    }
}
