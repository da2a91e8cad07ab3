//! Values to bytes \[enc\].

use core::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use facet_core::{IterVTable, PtrConst};

use super::sink::Sink;
use super::varint::{self, MAX_64, zigzag_64, zigzag_128};
use super::{Stop, flat, quick, short, variant_index};
use crate::error::EncodeError;
use crate::gather::Gather;
use crate::kind::{Scalar, Text};
use crate::program::{Block, EnumOp, ListOp, MapOp, Op, Program, SetOp, SliceOp};

/// Appends the bytes of the value at `value` to `out`, or leaves `out` as it was.
///
/// # Safety
///
/// `value` points to an initialised value of the type that `program` was compiled from.
#[inline]
pub(crate) unsafe fn encode_vec(
    program: &Program,
    value: *const u8,
    out: &mut Vec<u8>,
    ports: &mut dyn Any,
) -> Result<(), EncodeError> {
    let root = program.root();
    if root.flat {
        out.reserve(flat_room(root));
        // SAFETY: the caller's contract; the room has been reserved, and what lies between the old
        // length and the new one is written.
        unsafe {
            let start = out.as_mut_ptr().add(out.len());
            let end = flat::encode(root, value, start);
            out.set_len(out.len() + (end as usize - start as usize));
        }
        return Ok(());
    }
    reserve_bounded(program, out);
    // SAFETY: the caller's contract.
    unsafe { encode_sink(program, value, out, ports) }
}

/// [`encode_vec`] for types that need a sink.
///
/// # Safety
///
/// As for [`encode_vec`].
unsafe fn encode_sink(
    program: &Program,
    value: *const u8,
    out: &mut Vec<u8>,
    ports: &mut dyn Any,
) -> Result<(), EncodeError> {
    let mut sink = Sink::to_vec(program, value, out, None, usize::MAX, ports);
    // SAFETY: the caller's contract.
    match unsafe { block(program, program.root(), value, &mut sink) } {
        Ok(()) => {
            sink.finish();
            Ok(())
        }
        Err(Stop) => Err(sink.fail()),
    }
}

/// Writes the bytes of the value at `value` to the start of `out` and returns how many they are.
///
/// # Safety
///
/// As for [`encode_vec`].
#[inline]
pub(crate) unsafe fn encode_slice(
    program: &Program,
    value: *const u8,
    out: &mut [u8],
    ports: &mut dyn Any,
) -> Result<usize, EncodeError> {
    let root = program.root();
    if root.flat && out.len() >= flat_room(root) {
        let start = out.as_mut_ptr();
        // SAFETY: the caller's contract; the room has been checked.
        let end = unsafe { flat::encode(root, value, start) };
        return Ok(end as usize - start as usize);
    }
    let mut sink = Sink::to_slice(program, value, out, ports);
    // SAFETY: the caller's contract.
    match unsafe { block(program, program.root(), value, &mut sink) } {
        Ok(()) => Ok(sink.finish()),
        Err(Stop) => Err(sink.fail()),
    }
}

/// Appends the value at `value` to `out`, with `Bytes` of at least `splice_min` bytes beside it.
///
/// # Safety
///
/// As for [`encode_vec`].
#[inline]
pub(crate) unsafe fn encode_gather(
    program: &Program,
    value: *const u8,
    out: &mut Gather,
    splice_min: usize,
    ports: &mut dyn Any,
) -> Result<(), EncodeError> {
    reserve_bounded(program, &mut out.head);
    let splices = Some(&mut out.splices);
    let mut sink = Sink::to_vec(program, value, &mut out.head, splices, splice_min, ports);
    // SAFETY: the caller's contract.
    match unsafe { block(program, program.root(), value, &mut sink) } {
        Ok(()) => {
            sink.finish();
            Ok(())
        }
        Err(Stop) => Err(sink.fail()),
    }
}

/// The room that encoding a value of a flat block wants.
#[inline]
fn flat_room(block: &Block) -> usize {
    block.max_wire.unwrap_or_default() as usize + flat::SLACK
}

/// Types that are small whatever their value get their room at once; ten bytes more keep the last
/// number off the slow path.
#[inline]
fn reserve_bounded(program: &Program, out: &mut Vec<u8>) {
    if let Some(max @ 0..=256) = program.root().max_wire {
        out.reserve(max as usize + MAX_64);
    }
}

