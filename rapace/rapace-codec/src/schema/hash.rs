//! The canonical form of a schema and its hash \[id.sig\].
//!
//! Integers are little-endian `u32`. Type names are not part of the form; names of fields and variants
//! are.

use super::{FieldSchema, MethodSchema, Schema};

const UNIT: u8 = 0x00;
const BOOL: u8 = 0x01;
const U8: u8 = 0x02;
const I8: u8 = 0x07;
const F32: u8 = 0x0c;
const F64: u8 = 0x0d;
const CHAR: u8 = 0x0e;
const STRING: u8 = 0x0f;
const BYTES: u8 = 0x10;
const OPTION: u8 = 0x20;
const VEC: u8 = 0x21;
const ARRAY: u8 = 0x22;
const MAP: u8 = 0x23;
const STRUCT: u8 = 0x40;
const TUPLE: u8 = 0x41;
const ENUM: u8 = 0x42;
const STREAM: u8 = 0x50;
const TUNNEL: u8 = 0x51;
const BACKREF: u8 = 0x60;

impl Schema {
    /// BLAKE3 of the canonical form of this type alone. Two types with the same hash are
    /// interchangeable on the wire.
    pub fn hash(&self) -> [u8; 32] {
        let mut form = Vec::new();
        write(self, &mut form);
        *blake3::hash(&form).as_bytes()
    }
}

impl MethodSchema {
    /// The signature hash \[id.sig\]: the form of a tuple of two, the tuple of all arguments and the
    /// return type.
    pub fn signature_hash(&self) -> [u8; 32] {
        *blake3::hash(&self.canonical_form()).as_bytes()
    }

    /// The bytes that are hashed.
    pub(crate) fn canonical_form(&self) -> Vec<u8> {
        let mut form = vec![TUPLE];
        put_u32(2, &mut form);
        form.push(TUPLE);
        put_u32(self.args.len(), &mut form);
        for (_, schema) in &self.args {
            write(schema, &mut form);
        }
        write(&self.ret, &mut form);
        form
    }
}

fn write(schema: &Schema, form: &mut Vec<u8>) {
    match schema {
        Schema::Unit => form.push(UNIT),
        Schema::Bool => form.push(BOOL),
        Schema::U8 => form.push(U8),
        Schema::U16 => form.push(U8 + 1),
        Schema::U32 => form.push(U8 + 2),
        Schema::U64 => form.push(U8 + 3),
        Schema::U128 => form.push(U8 + 4),
        Schema::I8 => form.push(I8),
        Schema::I16 => form.push(I8 + 1),
        Schema::I32 => form.push(I8 + 2),
        Schema::I64 => form.push(I8 + 3),
        Schema::I128 => form.push(I8 + 4),
        Schema::F32 => form.push(F32),
        Schema::F64 => form.push(F64),
        Schema::Char => form.push(CHAR),
        Schema::String => form.push(STRING),
        Schema::Bytes => form.push(BYTES),
        Schema::Option(some) => {
            form.push(OPTION);
            write(some, form);
        }
        Schema::Vec(element) => {
            form.push(VEC);
            write(element, form);
        }
        Schema::Array { len, element } => {
            form.push(ARRAY);
            form.extend_from_slice(&len.to_le_bytes());
            write(element, form);
        }
        Schema::Map { key, value } => {
            form.push(MAP);
            write(key, form);
            write(value, form);
        }
        Schema::Struct(ty) => write_fields(&ty.fields, form),
        Schema::Tuple(elements) => {
            form.push(TUPLE);
            put_u32(elements.len(), form);
            for element in elements {
                write(element, form);
            }
        }
        Schema::Enum(ty) => {
            form.push(ENUM);
            put_u32(ty.variants.len(), form);
            for variant in &ty.variants {
                put_name(&variant.name, form);
                if let Some(payload) = &variant.payload {
                    write(payload, form);
                }
            }
        }
        Schema::Stream(item) => {
            form.push(STREAM);
            write(item, form);
        }
        Schema::Tunnel => form.push(TUNNEL),
        Schema::BackRef(levels) => {
            form.push(BACKREF);
            form.extend_from_slice(&levels.to_le_bytes());
        }
    }
}

fn write_fields(fields: &[FieldSchema], form: &mut Vec<u8>) {
    form.push(STRUCT);
    put_u32(fields.len(), form);
    for field in fields {
        put_name(&field.name, form);
        write(&field.schema, form);
    }
}

fn put_u32(value: usize, form: &mut Vec<u8>) {
    form.extend_from_slice(&(value as u32).to_le_bytes());
}

fn put_name(name: &str, form: &mut Vec<u8>) {
    put_u32(name.len(), form);
    form.extend_from_slice(name.as_bytes());
}
