//! An owned description of a type, and what can be read off two of them.
//!
//! A [`Schema`] is made from a facet shape, travels in postcard bytes by this crate's own codec, and is
//! what the signature hash \[id.sig\], the text for people, the comparison with a peer and the JSON
//! transcoder all run from. It holds what decides the bytes on the wire and the names people know
//! things by; layout, docs and Rust paths stay behind.

mod difference;
mod hash;
mod method;
mod scope;
mod text;

use std::any::TypeId;
use std::sync::OnceLock;

use facet::Facet;
use facet_core::{Field, Shape, StructKind};

use crate::codec::Codec;
use crate::error::{DecodeError, UnsupportedType};
use crate::kind::{Kind, Scalar, StructStyle, classify};
use crate::port::PortKind;
use crate::program::Program;

pub use method::{MethodSchema, PortLeaf};
pub(crate) use scope::Scope;

/// What a type looks like on the wire, with names.
///
/// Transparent things are absent: `Box<T>`, `Arc<T>` and one-field tuple structs are their contents,
/// unit structs are [`Schema::Unit`], sets are lists, and `Result` is an enum.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
#[repr(u8)]
pub enum Schema {
    /// `()`: no bytes.
    Unit,
    /// `bool`.
    Bool,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `u128`.
    U128,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `i128`.
    I128,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// Text of any owner.
    String,
    /// `Bytes`, `Vec<u8>` and boxed byte slices.
    Bytes,
    /// `Option` of the type inside.
    Option(Box<Schema>),
    /// A list or set of the type inside.
    Vec(Box<Schema>),
    /// An array.
    Array {
        /// The number of elements.
        len: u32,
        /// Their type.
        element: Box<Schema>,
    },
    /// A map.
    Map {
        /// The type of the keys.
        key: Box<Schema>,
        /// The type of the values.
        value: Box<Schema>,
    },
    /// A struct with named fields.
    Struct(StructSchema),
    /// A tuple or tuple struct.
    Tuple(Vec<Schema>),
    /// An enum; `Result` too, with the variants `Ok` and `Err`.
    Enum(EnumSchema),
    /// A stream of the type inside.
    Stream(Box<Schema>),
    /// A tunnel.
    Tunnel,
    /// The type of an enclosing schema, so many levels up: 1 is the schema that directly holds this
    /// one.
    BackRef(u32),
}

/// A struct with named fields.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
pub struct StructSchema {
    /// The type's name, without type parameters. Not hashed.
    pub name: String,
    /// The fields in order of declaration.
    pub fields: Vec<FieldSchema>,
}

/// One field of a struct.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
pub struct FieldSchema {
    /// The name, after `#[facet(rename = "…")]`.
    pub name: String,
    /// The type.
    pub schema: Schema,
}

/// An enum.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
pub struct EnumSchema {
    /// The type's name, without type parameters. Not hashed.
    pub name: String,
    /// The variants in order of declaration; the position is the index on the wire \[enc.enum\].
    pub variants: Vec<VariantSchema>,
}

/// One variant of an enum.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
pub struct VariantSchema {
    /// The name, after `#[facet(rename = "…")]`.
    pub name: String,
    /// What the variant holds: nothing, one value, a tuple of several, or a struct of named ones.
    pub payload: Option<Schema>,
}

impl Schema {
    /// The schema of the type that `shape` describes.
    pub fn of(shape: &'static Shape) -> Result<Schema, UnsupportedType> {
        Program::compile(shape)?;
        Ok(Builder::default().build(shape))
    }

    /// The postcard bytes of this schema, for [`Schema::from_bytes`] at the other side.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A schema nested too deeply to encode comes from no real type; it decodes to an error.
        let _ = codec().encode(self, &mut bytes, &mut ());
        bytes
    }

    /// The schema that `bytes` encode. Back references may be wrong; whoever follows them checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Schema, DecodeError> {
        codec().decode_slice(bytes, &mut ())
    }
}

fn codec() -> &'static Codec<Schema> {
    static CODEC: OnceLock<Codec<Schema>> = OnceLock::new();
    CODEC.get_or_init(|| Codec::new().expect("a schema has an encoding"))
}

/// Builds schemas from shapes that are known to compile.
#[derive(Default)]
struct Builder {
    /// The structs and enums being built, and how many schemas enclose each.
    open: Vec<(TypeId, u32)>,
    /// How many schemas enclose the one being built.
    depth: u32,
}