/// Encodes one value of `block`'s type.
///
/// # Safety
///
/// `base` points to an initialised value of the type that `block` of `program` was compiled from.
#[inline]
unsafe fn block(
    program: &Program,
    block: &Block,
    base: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // SAFETY: the caller's contract; the room was checked.
    unsafe {
        let done = if sink.room() >= block.quick_room as usize {
            quick::block(program, block, base, sink)?
        } else {
            0
        };
        if done == block.ops.len() {
            return Ok(());
        }
        ops(program, &block.ops[done..], base, sink)
    }
}

/// Runs some ops of a block, each of which looks after its own room.
///
/// # Safety
///
/// `base` points to an initialised value of the type that the ops' block was compiled from.
#[expect(
    unused_assignments,
    reason = "the tag of an option or result is followed by an op that reloads `end` again"
)]
pub(super) unsafe fn ops(
    program: &Program,
    ops: &[Op],
    base: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // The position lives in registers between ops that write at most a few bytes.
    let mut cur = sink.cur;
    let mut end = sink.end;

    macro_rules! field {
        ($at:expr, $ty:ty) => {
            // SAFETY: the compiler took offset and type from the shape of the value at `base`.
            unsafe { &*base.add($at as usize).cast::<$ty>() }
        };
    }
    // Runs an op that uses the sink as a whole.
    macro_rules! with_sink {
        ($op:expr) => {{
            sink.cur = cur;
            $op?;
            cur = sink.cur;
            end = sink.end;
        }};
    }
    macro_rules! put_varint {
        ($value:expr) => {{
            let value: u64 = $value;
            if end as usize - cur as usize >= MAX_64 {
                // SAFETY: there is room for the longest varint.
                cur = unsafe { varint::write(cur, value) };
            } else {
                with_sink!(sink.put_varint(value));
            }
        }};
    }
    macro_rules! put_array {
        ($bytes:expr) => {{
            let bytes = $bytes;
            if end as usize - cur as usize >= bytes.len() {
                // SAFETY: there is room, and a buffer of our own does not overlap it.
                unsafe {
                    core::ptr::copy_nonoverlapping(bytes.as_ptr(), cur, bytes.len());
                    cur = cur.add(bytes.len());
                }
            } else {
                with_sink!(sink.put(&bytes));
            }
        }};
    }
    macro_rules! put_counted {
        ($bytes:expr) => {{
            let bytes: &[u8] = $bytes;
            if end as usize - cur as usize >= bytes.len() + MAX_64 {
                // SAFETY: there is room for the longest length and the bytes, which are not part
                // of the output.
                unsafe {
                    cur = varint::write(cur, bytes.len() as u64);
                    short::copy(bytes.as_ptr(), cur, bytes.len());
                    cur = cur.add(bytes.len());
                }
            } else {
                with_sink!(sink.put_counted(bytes));
            }
        }};
    }

    macro_rules! put_option {
        ($value:expr) => {
            match $value {
                None => put_array!([0]),
                Some(value) => {
                    put_array!([1]);
                    put_varint!(value);
                }
            }
        };
    }

    for op in ops {
        match op {
            Op::Bool(at) | Op::Byte(at) => put_array!([*field!(*at, u8)]),
            Op::U16(at) => put_varint!(u64::from(*field!(*at, u16))),
            Op::U32(at) => put_varint!(u64::from(*field!(*at, u32))),
            Op::U64(at) => put_varint!(*field!(*at, u64)),
            Op::I16(at) => put_varint!(zigzag_64(i64::from(*field!(*at, i16)))),
            Op::I32(at) => put_varint!(zigzag_64(i64::from(*field!(*at, i32)))),
            Op::I64(at) => put_varint!(zigzag_64(*field!(*at, i64))),
            Op::U128(at) => with_sink!(sink.put_varint_128(*field!(*at, u128))),
            Op::I128(at) => with_sink!(sink.put_varint_128(zigzag_128(*field!(*at, i128)))),
            Op::F32(at) => put_array!(field!(*at, f32).to_le_bytes()),
            Op::F64(at) => put_array!(field!(*at, f64).to_le_bytes()),
            Op::Char(at) => {
                let mut utf8 = [0; 4];
                put_counted!(field!(*at, char).encode_utf8(&mut utf8).as_bytes());
            }
            Op::Raw { at, len } => {
                // SAFETY: the op stands for this many plain bytes at this offset.
                let bytes =
                    unsafe { core::slice::from_raw_parts(base.add(*at as usize), *len as usize) };
                with_sink!(sink.put(bytes));
            }
            Op::Str(at) => put_counted!(field!(*at, String).as_bytes()),
            Op::OtherText(at, text) => {
                let text: &str = match text {
                    Text::String => field!(*at, String),
                    Text::Boxed => field!(*at, Box<str>),
                    Text::Shared => field!(*at, Arc<str>),
                    Text::Cow => field!(*at, Cow<'static, str>),
                };
                put_counted!(text.as_bytes());
            }
            Op::Bytes(at) => with_sink!(sink.put_shared(field!(*at, Bytes))),
            Op::ByteVec(at) => put_counted!(field!(*at, Vec<u8>)),
            Op::ByteSlice { at, shared: false } => put_counted!(field!(*at, Box<[u8]>)),
            Op::ByteSlice { at, shared: true } => put_counted!(field!(*at, Arc<[u8]>)),
            Op::Duration(at) => {
                let duration = field!(*at, core::time::Duration);
                put_varint!(duration.as_secs());
                put_varint!(u64::from(duration.subsec_nanos()));
            }
            Op::ScalarVec(at, scalar) => {
                // SAFETY: the compiler saw that the field is a `Vec` of this scalar.
                with_sink!(unsafe { scalar_vec(base.add(*at as usize), *scalar, sink) });
            }
            Op::OptionScalar(at, Scalar::U32) => {
                put_option!(field!(*at, Option<u32>).map(u64::from));
            }
            Op::OptionScalar(at, Scalar::U64) => put_option!(*field!(*at, Option<u64>)),
            Op::OptionScalar(at, Scalar::I32) => {
                put_option!(field!(*at, Option<i32>).map(|value| zigzag_64(i64::from(value))));
            }
            Op::OptionScalar(at, Scalar::I64) => {
                put_option!(field!(*at, Option<i64>).map(zigzag_64));
            }
            Op::OptionScalar(at, scalar) => {
                // SAFETY: the compiler saw that the field is an `Option` of this scalar.
                with_sink!(unsafe { option_scalar(base.add(*at as usize), *scalar, sink) });
            }
            Op::OptionStr(at) => match field!(*at, Option<String>) {
                None => put_array!([0]),
                Some(text) => {
                    put_array!([1]);
                    put_counted!(text.as_bytes());
                }
            },
            Op::OptionBytes(at) => match field!(*at, Option<Bytes>) {
                None => put_array!([0]),
                Some(bytes) => {
                    put_array!([1]);
                    with_sink!(sink.put_shared(bytes));
                }
            },
            Op::OptionByteVec(at) => match field!(*at, Option<Vec<u8>>) {
                None => put_array!([0]),
                Some(bytes) => {
                    put_array!([1]);
                    put_counted!(bytes);
                }
            },
            Op::Option(at, op) => {
                // SAFETY: the field is an `Option` that this table describes.
                let some =
                    unsafe { (op.def.vtable.get_value)(PtrConst::new(base.add(*at as usize))) };
                if some.is_null() {
                    put_array!([0]);
                } else {
                    put_array!([1]);
                    let inner = program.block(op.some.block);
                    // SAFETY: the table returned the address of the value inside.
                    with_sink!(unsafe { self::block(program, inner, some, sink) });
                }
            }
            Op::Result(at, op) => {
                let table = op.def.vtable;
                // SAFETY: the field is a `Result` that this table describes.
                let (index, part, value) = unsafe {
                    let field = PtrConst::new(base.add(*at as usize));
                    if (table.is_ok)(field) {
                        (0, &op.ok, (table.get_ok)(field))
                    } else {
                        (1, &op.err, (table.get_err)(field))
                    }
                };
                put_array!([index]);
                let inner = program.block(part.block);
                // SAFETY: the table returned the address of the value inside.
                with_sink!(unsafe { self::block(program, inner, value, sink) });
            }
            Op::UnitEnum(at, op) => {
                // SAFETY: the field is the enum that the op describes.
                put_varint!(unsafe { variant_index(base.add(*at as usize), op) } as u64);
            }
            Op::Enum(at, op) => {
                // SAFETY: the field is the enum that the op describes.
                with_sink!(unsafe { enumeration(program, op, base.add(*at as usize), sink) });
            }
            Op::List(at, op) => {
                // SAFETY: the field is the list that the op describes.
                with_sink!(unsafe { list(program, op, base.add(*at as usize), sink) });
            }
            Op::Slice(at, op) => {
                // SAFETY: the field is the boxed slice that the op describes.
                with_sink!(unsafe { slice(program, op, base.add(*at as usize), sink) });
            }
            Op::Array(at, op) => {
                let inner = program.block(op.element.block);
                for index in 0..op.len {
                    // SAFETY: the field is an array of `len` such elements.
                    with_sink!(unsafe {
                        let element = base.add(*at as usize + index * op.element.stride());
                        self::block(program, inner, element, sink)
                    });
                }
            }
            Op::Map(at, op) => {
                // SAFETY: the field is the map that the op describes.
                with_sink!(unsafe { map(program, op, base.add(*at as usize), sink) });
            }
            Op::Set(at, op) => {
                // SAFETY: the field is the set that the op describes.
                with_sink!(unsafe { set(program, op, base.add(*at as usize), sink) });
            }
            Op::Boxed(at, op) => {
                sink.descend()?;
                let inner = program.block(op.inner.block);
                // A `Box` of a sized type is a pointer to its value.
                let value = *field!(*at, *const u8);
                // SAFETY: the box owns an initialised value of this type.
                with_sink!(unsafe { self::block(program, inner, value, sink) });
                sink.depth -= 1;
            }
            Op::Arc(at, op) => {
                sink.descend()?;
                let inner = program.block(op.inner.block);
                let borrow = op
                    .def
                    .vtable
                    .borrow_fn
                    .expect("the compiler saw this function");
                // SAFETY: the field is the pointer that this table describes, to such a value.
                with_sink!(unsafe {
                    let value = borrow(PtrConst::new(base.add(*at as usize))).raw_ptr();
                    self::block(program, inner, value, sink)
                });
                sink.depth -= 1;
            }
            Op::Call(at, id) => {
                // SAFETY: the field is of the type that the block was compiled from.
                with_sink!(unsafe {
                    self::block(program, program.block(*id), base.add(*at as usize), sink)
                });
            }
            Op::Port(at, ordinal, table) => {
                // SAFETY: the table was made for the type of the field.
                match unsafe { (table.attach)(base.add(*at as usize), *ordinal, sink.ports) } {
                    Ok(port) => put_varint!(u64::from(port)),
                    Err(error) => {
                        sink.error = Some(EncodeError::Port(error));
                        return Err(Stop);
                    }
                }
            }
            // What a type demands of itself is checked on the way in.
            Op::Invariant(..) | Op::FieldInvariant(..) => {}
        }
    }
    sink.cur = cur;
    Ok(())
}

/// # Safety
///
/// `value` points to an initialised enum that `op` describes.
unsafe fn enumeration(
    program: &Program,
    op: &EnumOp,
    value: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // SAFETY: the caller's contract.
    let index = unsafe { variant_index(value, op) };
    sink.put_varint(index as u64)?;
    match op.variants[index] {
        // SAFETY: the variant's block takes offsets from the start of the enum.
        Some(id) => unsafe { block(program, program.block(id), value, sink) },
        None => Ok(()),
    }
}

/// # Safety
///
/// `list` points to an initialised list that `op` describes.
unsafe fn list(
    program: &Program,
    op: &ListOp,
    list: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let as_ptr = op
        .def
        .vtable
        .as_ptr
        .expect("the compiler saw this function");
    // SAFETY: the caller's contract; the elements are contiguous.
    unsafe {
        let len = (op.def.vtable.len)(PtrConst::new(list));
        let first = as_ptr(PtrConst::new(list)).raw_ptr();
        elements(program, &op.element, first, len, sink)
    }
}

/// # Safety
///
/// `pointer` points to an initialised pointer to a slice that `op` describes.
unsafe fn slice(
    program: &Program,
    op: &SliceOp,
    pointer: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let borrow = op
        .def
        .vtable
        .borrow_fn
        .expect("the compiler saw this function");
    // SAFETY: the caller's contract; the pointer to any slice carries its length, whatever the
    // type of its elements.
    unsafe {
        let slice = borrow(PtrConst::new(pointer)).as_ptr::<[()]>();
        elements(program, &op.element, slice.cast(), slice.len(), sink)
    }
}

/// A count and that many contiguous elements.
///
/// # Safety
///
/// `first` points to `len` initialised elements of the type of `element`.
unsafe fn elements(
    program: &Program,
    element: &crate::program::Part,
    first: *const u8,
    len: usize,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.descend_into(len)?;
    sink.put_varint(len as u64)?;
    let inner = program.block(element.block);
    if inner.max_wire == Some(0) {
        sink.count_empties(len)?;
    }
    let mut index = 0;
    if inner.flat {
        // As many as surely fit are written without a look at the room in between.
        let sure = sink.room().saturating_sub(flat::SLACK)
            / inner.max_wire.map_or(1, |max| max.max(1)) as usize;
        let mut cur = sink.cur;
        while index < len.min(sure) {
            // SAFETY: within the `len` elements, and the room was checked for all.
            cur = unsafe { flat::encode(inner, first.add(index * element.stride()), cur) };
            index += 1;
        }
        sink.cur = cur;
    }
    while index < len {
        // SAFETY: within the `len` elements.
        unsafe { block(program, inner, first.add(index * element.stride()), sink)? };
        index += 1;
    }
    sink.ascend_from(len);
    Ok(())
}

/// # Safety
///
/// `map` points to an initialised map that `op` describes.
unsafe fn map(
    program: &Program,
    op: &MapOp,
    map: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let (key, value) = (program.block(op.key.block), program.block(op.value.block));
    // SAFETY: the caller's contract.
    let len = unsafe { (op.def.vtable.len)(PtrConst::new(map)) };
    sink.descend_into(len)?;
    sink.put_varint(len as u64)?;
    if key.max_wire == Some(0) && value.max_wire == Some(0) {
        sink.count_empties(len)?;
    }
    // SAFETY: the caller's contract.
    let entries = unsafe { Iter::new(&op.def.vtable.iter_vtable, map) };
    // SAFETY: the iterator is that of the map; it returns pointers to initialised keys and values.
    while let Some((k, v)) = unsafe { (entries.table.next)(entries.state) } {
        // SAFETY: as above.
        unsafe {
            block(program, key, k.raw_ptr(), sink)?;
            block(program, value, v.raw_ptr(), sink)?;
        }
    }
    drop(entries);
    sink.ascend_from(len);
    Ok(())
}

/// # Safety
///
/// `set` points to an initialised set that `op` describes.
unsafe fn set(
    program: &Program,
    op: &SetOp,
    set: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let inner = program.block(op.element.block);
    // SAFETY: the caller's contract.
    let len = unsafe { (op.def.vtable.len)(PtrConst::new(set)) };
    sink.descend_into(len)?;
    sink.put_varint(len as u64)?;
    if inner.max_wire == Some(0) {
        sink.count_empties(len)?;
    }
    // SAFETY: the caller's contract.
    let items = unsafe { Iter::new(&op.def.vtable.iter_vtable, set) };
    // SAFETY: the iterator is that of the set; it returns pointers to initialised elements.
    while let Some(item) = unsafe { (items.table.next)(items.state) } {
        // SAFETY: as above.
        unsafe { block(program, inner, item.raw_ptr(), sink)? };
    }
    drop(items);
    sink.ascend_from(len);
    Ok(())
}

/// facet's iterator over a map or set, freed also when encoding stops in the middle.
pub(super) struct Iter<'a, T: facet_core::IterItem> {
    pub(super) table: &'a IterVTable<T>,
    pub(super) state: facet_core::PtrMut,
}

