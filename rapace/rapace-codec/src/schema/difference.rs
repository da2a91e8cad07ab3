//! The first difference between two schemas, as a sentence \[hello.compat\].

use super::{MethodSchema, Schema};

impl Schema {
    /// Where the two types first differ, as in `` `options.quality`: u8 here, u16 at the peer ``;
    /// `None` when they are interchangeable on the wire.
    ///
    /// Names of types do not count; names of fields and variants do.
    pub fn first_difference(here: &Schema, peer: &Schema) -> Option<String> {
        compare(here, peer, &mut Vec::new()).map(|difference| difference.sentence(""))
    }
}

impl MethodSchema {
    /// Where two signatures first differ, as in
    /// `` argument 2 `options.quality`: u8 here, u16 at the peer ``.
    ///
    /// Names of arguments do not count; those of `here` are used to say which one differs.
    pub fn first_difference(here: &MethodSchema, peer: &MethodSchema) -> Option<String> {
        for (index, ((name, here), (_, peer))) in here.args.iter().zip(&peer.args).enumerate() {
            let path = &mut vec![name.as_str()];
            if let Some(difference) = compare(here, peer, path) {
                return Some(difference.sentence(&format!("argument {} ", index + 1)));
            }
        }
        if here.args.len() != peer.args.len() {
            return Some(format!(
                "{} here, {} at the peer",
                counted(here.args.len(), "argument"),
                counted(peer.args.len(), "argument")
            ));
        }
        compare(&here.ret, &peer.ret, &mut Vec::new())
            .map(|difference| difference.sentence("return value "))
    }
}

struct Difference {
    path: String,
    what: String,
}

impl Difference {
    fn sentence(&self, subject: &str) -> String {
        match (subject.trim_end(), self.path.as_str()) {
            ("", "") => self.what.clone(),
            (subject, "") => format!("{subject}: {}", self.what),
            (_, path) => format!("{subject}`{path}`: {}", self.what),
        }
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Compares at one place; `path` is how people would name it.
fn compare<'a>(here: &'a Schema, peer: &'a Schema, path: &mut Vec<&'a str>) -> Option<Difference> {
    let found = |path: &[&str], what: String| {
        Some(Difference {
            path: join(path),
            what,
        })
    };
    match (here, peer) {
        (Schema::Option(here), Schema::Option(peer)) => compare(here, peer, path),
        (Schema::Vec(here), Schema::Vec(peer)) => step(here, peer, "[]", path),
        (Schema::Stream(here), Schema::Stream(peer)) => step(here, peer, "[]", path),
        (
            Schema::Array { len, element },
            Schema::Array {
                len: peer_len,
                element: peer_element,
            },
        ) if len == peer_len => step(element, peer_element, "[]", path),
        (
            Schema::Map { key, value },
            Schema::Map {
                key: peer_key,
                value: peer_value,
            },
        ) => {
            step(key, peer_key, "[key]", path).or_else(|| step(value, peer_value, "[value]", path))
        }
        (Schema::Tuple(here), Schema::Tuple(peer)) => {
            for (index, (here, peer)) in here.iter().zip(peer).enumerate() {
                if let Some(difference) =
                    step(here, peer, TUPLE_STEPS.get(index).unwrap_or(&"_"), path)
                {
                    return Some(difference);
                }
            }
            if here.len() == peer.len() {
                return None;
            }
            found(
                path,
                format!(
                    "{} here, {} at the peer",
                    counted(here.len(), "element"),
                    counted(peer.len(), "element")
                ),
            )
        }
        (Schema::Struct(here), Schema::Struct(peer)) => {
            let names = |fields: &'a [super::FieldSchema]| -> Vec<&'a str> {
                fields.iter().map(|field| field.name.as_str()).collect()
            };
            let (ours, theirs) = (names(&here.fields), names(&peer.fields));
            for index in 0..ours.len().max(theirs.len()) {
                if ours.get(index) != theirs.get(index) {
                    return found(path, named("field", index, &ours, &theirs));
                }
                let (ours, theirs) = (&here.fields[index], &peer.fields[index]);
                if let Some(difference) = step(&ours.schema, &theirs.schema, &ours.name, path) {
                    return Some(difference);
                }
            }
            None
        }
        (Schema::Enum(here), Schema::Enum(peer)) => {
            let names = |variants: &'a [super::VariantSchema]| -> Vec<&'a str> {
                variants
                    .iter()
                    .map(|variant| variant.name.as_str())
                    .collect()
            };
            let (ours, theirs) = (names(&here.variants), names(&peer.variants));
            for index in 0..ours.len().max(theirs.len()) {
                if ours.get(index) != theirs.get(index) {
                    return found(path, named("variant", index, &ours, &theirs));
                }
                let (ours, theirs) = (&here.variants[index], &peer.variants[index]);
                path.push(&ours.name);
                let difference = match (&ours.payload, &theirs.payload) {
                    (None, None) => None,
                    (Some(here), Some(peer)) => compare(here, peer, path),
                    (here, peer) => {
                        let text = |payload: &Option<Schema>| match payload {
                            Some(schema) => schema.to_string(),
                            None => "no payload".to_owned(),
                        };
                        found(
                            path,
                            format!("{} here, {} at the peer", text(here), text(peer)),
                        )
                    }
                };
                path.pop();
                if difference.is_some() {
                    return difference;
                }
            }
            None
        }
        (here, peer) if here == peer => None,
        (Schema::BackRef(_), Schema::BackRef(_)) => {
            found(path, "it refers to different enclosing types".to_owned())
        }
        (Schema::BackRef(_), peer) => {
            found(path, format!("an enclosing type here, {peer} at the peer"))
        }
        (here, Schema::BackRef(_)) => {
            found(path, format!("{here} here, an enclosing type at the peer"))
        }
        (here, peer) => found(path, format!("{here} here, {peer} at the peer")),
    }
}

const TUPLE_STEPS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];

fn step<'a>(
    here: &'a Schema,
    peer: &'a Schema,
    name: &'a str,
    path: &mut Vec<&'a str>,
) -> Option<Difference> {
    path.push(name);
    let difference = compare(here, peer, path);
    path.pop();
    difference
}

/// What to say when position `index` has different names: one side may lack a name altogether, or
/// have it elsewhere.
fn named(noun: &str, index: usize, ours: &[&str], theirs: &[&str]) -> String {
    match (ours.get(index), theirs.get(index)) {
        (Some(name), _) if !theirs.contains(name) => {
            format!("{noun} `{name}` is missing at the peer")
        }
        (_, Some(name)) if !ours.contains(name) => format!("{noun} `{name}` is missing here"),
        (here, peer) => format!(
            "{noun} {} is `{}` here, `{}` at the peer",
            index + 1,
            here.unwrap_or(&"nothing"),
            peer.unwrap_or(&"nothing")
        ),
    }
}

fn join(path: &[&str]) -> String {
    let mut joined = String::new();
    for step in path {
        if !joined.is_empty() && !step.starts_with('[') {
            joined.push('.');
        }
        joined.push_str(step);
    }
    joined
}
