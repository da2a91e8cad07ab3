//! Decoding lists, boxed slices, maps and sets.

use facet_core::{PtrMut, PtrUninit};

use super::decode::block;
use super::reader::Reader;
use super::varint::{self, unzigzag_64, unzigzag_128};
use super::{Scratch, Stop, flat, unwind};
use crate::kind::Scalar;
use crate::program::{Block, ListOp, MapOp, Program, SetOp, SliceOp};

/// # Safety
///
/// `into` is memory for the list that `op` describes.
pub(super) unsafe fn list(
    program: &Program,
    op: &ListOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    const SEEN: &str = "the compiler saw this function";
    let inner = program.block(op.element.block);
    let stride = op.element.stride();
    let count = reader.count(min_wire(&[inner]), stride)?;
    reader.descend_into(count)?;
    let init = op.def.init_in_place_with_capacity().expect(SEEN);
    let memory = op.def.as_mut_ptr_typed().expect(SEEN);
    let set_len = op.def.set_len().expect(SEEN);
    // SAFETY: the list gets room for `count` elements, which are written in order. Its length is
    // set only to what has been written, whereupon it owns the elements.
    unsafe {
        let list = init(PtrUninit::new(into), count);
        let first = memory(list);
        let mut index = 0;
        if inner.flat {
            let (mut cur, end) = (reader.cur, reader.end);
            while index < count {
                let next = flat::decode(inner, first.add(index * stride), cur, end);
                if next.is_null() {
                    break;
                }
                cur = next;
                index += 1;
            }
            reader.cur = cur;
        }
        for index in index..count {
            if block(program, inner, first.add(index * stride), reader).is_err() {
                set_len(list, index);
                unwind::drop_value(op.list, into);
                return Err(reader.name_index(index));
            }
        }
        set_len(list, count);
    }
    reader.ascend_from(count);
    Ok(())
}

/// # Safety
///
/// `into` is memory for the pointer to a slice that `op` describes.
pub(super) unsafe fn slice(
    program: &Program,
    op: &SliceOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let inner = program.block(op.element.block);
    let count = reader.count(min_wire(&[inner]), op.element.stride())?;
    reader.descend_into(count)?;
    let table = op
        .def
        .vtable
        .slice_builder_vtable
        .expect("the compiler saw this table");
    let builder = (table.new_fn)();
    let mut scratch = Scratch::new(op.element.layout);
    let element = scratch.pointer();
    // SAFETY: the scratch has the layout of an element, which `push_fn` moves out of it. The
    // builder is either freed or converted, once; what it converts to is a fat pointer in memory
    // of its own, moved to `into`.
    unsafe {
        for index in 0..count {
            if block(program, inner, element, reader).is_err() {
                (table.free_fn)(builder);
                return Err(reader.name_index(index));
            }
            (table.push_fn)(builder, PtrMut::new(element));
        }
        let pointer = (table.convert_fn)(builder).raw_ptr().cast_mut();
        core::ptr::copy_nonoverlapping(pointer, into, op.pointer.size());
        super::deallocate(pointer, op.pointer);
    }
    reader.ascend_from(count);
    Ok(())
}

/// # Safety
///
/// `into` is memory for the map that `op` describes.
pub(super) unsafe fn map(
    program: &Program,
    op: &MapOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let (key, value) = (program.block(op.key.block), program.block(op.value.block));
    let count = reader.count(min_wire(&[key, value]), op.key.stride() + op.value.stride())?;
    reader.descend_into(count)?;
    let (mut key_scratch, mut value_scratch) =
        (Scratch::new(op.key.layout), Scratch::new(op.value.layout));
    let (k, v) = (key_scratch.pointer(), value_scratch.pointer());
    // SAFETY: the scratches have the layouts of key and value, which `insert` moves out of them.
    unsafe {
        let room = distinct(count, &[key, value]);
        let map = (op.def.vtable.init_in_place_with_capacity)(PtrUninit::new(into), room);
        for index in 0..count {
            if block(program, key, k, reader).is_err() {
                unwind::drop_value(op.map, into);
                return Err(reader.name(format!("[key {index}]").into()));
            }
            if block(program, value, v, reader).is_err() {
                unwind::drop_value(op.key.shape, k);
                unwind::drop_value(op.map, into);
                return Err(reader.name(format!("[value {index}]").into()));
            }
            (op.def.vtable.insert)(map, PtrMut::new(k), PtrMut::new(v));
        }
    }
    reader.ascend_from(count);
    Ok(())
}