impl<'a, T: facet_core::IterItem> Iter<'a, T> {
    /// # Safety
    ///
    /// `table` belongs to the type of the initialised collection at `of`, which outlives the iterator.
    pub(super) unsafe fn new(table: &'a IterVTable<T>, of: *const u8) -> Self {
        let init = table
            .init_with_value
            .expect("the compiler saw this function");
        Self {
            table,
            // SAFETY: the caller's contract.
            state: unsafe { init(PtrConst::new(of)) },
        }
    }
}

impl<T: facet_core::IterItem> Drop for Iter<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the state came from this table and is freed once.
        unsafe { (self.table.dealloc)(self.state) };
    }
}

/// # Safety
///
/// `option` points to an initialised `Option` of `scalar`'s type.
#[inline]
unsafe fn option_scalar(
    option: *const u8,
    scalar: Scalar,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    macro_rules! option {
        ($ty:ty, $value:ident => $put:expr) => {
            // SAFETY: the caller's contract.
            match unsafe { &*option.cast::<Option<$ty>>() } {
                None => sink.put(&[0]),
                Some($value) => {
                    sink.put(&[1])?;
                    $put
                }
            }
        };
    }
    match scalar {
        Scalar::Bool => option!(bool, v => sink.put(&[u8::from(*v)])),
        Scalar::U8 => option!(u8, v => sink.put(&[*v])),
        Scalar::I8 => option!(i8, v => sink.put(&[*v as u8])),
        Scalar::U16 => option!(u16, v => sink.put_varint(u64::from(*v))),
        Scalar::U32 => option!(u32, v => sink.put_varint(u64::from(*v))),
        Scalar::U64 => option!(u64, v => sink.put_varint(*v)),
        Scalar::U128 => option!(u128, v => sink.put_varint_128(*v)),
        Scalar::I16 => option!(i16, v => sink.put_varint(zigzag_64(i64::from(*v)))),
        Scalar::I32 => option!(i32, v => sink.put_varint(zigzag_64(i64::from(*v)))),
        Scalar::I64 => option!(i64, v => sink.put_varint(zigzag_64(*v))),
        Scalar::I128 => option!(i128, v => sink.put_varint_128(zigzag_128(*v))),
        Scalar::F32 => option!(f32, v => sink.put(&v.to_le_bytes())),
        Scalar::F64 => option!(f64, v => sink.put(&v.to_le_bytes())),
        Scalar::Char => option!(char, v => {
            sink.put_counted(v.encode_utf8(&mut [0; 4]).as_bytes())
        }),
    }
}

