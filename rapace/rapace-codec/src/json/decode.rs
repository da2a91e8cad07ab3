//! Postcard bytes to JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::MAX_LEVELS;
use crate::MAX_EMPTY_ELEMENTS;
use crate::error::{DecodeError, DecodeErrorKind, JsonError, JsonErrorKind};
use crate::schema::{EnumSchema, Schema, Scope, StructSchema};

/// The value that all of `bytes` encode.
pub(super) fn value(schema: &Schema, bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        empties: MAX_EMPTY_ELEMENTS,
    };
    let value = reader.value(&Scope::root(schema), 0)?;
    if reader.at == bytes.len() {
        Ok(value)
    } else {
        Err(error_at(reader.at, DecodeErrorKind::TrailingBytes))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Elements without bytes that may still come.
    empties: u32,
}

impl<'a> Reader<'a> {
    fn value(&mut self, scope: &Scope<'_>, level: u32) -> Result<Value, JsonError> {
        if level > MAX_LEVELS {
            return Err(JsonError::new(JsonErrorKind::TooDeep));
        }
        let level = level + 1;
        // One small frame per level: what each kind needs is on the stack of its own function only.
        match scope.node {
            Schema::Option(some) => self.option(&scope.child(some), level),
            Schema::Vec(element) => {
                let count = self.count()?;
                self.elements(&scope.child(element), count, level)
            }
            Schema::Array { len, element } => {
                self.elements(&scope.child(element), *len as usize, level)
            }
            Schema::Map { key, value } => self.map(scope, key, value, level),
            Schema::Struct(ty) => self.structure(scope, ty, level),
            Schema::Tuple(types) => self.tuple(scope, types, level),
            Schema::Enum(ty) => self.enumeration(scope, ty, level),
            Schema::BackRef(_) => match scope.resolve() {
                Some(target) => self.value(target, level),
                None => Err(JsonError::new(JsonErrorKind::BadBackReference)),
            },
            leaf => self.leaf(leaf),
        }
    }