/// # Safety
///
/// `into` is memory for the set that `op` describes.
pub(super) unsafe fn set(
    program: &Program,
    op: &SetOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let inner = program.block(op.element.block);
    let count = reader.count(min_wire(&[inner]), op.element.stride())?;
    reader.descend_into(count)?;
    let mut scratch = Scratch::new(op.element.layout);
    let element = scratch.pointer();
    // SAFETY: the scratch has the layout of an element, which `insert` moves out of it.
    unsafe {
        let room = distinct(count, &[inner]);
        let set = (op.def.vtable.init_in_place_with_capacity)(PtrUninit::new(into), room);
        for index in 0..count {
            if block(program, inner, element, reader).is_err() {
                unwind::drop_value(op.set, into);
                return Err(reader.name_index(index));
            }
            (op.def.vtable.insert)(set, PtrMut::new(element));
        }
    }
    reader.ascend_from(count);
    Ok(())
}

/// The fewest bytes that one element takes, made of one value of each block.
fn min_wire(blocks: &[&Block]) -> u64 {
    blocks.iter().map(|block| u64::from(block.min_wire)).sum()
}

/// How many of `count` keys can differ at most: those that take no bytes are all the same. A table pays
/// for the room it is asked for even when its entries have no size.
fn distinct(count: usize, blocks: &[&Block]) -> usize {
    if min_wire(blocks) == 0 {
        count.min(1)
    } else {
        count
    }
}

/// # Safety
///
/// `into` is memory for a `Vec` of `scalar`'s type.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a type with a lifetime is not general enough where a closure is"
)]
pub(super) unsafe fn scalar_vec(
    into: *mut u8,
    scalar: Scalar,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    macro_rules! put {
        ($ty:ty, $items:expr) => {
            // SAFETY: the caller's contract.
            unsafe { into.cast::<Vec<$ty>>().write($items) }
        };
    }
    match scalar {
        Scalar::Bool => put!(bool, bools(reader)?),
        Scalar::U8 => put!(u8, reader.bytes()?.to_vec()),
        Scalar::I8 => put!(i8, reader.bytes()?.iter().map(|b| *b as i8).collect()),
        Scalar::U16 => put!(u16, varints(reader, 3, u64::from(u16::MAX), |v| v as u16)?),
        Scalar::U32 => put!(u32, varints(reader, 5, u64::from(u32::MAX), |v| v as u32)?),
        Scalar::U64 => put!(u64, varints(reader, varint::MAX_64, u64::MAX, |v| v)?),
        Scalar::I16 => {
            put!(
                i16,
                varints(reader, 3, u64::from(u16::MAX), |v| unzigzag_64(v) as i16)?
            );
        }
        Scalar::I32 => {
            put!(
                i32,
                varints(reader, 5, u64::from(u32::MAX), |v| unzigzag_64(v) as i32)?
            );
        }
        Scalar::I64 => put!(i64, varints(reader, varint::MAX_64, u64::MAX, unzigzag_64)?),
        Scalar::U128 => put!(u128, each(reader, 1, |r| r.varint_128())?),
        Scalar::I128 => {
            put!(
                i128,
                each(reader, 1, |r| Ok(unzigzag_128(r.varint_128()?)))?
            );
        }
        Scalar::F32 => put!(f32, floats(reader, f32::from_le_bytes)?),
        Scalar::F64 => put!(f64, floats(reader, f64::from_le_bytes)?),
        Scalar::Char => put!(char, each(reader, 2, |r| r.char())?),
    }
    Ok(())
}

