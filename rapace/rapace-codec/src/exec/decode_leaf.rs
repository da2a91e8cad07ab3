//! Bytes to values that hold no others \[enc\], \[enc.strict\].

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use facet_core::PtrConst;

use super::reader::Reader;
use super::varint::{self, unzigzag_64, unzigzag_128};
use super::{Stop, collections, short, write_discriminant};
use crate::error::DecodeErrorKind;
use crate::kind::{Scalar, Text};
use crate::program::{Block, Op};

/// Runs ops from `done` on up to the first that holds other values, and counts those that succeed.
///
/// # Safety
///
/// `base` is writable, aligned memory for a value of the type that `block` was compiled from, in which
/// the fields of these ops are not yet written.
pub(super) unsafe fn run(
    block: &Block,
    done: &mut usize,
    base: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    // The position lives in registers between ops that read a number.
    let mut cur = reader.cur;
    let end = reader.end;
    let mut index = *done;

    let stop = 'ops: {
        macro_rules! set {
            ($at:expr, $ty:ty, $value:expr) => {{
                let value: $ty = $value;
                // SAFETY: the compiler took offset and type from the shape of the value at `base`.
                unsafe { base.add($at as usize).cast::<$ty>().write(value) }
            }};
        }
        // Runs an op that uses the reader as a whole.
        macro_rules! with_reader {
            ($op:expr) => {{
                reader.cur = cur;
                match $op {
                    Ok(value) => {
                        cur = reader.cur;
                        value
                    }
                    Err(Stop) => break 'ops Stop,
                }
            }};
        }
        macro_rules! varint {
            ($max:expr, $limit:expr) => {{
                // SAFETY: the reader's own range.
                let read = unsafe { varint::read(cur, end) };
                // The compiler folds the last two comparisons for one-byte numbers.
                if read.next.is_null()
                    || read.next as usize - cur as usize > $max
                    || read.value > $limit as u64
                {
                    reader.cur = cur;
                    break 'ops reader.bad_varint($max);
                }
                cur = read.next;
                read.value
            }};
        }
        macro_rules! array {
            ($len:expr) => {{
                if (end as usize - cur as usize) < $len {
                    reader.cur = cur;
                    break 'ops reader.record(DecodeErrorKind::UnexpectedEnd);
                }
                // SAFETY: that many bytes are left.
                unsafe {
                    let bytes = cur.cast::<[u8; $len]>().read();
                    cur = cur.add($len);
                    bytes
                }
            }};
        }

        macro_rules! option {
            () => {{
                // SAFETY: the position is below the end, so readable.
                let tag = if cur < end { unsafe { *cur } } else { u8::MAX };
                if tag > 1 {
                    reader.cur = cur;
                    break 'ops reader.bad_option();
                }
                // SAFETY: at least one byte is left.
                cur = unsafe { cur.add(1) };
                tag == 1
            }};
        }
        macro_rules! text {
            () => {{
                let start = cur;
                let len = varint!(varint::MAX_64, u64::MAX);
                if len > (end as usize - cur as usize) as u64 {
                    reader.cur = start;
                    break 'ops reader.record(DecodeErrorKind::LengthTooLarge);
                }
                // SAFETY: that many bytes are left.
                let Some(text) = (unsafe { short::text(cur, len as usize) }) else {
                    reader.cur = start;
                    break 'ops reader.record(DecodeErrorKind::InvalidUtf8);
                };
                // SAFETY: as above.
                cur = unsafe { cur.add(len as usize) };
                text
            }};
        }
        macro_rules! option_number {
            ($at:expr, $ty:ty, $max:expr, $limit:expr, $convert:expr) => {{
                let value: Option<$ty> = if option!() {
                    let number: u64 = varint!($max, $limit);
                    Some($convert(number) as $ty)
                } else {
                    None
                };
                set!($at, Option<$ty>, value);
            }};
        }

        while let Some(op) = block.ops.get(index) {
            match op {
                Op::Bool(at) => set!(*at, bool, with_reader!(reader.bool())),
                Op::Byte(at) => set!(*at, u8, array!(1)[0]),
                Op::U16(at) => set!(*at, u16, varint!(3, u16::MAX) as u16),
                Op::U32(at) => set!(*at, u32, varint!(5, u32::MAX) as u32),
                Op::U64(at) => set!(*at, u64, varint!(varint::MAX_64, u64::MAX)),
                Op::I16(at) => set!(*at, i16, unzigzag_64(varint!(3, u16::MAX)) as i16),
                Op::I32(at) => set!(*at, i32, unzigzag_64(varint!(5, u32::MAX)) as i32),
                Op::I64(at) => set!(*at, i64, unzigzag_64(varint!(varint::MAX_64, u64::MAX))),
                Op::U128(at) => set!(*at, u128, with_reader!(reader.varint_128())),
                Op::I128(at) => {
                    set!(*at, i128, unzigzag_128(with_reader!(reader.varint_128())));
                }
                Op::F32(at) => set!(*at, f32, f32::from_le_bytes(array!(4))),
                Op::F64(at) => set!(*at, f64, f64::from_le_bytes(array!(8))),
                Op::Char(at) => set!(*at, char, with_reader!(reader.char())),
                Op::Raw { at, len } => {
                    let bytes = with_reader!(reader.take(*len as usize));
                    // SAFETY: the field is this many plain bytes of which any value is valid.
                    unsafe {
                        core::ptr::copy_nonoverlapping(
                            bytes.as_ptr(),
                            base.add(*at as usize),
                            bytes.len(),
                        );
                    }
                }
                Op::Str(at) => set!(*at, String, text!()),
                Op::OtherText(at, owner) => {
                    let text = with_reader!(text(reader));
                    match owner {
                        Text::String => set!(*at, String, text),
                        Text::Boxed => set!(*at, Box<str>, text.into()),
                        Text::Shared => set!(*at, Arc<str>, text.into()),
                        Text::Cow => set!(*at, Cow<'static, str>, Cow::Owned(text)),
                    }
                }
                Op::Bytes(at) => set!(*at, Bytes, with_reader!(reader.shared())),
                Op::ByteVec(at) => set!(*at, Vec<u8>, with_reader!(byte_vec(reader))),
                Op::ByteSlice { at, shared: false } => {
                    set!(*at, Box<[u8]>, with_reader!(byte_vec(reader)).into());
                }
                Op::ByteSlice { at, shared: true } => {
                    set!(*at, Arc<[u8]>, with_reader!(reader.bytes()).into());
                }
                Op::Duration(at) => {
                    set!(*at, core::time::Duration, with_reader!(reader.duration()));
                }
                Op::ScalarVec(at, scalar) => {
                    // SAFETY: the compiler saw that the field is a `Vec` of this scalar.
                    with_reader!(unsafe {
                        collections::scalar_vec(base.add(*at as usize), *scalar, reader)
                    });
                }
                Op::OptionScalar(at, Scalar::U32) => {
                    option_number!(*at, u32, 5, u32::MAX, core::convert::identity);
                }
                Op::OptionScalar(at, Scalar::U64) => {
                    option_number!(*at, u64, varint::MAX_64, u64::MAX, core::convert::identity);
                }
                Op::OptionScalar(at, Scalar::I32) => {
                    option_number!(*at, i32, 5, u32::MAX, unzigzag_64);
                }
                Op::OptionScalar(at, Scalar::I64) => {
                    option_number!(*at, i64, varint::MAX_64, u64::MAX, unzigzag_64);
                }
                Op::OptionScalar(at, scalar) => {
                    // SAFETY: the compiler saw that the field is an `Option` of this scalar.
                    with_reader!(unsafe { option_scalar(base.add(*at as usize), *scalar, reader) });
                }
                Op::OptionStr(at) => {
                    let some = option!();
                    let value = if some {
                        Some(with_reader!(text(reader)))
                    } else {
                        None
                    };
                    set!(*at, Option<String>, value);
                }
                Op::OptionBytes(at) => {
                    let some = option!();
                    let value = if some {
                        Some(with_reader!(reader.shared()))
                    } else {
                        None
                    };
                    set!(*at, Option<Bytes>, value);
                }
                Op::OptionByteVec(at) => {
                    let some = option!();
                    let value = if some {
                        Some(with_reader!(byte_vec(reader)))
                    } else {
                        None
                    };
                    set!(*at, Option<Vec<u8>>, value);
                }
                Op::UnitEnum(at, op) => {
                    let index = with_reader!(reader.variant(op.variants.len()));
                    // SAFETY: the field is what the op describes, and not yet written.
                    unsafe {
                        write_discriminant(
                            base.add(*at as usize),
                            op.width,
                            op.discriminants[index],
                        );
                    }
                }
                Op::Port(at, ordinal, table) => {
                    let port = varint!(5, u32::MAX) as u32;
                    // SAFETY: the table was made for the type of the field.
                    let accepted = unsafe {
                        (table.accept)(*ordinal, port, reader.ports, base.add(*at as usize))
                    };
                    if let Err(error) = accepted {
                        reader.cur = cur;
                        break 'ops reader.record_port(error);
                    }
                }
                Op::Invariant(at, shape) => {
                    // SAFETY: the ops before this one have built the whole value.
                    let verdict = unsafe {
                        shape.call_invariants(PtrConst::new(base.add(*at as usize).cast_const()))
                    };
                    if let Some(Err(message)) = verdict {
                        reader.cur = cur;
                        break 'ops reader.record(DecodeErrorKind::Invariant(message));
                    }
                }
                Op::FieldInvariant(at, check) => {
                    // SAFETY: the ops before this one have built the field.
                    let holds =
                        unsafe { check(PtrConst::new(base.add(*at as usize).cast_const())) };
                    if !holds {
                        reader.cur = cur;
                        let message = "the field's own check failed".to_owned();
                        break 'ops reader.record(DecodeErrorKind::Invariant(message));
                    }
                }
                // The caller runs these.
                _ => break,
            }
            index += 1;
        }
        reader.cur = cur;
        *done = index;
        return Ok(());
    };
    *done = index;
    Err(stop)
}