    /// A value that holds no others.
    fn leaf(&mut self, schema: &Schema) -> Result<Value, JsonError> {
        Ok(match schema {
            Schema::Bool => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(error_at(self.at - 1, DecodeErrorKind::InvalidBool)),
            },
            Schema::U8 => self.byte()?.into(),
            Schema::I8 => (self.byte()? as i8).into(),
            Schema::U16 => (self.varint(16)? as u16).into(),
            Schema::U32 | Schema::Tunnel | Schema::Stream(_) => (self.varint(32)? as u32).into(),
            Schema::U64 => (self.varint(64)? as u64).into(),
            Schema::I16 => (self.zigzag(16)? as i16).into(),
            Schema::I32 => (self.zigzag(32)? as i32).into(),
            Schema::I64 => (self.zigzag(64)? as i64).into(),
            Schema::U128 => {
                let value = self.varint(128)?;
                u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)
            }
            Schema::I128 => {
                let value = self.zigzag(128)?;
                i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)
            }
            Schema::F32 => {
                let value = f32::from_le_bytes(self.fixed()?);
                // The shortest text of an `f32` reads better than its value as an `f64`.
                value.to_string().parse().map_or(Value::Null, float)
            }
            Schema::F64 => float(f64::from_le_bytes(self.fixed()?)),
            Schema::Char => {
                let start = self.at;
                let text = self.text()?;
                if text.chars().count() != 1 {
                    return Err(error_at(start, DecodeErrorKind::InvalidChar));
                }
                text.into()
            }
            Schema::String => self.text()?.into(),
            Schema::Bytes => STANDARD.encode(self.counted()?).into(),
            // The others hold values and are matched by the caller; only the unit is left.
            _ => Value::Null,
        })
    }

    fn option(&mut self, some: &Scope<'_>, level: u32) -> Result<Value, JsonError> {
        match self.byte()? {
            0 => Ok(Value::Null),
            1 => self.value(some, level),
            _ => Err(error_at(self.at - 1, DecodeErrorKind::InvalidOption)),
        }
    }

    fn structure(
        &mut self,
        scope: &Scope<'_>,
        ty: &StructSchema,
        level: u32,
    ) -> Result<Value, JsonError> {
        let mut object = Map::new();
        for field in &ty.fields {
            let value = self
                .value(&scope.child(&field.schema), level)
                .map_err(|error| error.within(&field.name))?;
            object.insert(field.name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn tuple(
        &mut self,
        scope: &Scope<'_>,
        types: &[Schema],
        level: u32,
    ) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        for (index, ty) in types.iter().enumerate() {
            let item = self
                .value(&scope.child(ty), level)
                .map_err(|error| error.within(&index.to_string()))?;
            items.push(item);
        }
        Ok(items.into())
    }

    fn enumeration(
        &mut self,
        scope: &Scope<'_>,
        ty: &EnumSchema,
        level: u32,
    ) -> Result<Value, JsonError> {
        let start = self.at;
        let index = self.varint(32)? as usize;
        let Some(variant) = ty.variants.get(index) else {
            return Err(error_at(start, DecodeErrorKind::InvalidVariant));
        };
        let Some(payload) = &variant.payload else {
            return Ok(variant.name.clone().into());
        };
        let value = self
            .value(&scope.child(payload), level)
            .map_err(|error| error.within(&variant.name))?;
        Ok(Value::Object(Map::from_iter([(
            variant.name.clone(),
            value,
        )])))
    }

    fn map(
        &mut self,
        scope: &Scope<'_>,
        key: &Schema,
        entry: &Schema,
        level: u32,
    ) -> Result<Value, JsonError> {
        let count = self.count()?;
        let (key_scope, entry_scope) = (scope.child(key), scope.child(entry));
        if let Schema::String = key {
            let mut object = Map::new();
            for _ in 0..count {
                let name = self.text()?.to_owned();
                let value = self
                    .value(&entry_scope, level)
                    .map_err(|error| error.within(&format!("[{name:?}]")))?;
                object.insert(name, value);
            }
            return Ok(Value::Object(object));
        }
        let mut pairs = Vec::new();
        for index in 0..count {
            let start = self.at;
            let k = self
                .value(&key_scope, level)
                .map_err(|error| error.within(&format!("[key {index}]")))?;
            let v = self
                .value(&entry_scope, level)
                .map_err(|error| error.within(&format!("[value {index}]")))?;
            self.charge(start)?;
            pairs.push(Value::Array(vec![k, v]));
        }
        Ok(pairs.into())
    }

    fn elements(
        &mut self,
        scope: &Scope<'_>,
        count: usize,
        level: u32,
    ) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        for index in 0..count {
            let start = self.at;
            items.push(
                self.value(scope, level)
                    .map_err(|error| error.within(&format!("[{index}]")))?,
            );
            self.charge(start)?;
        }
        Ok(items.into())
    }

    /// Counts an element that began at `start`, if it took no bytes. The others are bounded by the
    /// length of the input.
    fn charge(&mut self, start: usize) -> Result<(), JsonError> {
        if self.at == start {
            match self.empties.checked_sub(1) {
                Some(left) => self.empties = left,
                None => return Err(error_at(start, DecodeErrorKind::TooManyEmptyElements)),
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, JsonError> {
        let [byte] = self.fixed()?;
        Ok(byte)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], JsonError> {
        match self.bytes[self.at..].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(error_at(self.at, DecodeErrorKind::UnexpectedEnd)),
        }
    }

    /// A varint of a number of `bits` bits, in at most ⌈bits/7⌉ bytes.
    fn varint(&mut self, bits: usize) -> Result<u128, JsonError> {
        let start = self.at;
        let mut value = 0u128;
        for index in 0..bits.div_ceil(7) {
            let byte = self
                .byte()
                .map_err(|_| error_at(start, DecodeErrorKind::UnexpectedEnd))?;
            let group = u128::from(byte & 0x7f);
            let room = bits - 7 * index;
            if room < 7 && group >> room != 0 {
                return Err(error_at(start, DecodeErrorKind::NumberOutOfRange));
            }
            value |= group << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(error_at(start, DecodeErrorKind::VarintTooLong))
    }

    fn zigzag(&mut self, bits: usize) -> Result<i128, JsonError> {
        let value = self.varint(bits)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    fn count(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        usize::try_from(self.varint(64)?)
            .map_err(|_| error_at(start, DecodeErrorKind::LengthTooLarge))
    }

    fn counted(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        let len = self.count()?;
        match self.bytes[self.at..].get(..len) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => Err(error_at(start, DecodeErrorKind::LengthTooLarge)),
        }
    }

    fn text(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        core::str::from_utf8(self.counted()?)
            .map_err(|_| error_at(start, DecodeErrorKind::InvalidUtf8))
    }
}

/// A float as a number where JSON has one, as text where it does not.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn error_at(position: usize, kind: DecodeErrorKind) -> JsonError {
    JsonError::new(JsonErrorKind::Bytes(DecodeError {
        position,
        path: String::new(),
        kind,
    }))
}
