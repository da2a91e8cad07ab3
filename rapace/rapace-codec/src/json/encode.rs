//! JSON to postcard bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::MAX_LEVELS;
use crate::error::{JsonError, JsonErrorKind};
use crate::schema::{EnumSchema, Schema, Scope, StructSchema};

/// Appends the bytes of `json`, a value of the type at `scope`.
pub(super) fn value(
    scope: &Scope<'_>,
    json: &Value,
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    if level > MAX_LEVELS {
        return Err(JsonError::new(JsonErrorKind::TooDeep));
    }
    let level = level + 1;
    // One small frame per level: what each kind needs is on the stack of its own function only.
    match scope.node {
        Schema::Option(some) => match json {
            Value::Null => {
                out.push(0);
                Ok(())
            }
            json => {
                out.push(1);
                value(&scope.child(some), json, out, level)
            }
        },
        Schema::Vec(element) => {
            let items = array(json, "an array")?;
            put_varint(items.len() as u128, out);
            elements(&scope.child(element), items, out, level)
        }
        Schema::Array { len, element } => elements(
            &scope.child(element),
            array_of(json, *len as usize)?,
            out,
            level,
        ),
        Schema::Map { key, value } => map(scope, key, value, json, out, level),
        Schema::Struct(ty) => structure(scope, ty, json, out, level),
        Schema::Tuple(types) => tuple(scope, types, json, out, level),
        Schema::Enum(ty) => enumeration(scope, ty, json, out, level),
        Schema::BackRef(_) => match scope.resolve() {
            Some(target) => value(target, json, out, level),
            None => Err(JsonError::new(JsonErrorKind::BadBackReference)),
        },
        schema => leaf(schema, json, out),
    }
}

/// A value that holds no others.
fn leaf(schema: &Schema, json: &Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match schema {
        Schema::Bool => match json {
            Value::Bool(value) => out.push(u8::from(*value)),
            other => return Err(JsonError::expected("true or false", other)),
        },
        Schema::U8 => out.push(unsigned(json, u64::from(u8::MAX))? as u8),
        Schema::I8 => out.push(signed(json, i64::from(i8::MIN), i64::from(i8::MAX))? as u8),
        Schema::U16 => put_number(unsigned(json, u64::from(u16::MAX))?, out),
        Schema::U32 | Schema::Tunnel | Schema::Stream(_) => {
            put_number(unsigned(json, u64::from(u32::MAX))?, out);
        }
        Schema::U64 => put_number(unsigned(json, u64::MAX)?, out),
        Schema::I16 => put_zigzag(signed(json, i64::from(i16::MIN), i64::from(i16::MAX))?, out),
        Schema::I32 => put_zigzag(signed(json, i64::from(i32::MIN), i64::from(i32::MAX))?, out),
        Schema::I64 => put_zigzag(signed(json, i64::MIN, i64::MAX)?, out),
        Schema::U128 => put_varint(wide(json, "an integer from 0 to 2^128 - 1")?, out),
        Schema::I128 => {
            let value: i128 = wide(json, "an integer from -2^127 to 2^127 - 1")?;
            put_varint(((value << 1) ^ (value >> 127)) as u128, out);
        }
        Schema::F32 => out.extend_from_slice(&(float(json)? as f32).to_le_bytes()),
        Schema::F64 => out.extend_from_slice(&float(json)?.to_le_bytes()),
        Schema::Char => match json {
            Value::String(text) if text.chars().count() == 1 => put_bytes(text.as_bytes(), out),
            other => return Err(JsonError::expected("a string of one character", other)),
        },
        Schema::String => match json {
            Value::String(text) => put_bytes(text.as_bytes(), out),
            other => return Err(JsonError::expected("a string", other)),
        },
        Schema::Bytes => put_bytes(&bytes(json)?, out),
        // The others hold values and are matched by the caller; only the unit is left.
        _ if json.is_null() => {}
        _ => return Err(JsonError::expected("null", json)),
    }
    Ok(())
}

fn tuple(
    scope: &Scope<'_>,
    types: &[Schema],
    json: &Value,
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    let items = array_of(json, types.len())?;
    for (index, (ty, item)) in types.iter().zip(items).enumerate() {
        value(&scope.child(ty), item, out, level)
            .map_err(|error| error.within(&index.to_string()))?;
    }
    Ok(())
}

fn structure(
    scope: &Scope<'_>,
    ty: &StructSchema,
    json: &Value,
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    let Value::Object(object) = json else {
        return Err(JsonError::expected(
            format!("an object with the fields of {}", ty.name),
            json,
        ));
    };
    for field in &ty.fields {
        let json = match object.get(&field.name) {
            Some(json) => json,
            None if matches!(field.schema, Schema::Option(_) | Schema::Unit) => &Value::Null,
            None => {
                return Err(JsonError::new(JsonErrorKind::MissingField(
                    field.name.clone(),
                )));
            }
        };
        value(&scope.child(&field.schema), json, out, level)
            .map_err(|error| error.within(&field.name))?;
    }
    match object
        .keys()
        .find(|key| ty.fields.iter().all(|field| field.name != **key))
    {
        Some(unknown) => Err(JsonError::new(JsonErrorKind::UnknownField(unknown.clone()))),
        None => Ok(()),
    }
}

