//! JSON to and from postcard bytes, by schema: for command lines, traces and explorers.
//!
//! | type | JSON |
//! |---|---|
//! | integers up to 64 bits | a number, exact |
//! | `u128`, `i128` | a number where it fits 64 bits, otherwise a string of digits |
//! | floats | a number, or `"NaN"`, `"inf"`, `"-inf"` |
//! | bytes | base64 text; an array of numbers is accepted too |
//! | `Option` | `null` or the value; a missing field is `null` |
//! | structs, tuples | an object, an array |
//! | enums | `"Variant"`, or `{"Variant": payload}` |
//! | maps | an object when the keys are strings, otherwise an array of pairs |
//! | `()` | `null` |
//! | streams, tunnels | the port number |
//!
//! Bytes that come from a peer are held to the same rules as in [`Codec::decode`](crate::Codec::decode).

mod decode;
mod encode;

use serde_json::Value;

use crate::error::{JsonError, JsonErrorKind};
use crate::schema::{MethodSchema, Schema, Scope};

pub use crate::error::JsonErrorKind as ErrorKind;

/// How many schemas may enclose a value; options and structs count here too.
const MAX_LEVELS: u32 = crate::MAX_DEPTH;

impl Schema {
    /// The postcard bytes of a value of this type that is given as JSON.
    pub fn json_to_postcard(&self, json: &Value) -> Result<Vec<u8>, JsonError> {
        let mut out = Vec::new();
        encode::value(&Scope::root(self), json, &mut out, 0)?;
        Ok(out)
    }

    /// The value of this type that `bytes` encode, as JSON.
    pub fn postcard_to_json(&self, bytes: &[u8]) -> Result<Value, JsonError> {
        decode::value(self, bytes)
    }
}

impl MethodSchema {
    /// The request payload of a call whose arguments are given as a JSON array \[enc.args\].
    ///
    /// A method with no arguments takes `[]` or `null`.
    pub fn json_to_request(&self, args: &Value) -> Result<Vec<u8>, JsonError> {
        let args = match args {
            Value::Null if self.args.is_empty() => &[],
            Value::Array(args) if args.len() == self.args.len() => args.as_slice(),
            other => {
                let expected = match self.args.len() {
                    1 => "an array of 1 argument".to_owned(),
                    count => format!("an array of {count} arguments"),
                };
                return Err(JsonError::expected(expected, other));
            }
        };
        let mut out = Vec::new();
        for ((name, schema), json) in self.args.iter().zip(args) {
            encode::value(&Scope::root(schema), json, &mut out, 0)
                .map_err(|error| error.within(name))?;
        }
        Ok(out)
    }

    /// The arguments that a request payload encodes, as a JSON array.
    pub fn request_to_json(&self, bytes: &[u8]) -> Result<Value, JsonError> {
        let args = Schema::Tuple(self.args.iter().map(|(_, schema)| schema.clone()).collect());
        args.postcard_to_json(bytes)
    }
}

impl JsonError {
    fn new(kind: JsonErrorKind) -> Self {
        Self {
            path: String::new(),
            kind,
        }
    }

    fn expected(expected: impl Into<String>, found: &Value) -> Self {
        Self::new(JsonErrorKind::Expected {
            expected: expected.into(),
            found: brief(found),
        })
    }

    /// The same error, one step further out.
    fn within(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }
}

/// A JSON value as it can stand in a message.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => format!("{text:?}"),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