fn bools(reader: &mut Reader<'_>) -> Result<Vec<bool>, Stop> {
    let count = reader.count(1, 1)?;
    let mut items = Vec::with_capacity(count);
    for index in 0..count {
        items.push(reader.bool().map_err(|Stop| reader.name_index(index))?);
    }
    Ok(items)
}

fn each<T>(
    reader: &mut Reader<'_>,
    min_wire: u64,
    item: impl Fn(&mut Reader<'_>) -> Result<T, Stop>,
) -> Result<Vec<T>, Stop> {
    let count = reader.count(min_wire, size_of::<T>())?;
    let mut items = Vec::with_capacity(count);
    for index in 0..count {
        items.push(item(reader).map_err(|Stop| reader.name_index(index))?);
    }
    Ok(items)
}

fn floats<T, const N: usize>(
    reader: &mut Reader<'_>,
    float: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Stop> {
    let count = reader.count(N as u64, size_of::<T>())?;
    let bytes = reader.take(count * N)?;
    Ok(bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| float(*chunk))
        .collect())
}

/// Numbers of at most `max` bytes (three, five or ten) and `limit`.
#[inline(always)]
#[expect(
    clippy::needless_continue,
    reason = "the macro's last use stands at the end of the loop"
)]
fn varints<T>(
    reader: &mut Reader<'_>,
    max: usize,
    limit: u64,
    number: impl Fn(u64) -> T,
) -> Result<Vec<T>, Stop> {
    let count = reader.count(1, size_of::<T>())?;
    let mut items = Vec::<T>::with_capacity(count);
    let first = items.as_mut_ptr();
    let end = reader.end;
    let mut cur = reader.cur;
    let mut index = 0;
    while index < count {
        // Takes a number of so many bytes that surely fits the type.
        macro_rules! take {
            ($value:expr, $len:expr) => {{
                // SAFETY: there is room for `count` items, and the number's bytes were there to read.
                // Numbers need no drop when a later one fails.
                unsafe {
                    first.add(index).write(number($value));
                    cur = cur.add($len);
                }
                index += 1;
                continue;
            }};
        }
        if end as usize - cur as usize >= 8 {
            // SAFETY: eight bytes are left.
            let word = u64::from_le_bytes(unsafe { cur.cast::<[u8; 8]>().read_unaligned() });
            if word & 0x80 == 0 {
                if word & varint::STOPS != 0 || count - index < 8 {
                    take!(word & 0x7f, 1);
                }
                // Eight numbers of one byte each.
                for (at, byte) in word.to_le_bytes().into_iter().enumerate() {
                    // SAFETY: there is room for `count` items, of which eight are still to come.
                    unsafe { first.add(index + at).write(number(u64::from(byte))) };
                }
                index += 8;
                // SAFETY: eight bytes are left.
                cur = unsafe { cur.add(8) };
                continue;
            }
            let low = (word & 0x7f) | ((word >> 1) & 0x3f80);
            if word & 0x8000 == 0 {
                take!(low, 2);
            }
            let low = low | ((word >> 2) & 0x1f_c000);
            if word & 0x80_0000 == 0 && low <= limit {
                take!(low, 3);
            }
            let low = low | ((word >> 3) & 0x0fe0_0000);
            if word & 0x8000_0000 == 0 && max > 4 {
                take!(low, 4);
            }
            let low = low | ((word >> 4) & 0x0007_f000_0000);
            if word & 0x80_0000_0000 == 0 && low <= limit && max > 4 {
                take!(low, 5);
            }
        }
        // SAFETY: the reader's own range.
        let read = unsafe { varint::read(cur, end) };
        if read.next.is_null() || read.next as usize - cur as usize > max || read.value > limit {
            reader.cur = cur;
            reader.bad_varint(max);
            return Err(reader.name_index(index));
        }
        take!(read.value, read.next as usize - cur as usize);
    }
    reader.cur = cur;
    // SAFETY: all `count` items have been written.
    unsafe { items.set_len(count) };
    Ok(items)
}
