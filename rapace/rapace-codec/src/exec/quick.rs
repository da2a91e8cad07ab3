//! Encoding with the room checked once per block instead of once per op.
//!
//! A block's numbers, tags and lengths have a bound, [`Block::quick_room`]. While at least that much
//! room is left, such ops write without a look at it; strings ask for their own bytes on top. The
//! caller runs the op at which this stops: one that holds other values, or one for which there is not
//! enough room.

use super::sink::Sink;
use super::varint::{self, zigzag_64};
use super::{short, variant_index};
use crate::kind::Scalar;
use crate::program::{Block, Op};

/// Runs ops of `block` from op `from` on and returns the index of the first that it has not run.
///
/// # Safety
///
/// `base` points to an initialised value of the type that `block` was compiled from, and the sink has
/// room for [`Block::quick_room`] bytes.
pub(super) unsafe fn run(
    block: &Block,
    from: usize,
    base: *const u8,
    sink: &mut Sink<'_>,
) -> usize {
    // SAFETY: the caller's contract.
    let (cur, index) = unsafe { ops(block, from, base, sink.cur, sink.end) };
    sink.cur = cur;
    index
}

/// Runs values of `block` that stand in a row, as long as all of their ops run here. Returns how many
/// it has finished; of the next one nothing is written.
///
/// # Safety
///
/// `first` points to `len` initialised values, `stride` bytes apart, of the type that `block` was
/// compiled from.
pub(super) unsafe fn run_all(
    block: &Block,
    first: *const u8,
    stride: usize,
    len: usize,
    sink: &mut Sink<'_>,
) -> usize {
    let mut cur = sink.cur;
    for index in 0..len {
        if sink.end as usize - cur as usize >= block.quick_room as usize {
            // SAFETY: the caller's contract; the room was checked.
            let (next, done) = unsafe { ops(block, 0, first.add(index * stride), cur, sink.end) };
            if done == block.ops.len() {
                cur = next;
                continue;
            }
        }
        sink.cur = cur;
        return index;
    }
    sink.cur = cur;
    len
}

/// [`run`] on a window `cur..end`. Returns the new position and the index of the first op not run.
///
/// # Safety
///
/// As for [`run`].
#[inline(always)]
unsafe fn ops(
    block: &Block,
    from: usize,
    base: *const u8,
    mut cur: *mut u8,
    end: *mut u8,
) -> (*mut u8, usize) {
    let need = block.quick_room as usize;
    macro_rules! field {
        ($at:expr, $ty:ty) => {
            // SAFETY: the compiler took offset and type from the shape of the value at `base`.
            unsafe { &*base.add(*$at as usize).cast::<$ty>() }
        };
    }
    macro_rules! put_array {
        ($bytes:expr) => {{
            let bytes = $bytes;
            // SAFETY: the room covers every number of the block.
            cur = unsafe {
                cur.cast::<[u8; _]>().write(bytes);
                cur.add(bytes.len())
            };
        }};
    }
    // The bytes of a string; gives up before op `index` when they do not fit beside the numbers.
    macro_rules! fitting {
        ($index:expr, $bytes:expr) => {{
            let bytes: &[u8] = $bytes;
            if (end as usize - cur as usize).saturating_sub(need) < bytes.len() {
                return (cur, $index);
            }
            bytes
        }};
    }

    'ops: for (index, op) in block.ops.iter().enumerate().skip(from) {
        // The number of an option, once its tag is written.
        macro_rules! some {
            ($value:expr) => {
                match $value {
                    None => {
                        put_array!([0]);
                        continue 'ops;
                    }
                    Some(value) => {
                        put_array!([1]);
                        value
                    }
                }
            };
        }
        // Most ops end in a number. That it is written in one place, for all of them, keeps this
        // loop small enough to be fast.
        let bytes: &[u8] = 'bytes: {
            let number = match op {
                Op::Bool(at) | Op::Byte(at) => {
                    put_array!([*field!(at, u8)]);
                    continue 'ops;
                }
                Op::F32(at) => {
                    put_array!(field!(at, f32).to_le_bytes());
                    continue 'ops;
                }
                Op::F64(at) => {
                    put_array!(field!(at, f64).to_le_bytes());
                    continue 'ops;
                }
                Op::U16(at) => u64::from(*field!(at, u16)),
                Op::U32(at) => u64::from(*field!(at, u32)),
                Op::U64(at) => *field!(at, u64),
                Op::I16(at) => zigzag_64(i64::from(*field!(at, i16))),
                Op::I32(at) => zigzag_64(i64::from(*field!(at, i32))),
                Op::I64(at) => zigzag_64(*field!(at, i64)),
                Op::OptionScalar(at, Scalar::U32) => u64::from(some!(*field!(at, Option<u32>))),
                Op::OptionScalar(at, Scalar::U64) => some!(*field!(at, Option<u64>)),
                Op::OptionScalar(at, Scalar::I32) => {
                    zigzag_64(i64::from(some!(*field!(at, Option<i32>))))
                }
                Op::OptionScalar(at, Scalar::I64) => zigzag_64(some!(*field!(at, Option<i64>))),
                // SAFETY: the field is the enum that the op describes.
                Op::UnitEnum(at, op) => unsafe { variant_index(base.add(*at as usize), op) as u64 },
                Op::Str(at) => break 'bytes fitting!(index, field!(at, String).as_bytes()),
                Op::ByteVec(at) => break 'bytes fitting!(index, field!(at, Vec<u8>)),
                Op::OptionStr(at) => {
                    let text = field!(at, Option<String>).as_ref();
                    let bytes = fitting!(index, text.map_or(&[], |text| text.as_bytes()));
                    some!(text);
                    break 'bytes bytes;
                }
                Op::Invariant(..) | Op::FieldInvariant(..) => continue 'ops,
                // The others look after themselves.
                _ => {
                    return (cur, index);
                }
            };
            // SAFETY: the room covers every number of the block.
            cur = unsafe { varint::write(cur, number) };
            continue 'ops;
        };
        // SAFETY: the room covers the length, and `fitting` was asked for the bytes, which are not
        // part of the output.
        cur = unsafe {
            let at = varint::write(cur, bytes.len() as u64);
            short::copy(bytes.as_ptr(), at, bytes.len());
            at.add(bytes.len())
        };
    }
    (cur, block.ops.len())
}

/// What an op adds to [`Block::quick_room`]: the bound of what is written here, but for the bytes of
/// strings. `None` for the ops that do not run here.
pub(crate) fn room(op: &Op) -> Option<u32> {
    Some(match op {
        Op::Invariant(..) | Op::FieldInvariant(..) => 0,
        Op::Bool(_) | Op::Byte(_) => 1,
        Op::U16(_) | Op::I16(_) => 3,
        Op::U32(_) | Op::I32(_) | Op::UnitEnum(..) => 5,
        Op::F32(_) => 4,
        Op::F64(_) => 8,
        Op::U64(_) | Op::I64(_) | Op::Str(_) | Op::ByteVec(_) => 10,
        Op::OptionScalar(_, Scalar::U32 | Scalar::I32) => 6,
        Op::OptionScalar(_, Scalar::U64 | Scalar::I64) | Op::OptionStr(_) => 11,
        _ => return None,
    })
}

/// What [`Block::quick_room`] adds to the sum over all ops: writing a varint touches up to ten bytes,
/// however short it turns out.
pub(crate) const SLACK: u32 = varint::MAX_64 as u32;
