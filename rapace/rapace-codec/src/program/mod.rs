//! The compiled form of a type.
//!
//! A [`Program`] is a list of [`Block`]s; a block is a list of [`Op`]s, each of which encodes or
//! decodes one piece of a value at a fixed offset. Nested structs, tuples and short arrays are
//! flattened into the block that holds them; the bodies of lists, options, enums and pointers are
//! blocks of their own, one per type, so that recursive types compile to finite programs.
//!
//! Invariant: a program is only ever run on values of the type whose shape it was compiled from; the
//! typed wrapper [`Codec`](crate::Codec) upholds this. Everything the runner does with raw
//! memory rests on it and on facet's promise that shapes describe their types truly.

mod bounds;
mod compile;

use core::alloc::Layout;

use facet_core::{ListDef, MapDef, OptionDef, PointerDef, ResultDef, SetDef, Shape};

use crate::kind::{Scalar, Text};
use crate::port::PortVTable;

/// A type, compiled.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) blocks: Vec<Block>,
    /// Where paths in messages start: the name of a struct or enum, empty for other types.
    pub(crate) root_name: &'static str,
    /// How many bytes one byte of input may make the decoder reserve.
    pub(crate) amplification: u64,
    pub(crate) has_ports: bool,
}

impl Program {
    /// The block that runs a whole value.
    #[inline]
    pub(crate) fn root(&self) -> &Block {
        &self.blocks[0]
    }

    #[inline]
    pub(crate) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }
}

/// An index into [`Program::blocks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockId(pub(crate) u32);

/// What to do with one value of a type, in wire order.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) ops: Box<[Op]>,
    /// One entry per op, looked at only when something fails.
    pub(crate) meta: Box<[Meta]>,
    pub(crate) labels: Box<[Label]>,
    /// Whether the block is nothing but numbers; such a block cannot fail halfway with anything to
    /// drop, and is bounded.
    pub(crate) flat: bool,
    /// Whether all ops are such that encoding may run them without a look at the room.
    pub(crate) quick: bool,
    /// The room with which encoding need not look at it for numbers, tags and lengths.
    pub(crate) quick_room: u32,
    /// The fewest bytes a value takes on the wire.
    pub(crate) min_wire: u32,
    /// The most bytes it takes, if there is a bound.
    pub(crate) max_wire: Option<u32>,
}

/// What the cold paths need to know about an op.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) offset: u32,
    /// What the op builds, to drop it when a later op fails; `None` for checks.
    pub(crate) shape: Option<&'static Shape>,
    pub(crate) label: Option<u32>,
}

/// One step of a path, linked to the step before it within the same block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) parent: Option<u32>,
    pub(crate) name: &'static str,
}

/// One piece of a value. The number in each variant is its offset from the start of the block's value.
#[derive(Debug)]
pub(crate) enum Op {
    Bool(u32),
    /// `u8` and `i8`.
    Byte(u32),
    U16(u32),
    U32(u32),
    U64(u32),
    U128(u32),
    I16(u32),
    I32(u32),
    I64(u32),
    I128(u32),
    F32(u32),
    F64(u32),
    Char(u32),
    /// Bytes that stand on the wire as in memory: `[u8; N]`, `Uuid`.
    Raw {
        at: u32,
        len: u32,
    },
    Str(u32),
    OtherText(u32, Text),
    Bytes(u32),
    ByteVec(u32),
    /// `Box<[u8]>`, or `Arc<[u8]>` when shared.
    ByteSlice {
        at: u32,
        shared: bool,
    },
    Duration(u32),
    ScalarVec(u32, Scalar),
    OptionScalar(u32, Scalar),
    OptionStr(u32),
    OptionBytes(u32),
    OptionByteVec(u32),
    Option(u32, Box<OptionOp>),
    Result(u32, Box<ResultOp>),
    /// An enum none of whose variants has fields.
    UnitEnum(u32, Box<EnumOp>),
    Enum(u32, Box<EnumOp>),
    List(u32, Box<ListOp>),
    Slice(u32, Box<SliceOp>),
    Array(u32, Box<ArrayOp>),
    Map(u32, Box<MapOp>),
    Set(u32, Box<SetOp>),
    Boxed(u32, Box<BoxedOp>),
    Arc(u32, Box<ArcOp>),
    /// A nested struct too large to flatten.
    Call(u32, BlockId),
    /// Offset, position among the ports that are declared, counted from 0, and the functions.
    Port(u32, u32, &'static PortVTable),
    /// The type's own check of a value that the ops before it have built.
    Invariant(u32, &'static Shape),
    /// A field's own check.
    FieldInvariant(u32, facet_core::InvariantsFn),
}

impl Op {
    /// Whether this is a number in a field of its own.
    pub(crate) fn is_flat(&self) -> bool {
        matches!(
            self,
            Op::Bool(_)
                | Op::Byte(_)
                | Op::U16(_)
                | Op::U32(_)
                | Op::U64(_)
                | Op::I16(_)
                | Op::I32(_)
                | Op::I64(_)
                | Op::F32(_)
                | Op::F64(_)
        )
    }
}

/// A part that is built in scratch memory and then moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) block: BlockId,
    pub(crate) layout: Layout,
    pub(crate) shape: &'static Shape,
}

impl Part {
    /// The distance between two such values in an array.
    #[inline]
    pub(crate) fn stride(&self) -> usize {
        self.layout.size()
    }
}

#[derive(Debug)]
pub(crate) struct OptionOp {
    pub(crate) def: OptionDef,
    pub(crate) some: Part,
}

#[derive(Debug)]
pub(crate) struct ResultOp {
    pub(crate) def: ResultDef,
    pub(crate) ok: Part,
    pub(crate) err: Part,
}

#[derive(Debug)]
pub(crate) struct EnumOp {
    /// Width of the discriminant in bytes: 1, 2, 4 or 8. It stands at the start of the value.
    pub(crate) width: u8,
    /// The discriminant of each variant, cut to `width`.
    pub(crate) discriminants: Box<[u64]>,
    /// Whether each discriminant is its variant's index.
    pub(crate) identity: bool,
    /// The fields of each variant, `None` where there are none.
    pub(crate) variants: Box<[Option<BlockId>]>,
}

#[derive(Debug)]
pub(crate) struct ListOp {
    pub(crate) def: ListDef,
    pub(crate) list: &'static Shape,
    pub(crate) element: Part,
}

#[derive(Debug)]
pub(crate) struct SliceOp {
    pub(crate) def: PointerDef,
    /// The layout of the fat pointer.
    pub(crate) pointer: Layout,
    pub(crate) element: Part,
}

#[derive(Debug)]
pub(crate) struct ArrayOp {
    pub(crate) len: usize,
    pub(crate) element: Part,
}

#[derive(Debug)]
pub(crate) struct MapOp {
    pub(crate) def: MapDef,
    pub(crate) map: &'static Shape,
    pub(crate) key: Part,
    pub(crate) value: Part,
}

#[derive(Debug)]
pub(crate) struct SetOp {
    pub(crate) def: SetDef,
    pub(crate) set: &'static Shape,
    pub(crate) element: Part,
}

#[derive(Debug)]
pub(crate) struct BoxedOp {
    pub(crate) inner: Part,
}

#[derive(Debug)]
pub(crate) struct ArcOp {
    pub(crate) def: PointerDef,
    pub(crate) inner: Part,
}
