//! What a scenario expects: of its calls, and of the world at the end.

use rapace_codec::Schema;
use serde_json::Value;

use super::document::{Field, Table, in_order};
use super::error::Problem;
use super::invocation::{self, Parsed};
use super::model::{CallExpectations, Expectations, PluginScript};
use super::outcome::Ending;
use super::parse::{names, process};

/// The keys of `[expect]`.
pub(super) const KEYS: &[&str] = &["marks", "lives", "over_by", "dead"];

/// How a call must end.
pub(super) fn of_call(table: &Table<'_, '_>, parsed: &Parsed) -> Result<CallExpectations, Problem> {
    let endings = |key: &'static str| {
        let Some(field) = table.get(key) else {
            return Ok(Vec::new());
        };
        let mut endings = Vec::new();
        for (span, word) in field.texts()? {
            endings.push(Ending::from_word(word).ok_or_else(|| {
                let words = Ending::WORDS.iter().map(|(_, word)| *word);
                Problem::new(span, format!("no call ends with `{word}`")).suggest(word, words)
            })?);
        }
        Ok(endings)
    };
    let expect = CallExpectations {
        returns: returns(table, parsed)?,
        fails: endings("fails")?,
        may_fail: endings("may_fail")?,
        says: table.text("says")?.map(str::to_owned),
        within: table.nanos("within")?,
        not_before: table.nanos("not_before")?,
    };
    if let (Some(field), Some(_)) = (table.get("returns"), expect.fails.first()) {
        return Err(
            Problem::new(field.span(), "a call that fails returns nothing")
                .hint("if it may do either, say `may_fail` instead of `fails`"),
        );
    }
    if let (Some(field), [], []) = (table.get("says"), &*expect.fails, &*expect.may_fail) {
        return Err(Problem::new(field.span(), "only failures say something")
            .hint("say how it fails, too: fails = \"peer died\""));
    }
    Ok(expect)
}

/// The value that a call must return, which must be of the method's type.
fn returns(table: &Table<'_, '_>, parsed: &Parsed) -> Result<Option<Value>, Problem> {
    let Some(field) = table.get("returns") else {
        return Ok(None);
    };
    let value = field.json()?;
    let schema = &parsed.info.schema;
    if is_plain(&schema.ret)
        && let Err(error) = schema.ret.json_to_postcard(&value)
    {
        let method = &parsed.invocation.method;
        let message = format!("`{method}` returns another type: {error}");
        return Err(
            Problem::new(field.span(), message).hint(invocation::signature(parsed.info, method))
        );
    }
    Ok(Some(value))
}

/// Whether a value of this type is compared as it is: of bytes that may be their number, and streams
/// and tunnels are marked by words.
fn is_plain(schema: &Schema) -> bool {
    match schema {
        Schema::Bytes | Schema::Stream(_) | Schema::Tunnel => false,
        Schema::Option(inside) | Schema::Vec(inside) => is_plain(inside),
        Schema::Array { element, .. } => is_plain(element),
        Schema::Map { key, value } => is_plain(key) && is_plain(value),
        Schema::Tuple(members) => members.iter().all(is_plain),
        Schema::Struct(one) => one.fields.iter().all(|field| is_plain(&field.schema)),
        Schema::Enum(one) => {
            let mut payloads = one.variants.iter().filter_map(|one| one.payload.as_ref());
            payloads.all(is_plain)
        }
        _ => true,
    }
}

/// What must be so at the end.
pub(super) fn of_world(
    top: &Table<'_, '_>,
    plugins: &[PluginScript],
) -> Result<Expectations, Problem> {
    let Some(field) = top.get("expect") else {
        return Ok(Expectations::default());
    };
    let (span, entries) = field.table()?;
    let table = Table::new(entries, span, "`expect`", KEYS)?;
    let mut expect = Expectations {
        over_by: table.nanos("over_by")?,
        ..Expectations::default()
    };
    if let Some(field) = table.get("marks") {
        let marks = field.texts()?.into_iter();
        expect.marks = marks.map(|(_, mark)| mark.to_owned()).collect();
    }
    let names = names(plugins);
    if let Some(field) = table.get("dead") {
        for (span, name) in field.texts()? {
            expect.dead.push(process(span, name, &names)?);
        }
    }
    if let Some(field) = table.get("lives") {
        let (_, entries) = field.table()?;
        for (key, node) in in_order(entries) {
            let name = process(key.span(), key.get_ref(), &names)?;
            let count = Field { key: &name, node }.number(u64::from(u32::MAX))?;
            expect.lives.insert(name, count);
        }
    }
    Ok(expect)
}
