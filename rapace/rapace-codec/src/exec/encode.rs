//! Values to bytes \[enc\]: the ways in, and the ops that hold other values.
//!
//! The frames of these functions are what recursion costs, so they are kept small; whatever needs
//! many variables, the leaves, is in functions that have returned before recursion goes on.

use core::any::Any;

use facet_core::{IterVTable, PtrConst};

use super::sink::Sink;
use super::varint::MAX_64;
use super::{Stop, encode_leaf, flat, quick, variant_index};
use crate::error::EncodeError;
use crate::gather::{Gather, Splice};
use crate::program::{
    ArcOp, ArrayOp, Block, BoxedOp, EnumOp, ListOp, MapOp, Op, OptionOp, Part, Program, ResultOp,
    SetOp, SliceOp,
};

/// Appends the bytes of the value at `value` to `out`, or leaves `out` as it was.
///
/// # Safety
///
/// `value` points to an initialised value of the type that `program` was compiled from.
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
    let mut sink = Sink::to_vec(program, value, out, None, Splice::NOTHING, ports);
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

/// Appends the value at `value` to `out`, with the `Bytes` that `splice` takes beside it.
///
/// # Safety
///
/// As for [`encode_vec`].
pub(crate) unsafe fn encode_gather(
    program: &Program,
    value: *const u8,
    out: &mut Gather,
    splice: Splice<'_>,
    ports: &mut dyn Any,
) -> Result<(), EncodeError> {
    reserve_bounded(program, &mut out.head);
    let splices = Some(&mut out.splices);
    let mut sink = Sink::to_vec(program, value, &mut out.head, splices, splice, ports);
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
unsafe fn block(
    program: &Program,
    block: &Block,
    base: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let mut done = 0;
    loop {
        if sink.room() >= block.quick_room as usize {
            // SAFETY: the caller's contract; the room was checked.
            done = unsafe { quick::run(block, done, base, sink) };
        }
        let Some(op) = block.ops.get(done) else {
            return Ok(());
        };
        // SAFETY: the caller's contract.
        unsafe { step(program, op, base, sink)? };
        done += 1;
    }
}

/// Runs one op, which looks after its own room.
///
/// # Safety
///
/// `base` points to an initialised value of the type that the op's block was compiled from.
unsafe fn step(
    program: &Program,
    op: &Op,
    base: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // SAFETY: the field at the op's offset is what the op describes.
    unsafe {
        match op {
            Op::Option(at, op) => option(program, op, base.add(*at as usize), sink),
            Op::Result(at, op) => result(program, op, base.add(*at as usize), sink),
            Op::Enum(at, op) => enumeration(program, op, base.add(*at as usize), sink),
            Op::List(at, op) => list(program, op, base.add(*at as usize), sink),
            Op::Slice(at, op) => slice(program, op, base.add(*at as usize), sink),
            Op::Array(at, op) => array(program, op, base.add(*at as usize), sink),
            Op::Map(at, op) => map(program, op, base.add(*at as usize), sink),
            Op::Set(at, op) => set(program, op, base.add(*at as usize), sink),
            Op::Boxed(at, op) => boxed(program, op, base.add(*at as usize), sink),
            Op::Arc(at, op) => arc(program, op, base.add(*at as usize), sink),
            Op::Call(at, id) => block(program, program.block(*id), base.add(*at as usize), sink),
            leaf => encode_leaf::leaf(leaf, base, sink),
        }
    }
}

/// # Safety
///
/// `option` points to an initialised `Option` that `op` describes.
unsafe fn option(
    program: &Program,
    op: &OptionOp,
    option: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // SAFETY: the caller's contract; the table returns the address of the value inside.
    unsafe {
        let some = (op.def.vtable.get_value)(PtrConst::new(option));
        if some.is_null() {
            return sink.put(&[0]);
        }
        sink.put(&[1])?;
        block(program, program.block(op.some.block), some, sink)
    }
}

/// # Safety
///
/// `result` points to an initialised `Result` that `op` describes.
unsafe fn result(
    program: &Program,
    op: &ResultOp,
    result: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let table = op.def.vtable;
    let result = PtrConst::new(result);
    // SAFETY: the caller's contract; the table returns the address of the value inside.
    unsafe {
        let (index, part, value) = if (table.is_ok)(result) {
            (0, &op.ok, (table.get_ok)(result))
        } else {
            (1, &op.err, (table.get_err)(result))
        };
        sink.put(&[index])?;
        block(program, program.block(part.block), value, sink)
    }
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
    element: &Part,
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
    let stride = element.stride();
    let mut index = 0;
    while index < len {
        // SAFETY: within the `len` elements.
        unsafe {
            if inner.quick {
                index +=
                    quick::run_all(inner, first.add(index * stride), stride, len - index, sink);
                if index == len {
                    break;
                }
            }
            block(program, inner, first.add(index * stride), sink)?;
        }
        index += 1;
    }
    sink.ascend_from(len);
    Ok(())
}

/// # Safety
///
/// `array` points to an initialised array that `op` describes.
unsafe fn array(
    program: &Program,
    op: &ArrayOp,
    array: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let inner = program.block(op.element.block);
    for index in 0..op.len {
        // SAFETY: the array has `len` such elements.
        unsafe { block(program, inner, array.add(index * op.element.stride()), sink)? };
    }
    Ok(())
}

/// # Safety
///
/// `pointer` points to an initialised `Box` that `op` describes.
unsafe fn boxed(
    program: &Program,
    op: &BoxedOp,
    pointer: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.descend()?;
    // SAFETY: a `Box` of a sized type is a pointer to its value, which is initialised.
    unsafe {
        let value = pointer.cast::<*const u8>().read();
        block(program, program.block(op.inner.block), value, sink)?;
    }
    sink.depth -= 1;
    Ok(())
}

/// # Safety
///
/// `pointer` points to an initialised `Arc` that `op` describes.
unsafe fn arc(
    program: &Program,
    op: &ArcOp,
    pointer: *const u8,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.descend()?;
    let borrow = op
        .def
        .vtable
        .borrow_fn
        .expect("the compiler saw this function");
    // SAFETY: the caller's contract; the table returns the address of the value inside.
    unsafe {
        let value = borrow(PtrConst::new(pointer)).raw_ptr();
        block(program, program.block(op.inner.block), value, sink)?;
    }
    sink.depth -= 1;
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