#[inline]
fn text(reader: &mut Reader<'_>) -> Result<String, Stop> {
    let start = reader.cur;
    let bytes = reader.bytes()?;
    // SAFETY: the range of `bytes`.
    match unsafe { short::text(bytes.as_ptr(), bytes.len()) } {
        Some(text) => Ok(text),
        None => {
            reader.cur = start;
            Err(reader.record(DecodeErrorKind::InvalidUtf8))
        }
    }
}

#[inline]
fn byte_vec(reader: &mut Reader<'_>) -> Result<Vec<u8>, Stop> {
    Ok(reader.bytes()?.to_vec())
}

/// # Safety
///
/// `into` is memory for an `Option` of `scalar`'s type.
#[inline]
unsafe fn option_scalar(
    into: *mut u8,
    scalar: Scalar,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let some = reader.option()?;
    macro_rules! option {
        ($ty:ty, $value:expr) => {{
            let value: Option<$ty> = if some { Some($value) } else { None };
            // SAFETY: the caller's contract.
            unsafe { into.cast::<Option<$ty>>().write(value) };
        }};
    }
    macro_rules! number {
        ($ty:ty, $max:expr) => {
            option!($ty, reader.varint($max, u64::from(<$ty>::MAX))? as $ty)
        };
    }
    macro_rules! zigzag {
        ($ty:ty, $unsigned:ty, $max:expr) => {
            option!(
                $ty,
                unzigzag_64(reader.varint($max, u64::from(<$unsigned>::MAX))?) as $ty
            )
        };
    }
    match scalar {
        Scalar::Bool => option!(bool, reader.bool()?),
        Scalar::U8 => option!(u8, reader.byte()?),
        Scalar::I8 => option!(i8, reader.byte()? as i8),
        Scalar::U16 => number!(u16, 3),
        Scalar::U32 => number!(u32, 5),
        Scalar::U64 => number!(u64, varint::MAX_64),
        Scalar::U128 => option!(u128, reader.varint_128()?),
        Scalar::I16 => zigzag!(i16, u16, 3),
        Scalar::I32 => zigzag!(i32, u32, 5),
        Scalar::I64 => zigzag!(i64, u64, varint::MAX_64),
        Scalar::I128 => option!(i128, unzigzag_128(reader.varint_128()?)),
        Scalar::F32 => option!(f32, f32::from_le_bytes(fixed(reader)?)),
        Scalar::F64 => option!(f64, f64::from_le_bytes(fixed(reader)?)),
        Scalar::Char => option!(char, reader.char()?),
    }
    Ok(())
}

fn fixed<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Stop> {
    let mut bytes = [0; N];
    bytes.copy_from_slice(reader.take(N)?);
    Ok(bytes)
}
