//! From a shape to a program.

use std::any::TypeId;
use std::collections::BTreeMap;

use core::alloc::Layout;
use facet_core::{Def, EnumRepr, EnumType, Field, Shape, Type, UserType, VTableErased};

use super::{
    ArcOp, ArrayOp, Block, BlockId, BoxedOp, EnumOp, Label, ListOp, MapOp, Meta, Op, OptionOp,
    Part, Program, ResultOp, SetOp, SliceOp, bounds,
};
use crate::error::{Unsupported, UnsupportedType};
use crate::exec::{QUICK_SLACK, quick_room};
use crate::kind::{Kind, Scalar, StructStyle, check_field, classify, scalar};
use crate::port::PortVTable;

/// A block longer than this no longer takes in nested structs, so that programs stay linear in the
/// size of the source text.
const FLATTEN_LIMIT: usize = 96;
/// A longer block of numbers is not worth reserving its bound at once.
const FLAT_LIMIT: usize = 24;
/// Arrays up to this length are flattened.
const UNROLL_LIMIT: usize = 8;

impl Program {
    /// Compiles `shape`, or says which part of it has no encoding.
    pub(crate) fn compile(shape: &'static Shape) -> Result<Program, UnsupportedType> {
        Self::compile_with(shape, Ports::Allowed)
    }

    fn compile_with(shape: &'static Shape, ports: Ports) -> Result<Program, UnsupportedType> {
        let mut compiler = Compiler {
            blocks: Vec::new(),
            memo: BTreeMap::new(),
            path: vec![shape.to_string()],
            ports: 0,
        };
        compiler.block(shape, ports)?;
        let mut program = Program {
            blocks: compiler.blocks.into_iter().flatten().collect(),
            root_name: match &shape.ty {
                Type::User(UserType::Struct(ty)) if ty.kind != facet_core::StructKind::Tuple => {
                    shape.type_identifier
                }
                Type::User(UserType::Enum(_)) if matches!(shape.def, Def::Undefined) => {
                    shape.type_identifier
                }
                _ => "",
            },
            amplification: 1,
            has_ports: compiler.ports > 0,
        };
        bounds::compute(&mut program);
        if program.root().min_wire == u32::MAX {
            return Err(refuse(&[shape.to_string()], shape, Unsupported::Endless));
        }
        Ok(program)
    }
}

/// Whether a stream or tunnel may stand here; it may not where its number would not be fixed by the
/// declaration alone \[port\].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ports {
    Allowed,
    Refused,
}

struct Compiler {
    /// `None` while the block is being compiled.
    blocks: Vec<Option<Block>>,
    memo: BTreeMap<(TypeId, Ports), BlockId>,
    /// Where the compiler is, for messages.
    path: Vec<String>,
    /// Ports met so far: the position of the next one.
    ports: u32,
}

#[derive(Default)]
struct BlockBuilder {
    ops: Vec<Op>,
    meta: Vec<Meta>,
    labels: Vec<Label>,
}

impl BlockBuilder {
    fn push(&mut self, op: Op, offset: u32, shape: Option<&'static Shape>, label: Option<u32>) {
        self.ops.push(op);
        self.meta.push(Meta {
            offset,
            shape,
            label,
        });
    }

    fn label(&mut self, parent: Option<u32>, name: &'static str) -> u32 {
        self.labels.push(Label { parent, name });
        self.labels.len() as u32 - 1
    }

    fn finish(self) -> Block {
        Block {
            quick: self.ops.iter().all(|op| quick_room(op).is_some()),
            quick_room: self.ops.iter().filter_map(quick_room).sum::<u32>() + QUICK_SLACK,
            flat: self.ops.len() <= FLAT_LIMIT && self.ops.iter().all(Op::is_flat),
            ops: self.ops.into(),
            meta: self.meta.into(),
            labels: self.labels.into(),
            min_wire: u32::MAX,
            max_wire: None,
        }
    }
}

fn refuse(path: &[String], shape: &'static Shape, reason: Unsupported) -> UnsupportedType {
    UnsupportedType {
        path: path.concat(),
        type_name: shape.to_string(),
        reason,
    }
}

impl Compiler {
    fn refusal(&self, shape: &'static Shape, reason: Unsupported) -> UnsupportedType {
        refuse(&self.path, shape, reason)
    }

    /// Runs `inner` with `step` added to the path of messages.
    fn within<T>(
        &mut self,
        step: impl Into<String>,
        inner: impl FnOnce(&mut Self) -> Result<T, UnsupportedType>,
    ) -> Result<T, UnsupportedType> {
        self.path.push(step.into());
        let result = inner(self);
        self.path.pop();
        result
    }