/// # Safety
///
/// `list` points to an initialised `Vec` of `scalar`'s type.
unsafe fn scalar_vec(list: *const u8, scalar: Scalar, sink: &mut Sink<'_>) -> Result<(), Stop> {
    macro_rules! vec {
        ($ty:ty) => {
            // SAFETY: the caller's contract.
            unsafe { (*list.cast::<Vec<$ty>>()).as_slice() }
        };
    }
    macro_rules! wide {
        ($ty:ty, $value:ident => $wide:expr) => {{
            let items = vec![$ty];
            sink.put_varint(items.len() as u64)?;
            for $value in items {
                sink.put_varint_128($wide)?;
            }
            Ok(())
        }};
    }
    match scalar {
        // A bool is one byte, 0 or 1, and so are its bytes on the wire.
        Scalar::Bool => plain(vec![bool], sink),
        Scalar::U8 => plain(vec![u8], sink),
        Scalar::I8 => plain(vec![i8], sink),
        Scalar::U16 => varints(vec![u16], 3, |v| u64::from(*v), sink),
        Scalar::U32 => varints(vec![u32], 5, |v| u64::from(*v), sink),
        Scalar::U64 => varints(vec![u64], 10, |v| *v, sink),
        Scalar::I16 => varints(vec![i16], 3, |v| zigzag_64(i64::from(*v)), sink),
        Scalar::I32 => varints(vec![i32], 5, |v| zigzag_64(i64::from(*v)), sink),
        Scalar::I64 => varints(vec![i64], 10, |v| zigzag_64(*v), sink),
        Scalar::U128 => wide!(u128, v => *v),
        Scalar::I128 => wide!(i128, v => zigzag_128(*v)),
        Scalar::F32 if cfg!(target_endian = "little") => plain(vec![f32], sink),
        Scalar::F64 if cfg!(target_endian = "little") => plain(vec![f64], sink),
        Scalar::F32 => each(vec![f32], |v, sink| sink.put(&v.to_le_bytes()), sink),
        Scalar::F64 => each(vec![f64], |v, sink| sink.put(&v.to_le_bytes()), sink),
        Scalar::Char => each(
            vec![char],
            |v, sink| sink.put_counted(v.encode_utf8(&mut [0; 4]).as_bytes()),
            sink,
        ),
    }
}