impl Builder {
    fn build(&mut self, shape: &'static Shape) -> Schema {
        let kind = classify(shape).unwrap_or_else(|_| unreachable!("the shape has compiled"));
        match kind {
            Kind::Scalar(scalar) => scalar_schema(scalar),
            Kind::Text(_) => Schema::String,
            Kind::Bytes | Kind::ByteVec | Kind::ByteSlice { .. } => Schema::Bytes,
            Kind::Uuid => Schema::Array {
                len: 16,
                element: Box::new(Schema::U8),
            },
            Kind::Duration => Schema::Tuple(vec![Schema::U64, Schema::U32]),
            Kind::Struct(fields, style) => {
                self.recursive(shape, |this| this.structure(shape, fields, style))
            }
            Kind::Enum(ty) => self.recursive(shape, |this| {
                let variants = ty.variants.iter().map(|variant| VariantSchema {
                    name: variant.effective_name().to_owned(),
                    payload: this.payload(variant.name, variant.data.kind, variant.data.fields),
                });
                Schema::Enum(EnumSchema {
                    name: shape.effective_name().to_owned(),
                    variants: variants.collect(),
                })
            }),
            Kind::Option(def) => Schema::Option(Box::new(self.inside(def.t))),
            Kind::Result(def) => {
                let variant = |name: &str, payload| VariantSchema {
                    name: name.to_owned(),
                    payload: Some(payload),
                };
                Schema::Enum(EnumSchema {
                    name: "Result".to_owned(),
                    variants: vec![
                        variant("Ok", self.inside(def.t)),
                        variant("Err", self.inside(def.e)),
                    ],
                })
            }
            Kind::List(def) => Schema::Vec(Box::new(self.inside(def.t))),
            Kind::Slice(_, element) => Schema::Vec(Box::new(self.inside(element))),
            Kind::Set(def) => Schema::Vec(Box::new(self.inside(def.t))),
            Kind::Array(element, len) => Schema::Array {
                len: len as u32,
                element: Box::new(self.inside(element)),
            },
            Kind::Map(def) => Schema::Map {
                key: Box::new(self.inside(def.k)),
                value: Box::new(self.inside(def.v)),
            },
            Kind::Boxed(pointee) | Kind::Arc(_, pointee) => self.build(pointee),
            Kind::Port(table) => match (table.kind, (table.element)()) {
                (PortKind::Stream, Some(element)) => Schema::Stream(Box::new(self.inside(element))),
                _ => Schema::Tunnel,
            },
        }
    }

    /// A schema one level further in.
    fn inside(&mut self, shape: &'static Shape) -> Schema {
        self.depth += 1;
        let schema = self.build(shape);
        self.depth -= 1;
        schema
    }

    /// A type that may contain itself; met again inside itself it becomes a back reference.
    fn recursive(
        &mut self,
        shape: &'static Shape,
        build: impl FnOnce(&mut Self) -> Schema,
    ) -> Schema {
        let id = shape.id.get();
        if let Some((_, depth)) = self.open.iter().rev().find(|(open, _)| *open == id) {
            return Schema::BackRef(self.depth - depth);
        }
        self.open.push((id, self.depth));
        let schema = build(self);
        self.open.pop();
        schema
    }

    fn structure(
        &mut self,
        shape: &'static Shape,
        fields: &'static [Field],
        style: StructStyle,
    ) -> Schema {
        match style {
            StructStyle::Unit => Schema::Unit,
            StructStyle::Newtype => self.build(fields[0].shape.get()),
            StructStyle::Tuple => self.tuple(fields),
            StructStyle::Named => self.named(shape.effective_name(), fields),
        }
    }

    fn tuple(&mut self, fields: &'static [Field]) -> Schema {
        Schema::Tuple(
            fields
                .iter()
                .map(|field| self.inside(field.shape.get()))
                .collect(),
        )
    }

    fn named(&mut self, name: &str, fields: &'static [Field]) -> Schema {
        let fields = fields.iter().map(|field| FieldSchema {
            name: field.effective_name().to_owned(),
            schema: self.inside(field.shape.get()),
        });
        Schema::Struct(StructSchema {
            name: name.to_owned(),
            fields: fields.collect(),
        })
    }

    /// What a variant holds, one level inside its enum.
    fn payload(
        &mut self,
        name: &str,
        kind: StructKind,
        fields: &'static [Field],
    ) -> Option<Schema> {
        self.depth += 1;
        let payload = match (kind, fields) {
            (StructKind::Unit, _) => None,
            (StructKind::Struct, fields) => Some(self.named(name, fields)),
            (_, [field]) => Some(self.build(field.shape.get())),
            (_, fields) => Some(self.tuple(fields)),
        };
        self.depth -= 1;
        payload
    }
}

fn scalar_schema(scalar: Scalar) -> Schema {
    match scalar {
        Scalar::Bool => Schema::Bool,
        Scalar::U8 => Schema::U8,
        Scalar::U16 => Schema::U16,
        Scalar::U32 => Schema::U32,
        Scalar::U64 => Schema::U64,
        Scalar::U128 => Schema::U128,
        Scalar::I8 => Schema::I8,
        Scalar::I16 => Schema::I16,
        Scalar::I32 => Schema::I32,
        Scalar::I64 => Schema::I64,
        Scalar::I128 => Schema::I128,
        Scalar::F32 => Schema::F32,
        Scalar::F64 => Schema::F64,
        Scalar::Char => Schema::Char,
    }
}