    /// The block of a type, compiled at most once.
    fn block(&mut self, shape: &'static Shape, ports: Ports) -> Result<BlockId, UnsupportedType> {
        let key = (shape.id.get(), ports);
        if let Some(id) = self.memo.get(&key) {
            return Ok(*id);
        }
        let id = self.reserve();
        self.memo.insert(key, id);
        let mut builder = BlockBuilder::default();
        let before = self.ports;
        self.emit(&mut builder, shape, 0, None, ports)?;
        self.blocks[id.0 as usize] = Some(builder.finish());
        if self.ports != before {
            // Each port has a position of its own, so a block that holds one is not shared.
            self.memo.remove(&key);
        }
        Ok(id)
    }

    fn reserve(&mut self) -> BlockId {
        self.blocks.push(None);
        BlockId(self.blocks.len() as u32 - 1)
    }

    fn part(
        &mut self,
        shape: &'static Shape,
        step: &'static str,
        ports: Ports,
    ) -> Result<Part, UnsupportedType> {
        self.within(step, |this| {
            let layout = this.layout(shape)?;
            Ok(Part {
                block: this.block(shape, ports)?,
                layout,
                shape,
            })
        })
    }

    fn layout(&self, shape: &'static Shape) -> Result<Layout, UnsupportedType> {
        let layout = shape
            .layout
            .sized_layout()
            .map_err(|_| self.refusal(shape, Unsupported::NoEncoding))?;
        if u32::try_from(layout.size()).is_err() {
            return Err(self.refusal(shape, Unsupported::TooLarge));
        }
        Ok(layout)
    }

    /// Appends the ops of a value of `shape` that starts at offset `at` of the block.
    fn emit(
        &mut self,
        b: &mut BlockBuilder,
        shape: &'static Shape,
        at: u32,
        label: Option<u32>,
        ports: Ports,
    ) -> Result<(), UnsupportedType> {
        let kind = classify(shape).map_err(|reason| self.refusal(shape, reason))?;
        let layout = self.layout(shape)?;
        let inner = Ports::Refused;
        let op = match kind {
            Kind::Scalar(scalar) => scalar_op(scalar, at),
            Kind::Text(crate::kind::Text::String) => Op::Str(at),
            Kind::Text(text) => Op::OtherText(at, text),
            Kind::Bytes => Op::Bytes(at),
            Kind::ByteVec => Op::ByteVec(at),
            Kind::ByteSlice { shared } => Op::ByteSlice { at, shared },
            Kind::Uuid => Op::Raw { at, len: 16 },
            Kind::Duration => Op::Duration(at),
            Kind::Struct(fields, style) => {
                return self.emit_struct(b, shape, fields, style, at, label, ports);
            }
            Kind::Enum(ty) => self.enum_op(shape, ty, at)?,
            Kind::Option(def) => match option_leaf(def.t, at) {
                Some(op) => op,
                None => Op::Option(
                    at,
                    Box::new(OptionOp {
                        def,
                        some: self.part(def.t, "", ports)?,
                    }),
                ),
            },
            Kind::Result(def) => Op::Result(
                at,
                Box::new(ResultOp {
                    def,
                    ok: self.part(def.t, ".Ok", ports)?,
                    err: self.part(def.e, ".Err", ports)?,
                }),
            ),
            Kind::List(def) => match scalar_list(def.t, shape) {
                Some(scalar) => Op::ScalarVec(at, scalar),
                None => Op::List(
                    at,
                    Box::new(ListOp {
                        def,
                        list: shape,
                        element: self.part(def.t, "[]", inner)?,
                    }),
                ),
            },
            Kind::Slice(def, element) => Op::Slice(
                at,
                Box::new(SliceOp {
                    def,
                    pointer: layout,
                    element: self.part(element, "[]", inner)?,
                }),
            ),
            Kind::Array(element, len) => {
                return self.emit_array(b, shape, element, len, at, label);
            }
            Kind::Map(def) => Op::Map(
                at,
                Box::new(MapOp {
                    def,
                    map: shape,
                    key: self.part(def.k, "[key]", inner)?,
                    value: self.part(def.v, "[value]", inner)?,
                }),
            ),
            Kind::Set(def) => Op::Set(
                at,
                Box::new(SetOp {
                    def,
                    set: shape,
                    element: self.part(def.t, "[]", inner)?,
                }),
            ),
            Kind::Boxed(pointee) => Op::Boxed(
                at,
                Box::new(BoxedOp {
                    inner: self.part(pointee, "", inner)?,
                }),
            ),
            Kind::Arc(def, pointee) => Op::Arc(
                at,
                Box::new(ArcOp {
                    def,
                    inner: self.part(pointee, "", inner)?,
                }),
            ),
            Kind::Port(table) => self.port_op(shape, table, at, ports)?,
        };
        let checked = matches!(op, Op::UnitEnum(..) | Op::Enum(..)) && has_invariants(shape);
        b.push(op, at, Some(shape), label);
        if checked {
            b.push(Op::Invariant(at, shape), at, None, label);
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site; a struct would only rename them"
    )]
    fn emit_struct(
        &mut self,
        b: &mut BlockBuilder,
        shape: &'static Shape,
        fields: &'static [Field],
        style: StructStyle,
        at: u32,
        label: Option<u32>,
        ports: Ports,
    ) -> Result<(), UnsupportedType> {
        if b.ops.len() >= FLATTEN_LIMIT {
            let block = self.block(shape, ports)?;
            b.push(Op::Call(at, block), at, Some(shape), label);
            return Ok(());
        }
        for field in fields {
            let field_label = match style {
                StructStyle::Newtype => label,
                _ => Some(b.label(label, field.name)),
            };
            self.within(format!(".{}", field.name), |this| {
                let field_shape = field.shape.get();
                check_field(field).map_err(|reason| this.refusal(field_shape, reason))?;
                let field_at = at + field.offset as u32;
                this.emit(b, field_shape, field_at, field_label, ports)?;
                if let Some(check) = field.invariants {
                    b.push(
                        Op::FieldInvariant(field_at, check),
                        field_at,
                        None,
                        field_label,
                    );
                }
                Ok(())
            })?;
        }
        if has_invariants(shape) {
            b.push(Op::Invariant(at, shape), at, None, label);
        }
        Ok(())
    }