/// Items whose bytes in memory are those on the wire. Called with numbers and bools only, which have
/// no padding.
fn plain<T: Copy>(items: &[T], sink: &mut Sink<'_>) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    // SAFETY: the items are initialised and without padding.
    let bytes = unsafe { core::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items)) };
    sink.put(bytes)
}

fn each<T>(
    items: &[T],
    put: impl Fn(&T, &mut Sink<'_>) -> Result<(), Stop>,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    items.iter().try_for_each(|item| put(item, sink))
}

/// Numbers of at most `max` bytes each. As many as surely fit are written without further checks.
#[inline]
fn varints<T>(
    mut items: &[T],
    max: usize,
    number: impl Fn(&T) -> u64,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    while let [first, rest @ ..] = items {
        // Writing one varint touches up to `MAX_64` bytes, however short it turns out.
        let sure = sink.room().saturating_sub(MAX_64) / max;
        if sure == 0 {
            sink.put_varint(number(first))?;
            items = rest;
            continue;
        }
        let (now, later) = items.split_at(sure.min(items.len()));
        let mut cur = sink.cur;
        for item in now {
            // SAFETY: the room was checked for all of `now`.
            cur = unsafe { varint::write(cur, number(item)) };
        }
        sink.cur = cur;
        items = later;
    }
    Ok(())
}
