//! Calls as they are written: `add(1, 2)`, `Testbed.echo(64KiB)`, `relay(stream)`.

use std::ops::Range;

use rapace_codec::Schema;
use serde_json::Value;

use super::error::{Problem, either};
use super::model::{Arg, Invocation};
use super::services::Services;

/// Understands the text of a call; problems are offsets into it.
pub(super) fn parse(text: &str, services: &Services) -> Result<Invocation, Problem> {
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
    let schema = services
        .schema(&service, &method)
        .map_err(|why| Problem::new(0..open, why))?;
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
    let mut values = Vec::new();
    for ((name, wanted), (span, arg)) in schema.args.iter().zip(args) {
        fits(&arg, name, wanted)
            .map_err(|why| Problem::new(span, why).hint(schema.text(&method)))?;
        values.push(arg);
    }
    Ok(Invocation {
        service,
        method,
        args: values,
    })
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
        let arg = argument(raw.trim()).map_err(|why| Problem::new(place.clone(), why));
        Ok((place, arg?))
    };
    parts.into_iter().map(argument).collect()
}

fn argument(text: &str) -> Result<Arg, String> {
    match text {
        "stream" => return Ok(Arg::Stream),
        "tunnel" => return Ok(Arg::Tunnel),
        _ => {}
    }
    let sized = ["KiB", "MiB", "B"].iter().any(|unit| text.ends_with(unit));
    if sized && text.starts_with(|c: char| c.is_ascii_digit()) {
        let bytes = super::document::size(text);
        return bytes
            .map(Arg::Bytes)
            .ok_or_else(|| format!("`{text}` is no number of bytes"));
    }
    serde_json::from_str::<Value>(text)
        .map(Arg::Json)
        .map_err(|_| {
            format!("`{text}` is no JSON, no size such as 64KiB, not `stream` or `tunnel`")
        })
}

/// Whether an argument can be what the method takes.
fn fits(arg: &Arg, name: &str, wanted: &Schema) -> Result<(), String> {
    match (arg, wanted) {
        (Arg::Stream, Schema::Stream(_)) | (Arg::Tunnel, Schema::Tunnel) => Ok(()),
        (_, Schema::Stream(_)) => Err(format!(
            "`{name}` is a stream: write `stream`, and what it carries under `send`"
        )),
        (_, Schema::Tunnel) => Err(format!(
            "`{name}` is a tunnel: write `tunnel`, and what it carries under `send`"
        )),
        (Arg::Bytes(_), Schema::Bytes) => Ok(()),
        (Arg::Bytes(_), Schema::String) => Ok(()),
        (Arg::Json(value), wanted) => wanted
            .json_to_postcard(value)
            .map(drop)
            .map_err(|error| format!("`{name}`: {error}")),
        (_, wanted) => Err(format!("`{name}` is of type {wanted}")),
    }
}