    fn emit_array(
        &mut self,
        b: &mut BlockBuilder,
        shape: &'static Shape,
        element: &'static Shape,
        len: usize,
        at: u32,
        label: Option<u32>,
    ) -> Result<(), UnsupportedType> {
        let layout = self.layout(shape)?;
        let as_in_memory = match scalar(element) {
            Some(Scalar::F32 | Scalar::F64) => cfg!(target_endian = "little"),
            scalar => matches!(scalar, Some(Scalar::U8 | Scalar::I8)),
        };
        if as_in_memory {
            let len = layout.size() as u32;
            b.push(Op::Raw { at, len }, at, Some(shape), label);
            return Ok(());
        }
        let part = self.part(element, "[]", Ports::Refused)?;
        let empty = |block: &Option<Block>| block.as_ref().is_some_and(|b| b.ops.is_empty());
        if empty(&self.blocks[part.block.0 as usize]) {
            // Nothing on the wire and nothing in memory, however many there are.
            return Ok(());
        }
        if len > UNROLL_LIMIT || b.ops.len() >= FLATTEN_LIMIT {
            let op = ArrayOp { len, element: part };
            b.push(Op::Array(at, Box::new(op)), at, Some(shape), label);
            return Ok(());
        }
        for index in 0..len {
            let element_at = at + (index * part.stride()) as u32;
            self.within("[]", |this| {
                this.emit(b, element, element_at, label, Ports::Refused)
            })?;
        }
        Ok(())
    }