fn enumeration(
    scope: &Scope<'_>,
    ty: &EnumSchema,
    json: &Value,
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    let (name, payload) = match json {
        Value::String(name) => (name, &Value::Null),
        Value::Object(object) if object.len() == 1 => {
            object.iter().next().expect("the object has one entry")
        }
        other => {
            return Err(JsonError::expected(
                format!("\"Variant\" or {{\"Variant\": …}} of {}", ty.name),
                other,
            ));
        }
    };
    let Some(index) = ty.variants.iter().position(|variant| variant.name == *name) else {
        return Err(JsonError::new(JsonErrorKind::UnknownVariant(name.clone())));
    };
    put_varint(index as u128, out);
    match &ty.variants[index].payload {
        Some(schema) => {
            value(&scope.child(schema), payload, out, level).map_err(|error| error.within(name))
        }
        None if payload.is_null() => Ok(()),
        None => Err(JsonError::expected("no payload", payload).within(name)),
    }
}

fn map(
    scope: &Scope<'_>,
    key: &Schema,
    entry: &Schema,
    json: &Value,
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    let (key_scope, entry_scope) = (scope.child(key), scope.child(entry));
    if let (Value::Object(object), Schema::String) = (json, key) {
        put_varint(object.len() as u128, out);
        for (name, json) in object {
            put_bytes(name.as_bytes(), out);
            value(&entry_scope, json, out, level)
                .map_err(|error| error.within(&format!("[{name:?}]")))?;
        }
        return Ok(());
    }
    let pairs = array(json, "an object, or an array of [key, value] pairs")?;
    put_varint(pairs.len() as u128, out);
    for (index, pair) in pairs.iter().enumerate() {
        let Value::Array(pair) = pair else {
            return Err(
                JsonError::expected("a [key, value] pair", pair).within(&format!("[{index}]"))
            );
        };
        let [k, v] = pair.as_slice() else {
            let found = Value::Array(pair.clone());
            return Err(
                JsonError::expected("a [key, value] pair", &found).within(&format!("[{index}]"))
            );
        };
        value(&key_scope, k, out, level)
            .map_err(|error| error.within(&format!("[key {index}]")))?;
        value(&entry_scope, v, out, level)
            .map_err(|error| error.within(&format!("[value {index}]")))?;
    }
    Ok(())
}

fn elements(
    element: &Scope<'_>,
    items: &[Value],
    out: &mut Vec<u8>,
    level: u32,
) -> Result<(), JsonError> {
    for (index, item) in items.iter().enumerate() {
        value(element, item, out, level).map_err(|error| error.within(&format!("[{index}]")))?;
    }
    Ok(())
}

fn array<'a>(json: &'a Value, expected: &str) -> Result<&'a [Value], JsonError> {
    match json {
        Value::Array(items) => Ok(items),
        other => Err(JsonError::expected(expected, other)),
    }
}

fn array_of(json: &Value, len: usize) -> Result<&[Value], JsonError> {
    match json {
        Value::Array(items) if items.len() == len => Ok(items),
        other => Err(JsonError::expected(format!("an array of {len}"), other)),
    }
}

fn unsigned(json: &Value, max: u64) -> Result<u64, JsonError> {
    json.as_u64()
        .filter(|value| *value <= max)
        .ok_or_else(|| JsonError::expected(format!("an integer from 0 to {max}"), json))
}

fn signed(json: &Value, min: i64, max: i64) -> Result<i64, JsonError> {
    json.as_i64()
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| JsonError::expected(format!("an integer from {min} to {max}"), json))
}

/// A 128-bit integer: digits in a string, or a number that JSON can hold exactly.
fn wide<T: core::str::FromStr>(json: &Value, expected: &str) -> Result<T, JsonError> {
    let parsed = match json {
        Value::String(digits) => digits.parse().ok(),
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            number.to_string().parse().ok()
        }
        _ => None,
    };
    parsed.ok_or_else(|| JsonError::expected(expected, json))
}

fn float(json: &Value) -> Result<f64, JsonError> {
    match json {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| JsonError::expected("a number, \"NaN\", \"inf\" or \"-inf\"", json))
}

fn bytes(json: &Value) -> Result<Vec<u8>, JsonError> {
    const EXPECTED: &str = "base64 text or an array of bytes";
    match json {
        Value::String(text) => STANDARD
            .decode(text)
            .map_err(|_| JsonError::expected(EXPECTED, json)),
        Value::Array(items) => items
            .iter()
            .map(|item| Ok(unsigned(item, u64::from(u8::MAX))? as u8))
            .collect(),
        other => Err(JsonError::expected(EXPECTED, other)),
    }
}

fn put_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(value: u64, out: &mut Vec<u8>) {
    put_varint(u128::from(value), out);
}

fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_number(((value << 1) ^ (value >> 63)) as u64, out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}