    fn enum_op(
        &mut self,
        shape: &'static Shape,
        ty: EnumType,
        at: u32,
    ) -> Result<Op, UnsupportedType> {
        let width: u8 = match ty.enum_repr {
            EnumRepr::U8 | EnumRepr::I8 => 1,
            EnumRepr::U16 | EnumRepr::I16 => 2,
            EnumRepr::U32 | EnumRepr::I32 => 4,
            EnumRepr::U64 | EnumRepr::I64 => 8,
            EnumRepr::USize | EnumRepr::ISize => size_of::<usize>() as u8,
            EnumRepr::Rust | EnumRepr::RustNPO => {
                return Err(self.refusal(shape, Unsupported::EnumRepr));
            }
        };
        let mask = u64::MAX >> (64 - 8 * u32::from(width));
        let discriminants: Box<[u64]> = ty
            .variants
            .iter()
            .map(|variant| variant.discriminant.unwrap_or_default() as u64 & mask)
            .collect();
        let mut variants = Vec::with_capacity(ty.variants.len());
        for variant in ty.variants {
            if variant.data.fields.is_empty() {
                variants.push(None);
                continue;
            }
            // A variant is no type of its own, so its block cannot be found by type again; that of
            // the whole enum can, which is what recursion passes through.
            let id = self.reserve();
            let mut b = BlockBuilder::default();
            let variant_label = Some(b.label(None, variant.name));
            self.within(format!(".{}", variant.name), |this| {
                for field in variant.data.fields {
                    let label = match variant.data.kind {
                        facet_core::StructKind::Struct => Some(b.label(variant_label, field.name)),
                        _ if variant.data.fields.len() > 1 => {
                            Some(b.label(variant_label, field.name))
                        }
                        _ => variant_label,
                    };
                    this.within(format!(".{}", field.name), |this| {
                        let field_shape = field.shape.get();
                        check_field(field).map_err(|reason| this.refusal(field_shape, reason))?;
                        let field_at = field.offset as u32;
                        this.emit(&mut b, field_shape, field_at, label, Ports::Refused)?;
                        if let Some(check) = field.invariants {
                            b.push(Op::FieldInvariant(field_at, check), field_at, None, label);
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            })?;
            self.blocks[id.0 as usize] = Some(b.finish());
            variants.push(Some(id));
        }
        let op = Box::new(EnumOp {
            width,
            identity: discriminants
                .iter()
                .enumerate()
                .all(|(i, d)| *d == i as u64),
            discriminants,
            variants: variants.into(),
        });
        Ok(if op.variants.iter().all(Option::is_none) {
            Op::UnitEnum(at, op)
        } else {
            Op::Enum(at, op)
        })
    }

    fn port_op(
        &mut self,
        shape: &'static Shape,
        table: &'static PortVTable,
        at: u32,
        ports: Ports,
    ) -> Result<Op, UnsupportedType> {
        if ports == Ports::Refused {
            return Err(self.refusal(shape, Unsupported::PortPosition));
        }
        if let Some(element) = (table.element)() {
            // The items of a stream are payloads of their own; only whether they have an encoding
            // concerns this program.
            self.within("<item>", |this| {
                Program::compile_with(element, Ports::Refused).map_err(|error| {
                    let mut path = this.path.concat();
                    path.push(':');
                    path.push_str(&error.path);
                    UnsupportedType { path, ..error }
                })
            })?;
        }
        let ordinal = self.ports;
        self.ports += 1;
        Ok(Op::Port(at, ordinal, table))
    }
}

/// Whether a type has a check of its own.
fn has_invariants(shape: &'static Shape) -> bool {
    match shape.vtable {
        VTableErased::Direct(table) => table.invariants.is_some(),
        VTableErased::Indirect(table) => table.invariants.is_some(),
    }
}

fn scalar_op(scalar: Scalar, at: u32) -> Op {
    match scalar {
        Scalar::Bool => Op::Bool(at),
        Scalar::U8 | Scalar::I8 => Op::Byte(at),
        Scalar::U16 => Op::U16(at),
        Scalar::U32 => Op::U32(at),
        Scalar::U64 => Op::U64(at),
        Scalar::U128 => Op::U128(at),
        Scalar::I16 => Op::I16(at),
        Scalar::I32 => Op::I32(at),
        Scalar::I64 => Op::I64(at),
        Scalar::I128 => Op::I128(at),
        Scalar::F32 => Op::F32(at),
        Scalar::F64 => Op::F64(at),
        Scalar::Char => Op::Char(at),
    }
}

/// The options common enough to be written and read without going through facet's tables.
fn option_leaf(some: &'static Shape, at: u32) -> Option<Op> {
    Some(match classify(some).ok()? {
        Kind::Scalar(scalar) => Op::OptionScalar(at, scalar),
        Kind::Text(crate::kind::Text::String) => Op::OptionStr(at),
        Kind::Bytes => Op::OptionBytes(at),
        Kind::ByteVec => Op::OptionByteVec(at),
        _ => return None,
    })
}

/// The scalar that `list` is a `Vec` of, if it is exactly that type.
fn scalar_list(element: &'static Shape, list: &'static Shape) -> Option<Scalar> {
    let scalar = scalar(element)?;
    let is_vec = match scalar {
        Scalar::Bool => list.is_type::<Vec<bool>>(),
        Scalar::U8 => list.is_type::<Vec<u8>>(),
        Scalar::U16 => list.is_type::<Vec<u16>>(),
        Scalar::U32 => list.is_type::<Vec<u32>>(),
        Scalar::U64 => list.is_type::<Vec<u64>>(),
        Scalar::U128 => list.is_type::<Vec<u128>>(),
        Scalar::I8 => list.is_type::<Vec<i8>>(),
        Scalar::I16 => list.is_type::<Vec<i16>>(),
        Scalar::I32 => list.is_type::<Vec<i32>>(),
        Scalar::I64 => list.is_type::<Vec<i64>>(),
        Scalar::I128 => list.is_type::<Vec<i128>>(),
        Scalar::F32 => list.is_type::<Vec<f32>>(),
        Scalar::F64 => list.is_type::<Vec<f64>>(),
        Scalar::Char => return None,
    };
    is_vec.then_some(scalar)
}
