//! How many bytes a value takes on the wire, at least and at most, and how much memory a byte of
//! input may claim.

use super::{Block, Op, Part, Program};
use crate::kind::Scalar;

/// A bound that no value reaches: the block cannot end.
const NEVER: u32 = u32::MAX;

/// Fills in the bounds of every block and the program's amplification.
pub(super) fn compute(program: &mut Program) {
    compute_min(&mut program.blocks);
    let mut known = vec![Max::Unknown; program.blocks.len()];
    for index in 0..program.blocks.len() {
        program.blocks[index].max_wire = max_of(program, index, &mut known);
    }
    program.amplification = amplification(program);
}

/// The least solution of the equations that each block's ops state, by iteration from "never": a
/// recursive block gets its bound from the variant that ends the recursion.
fn compute_min(blocks: &mut [Block]) {
    loop {
        let mut changed = false;
        for index in 0..blocks.len() {
            let sum = blocks[index]
                .ops
                .iter()
                .fold(0u32, |sum, op| sum.saturating_add(op_min(blocks, op)));
            if sum < blocks[index].min_wire {
                blocks[index].min_wire = sum;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

fn op_min(blocks: &[Block], op: &Op) -> u32 {
    let part = |part: &Part| blocks[part.block.0 as usize].min_wire;
    match op {
        Op::F32(_) => 4,
        Op::F64(_) => 8,
        Op::Char(_) | Op::Duration(_) => 2,
        Op::Raw { len, .. } => *len,
        Op::Result(_, op) => part(&op.ok).min(part(&op.err)).saturating_add(1),
        Op::Enum(_, op) => op
            .variants
            .iter()
            .map(|variant| variant.map_or(0, |id| blocks[id.0 as usize].min_wire))
            .min()
            .unwrap_or(NEVER)
            .saturating_add(1),
        Op::Array(_, op) => part(&op.element).saturating_mul(op.len as u32),
        Op::Boxed(_, op) => part(&op.inner),
        Op::Arc(_, op) => part(&op.inner),
        Op::Call(_, id) => blocks[id.0 as usize].min_wire,
        Op::Invariant(..) | Op::FieldInvariant(..) => 0,
        // All others can be one byte: a small number, a tag, an empty string or list.
        _ => 1,
    }
}

#[derive(Clone, Copy)]
enum Max {
    Unknown,
    /// Being computed; met again, it is recursive and has no bound.
    Open,
    Known(Option<u32>),
}

fn max_of(program: &Program, index: usize, known: &mut [Max]) -> Option<u32> {
    match known[index] {
        Max::Known(max) => return max,
        Max::Open => return None,
        Max::Unknown => known[index] = Max::Open,
    }
    let max = program.blocks[index]
        .ops
        .iter()
        .try_fold(0u32, |sum, op| sum.checked_add(op_max(program, op, known)?));
    known[index] = Max::Known(max);
    max
}

fn op_max(program: &Program, op: &Op, known: &mut [Max]) -> Option<u32> {
    let mut part = |part: &Part| max_of(program, part.block.0 as usize, known);
    match op {
        Op::Bool(_) | Op::Byte(_) => Some(1),
        Op::U16(_) | Op::I16(_) => Some(3),
        Op::U32(_) | Op::I32(_) | Op::Char(_) | Op::Port(..) => Some(5),
        Op::U64(_) | Op::I64(_) => Some(10),
        Op::U128(_) | Op::I128(_) => Some(19),
        Op::F32(_) => Some(4),
        Op::F64(_) => Some(8),
        Op::Raw { len, .. } => Some(*len),
        Op::Duration(_) => Some(15),
        Op::OptionScalar(_, scalar) => Some(1 + scalar_max(*scalar)),
        Op::Option(_, op) => part(&op.some)?.checked_add(1),
        Op::Result(_, op) => part(&op.ok)?.max(part(&op.err)?).checked_add(1),
        Op::UnitEnum(_, op) => Some(index_max(op.variants.len())),
        Op::Enum(_, op) => {
            let mut max = 0;
            for variant in op.variants.iter().flatten() {
                max = max.max(max_of(program, variant.0 as usize, known)?);
            }
            max.checked_add(index_max(op.variants.len()))
        }
        Op::Array(_, op) => part(&op.element)?.checked_mul(u32::try_from(op.len).ok()?),
        Op::Boxed(_, op) => part(&op.inner),
        Op::Arc(_, op) => part(&op.inner),
        Op::Call(_, id) => max_of(program, id.0 as usize, known),
        Op::Invariant(..) | Op::FieldInvariant(..) => Some(0),
        Op::Str(_)
        | Op::OtherText(..)
        | Op::Bytes(_)
        | Op::ByteVec(_)
        | Op::ByteSlice { .. }
        | Op::ScalarVec(..)
        | Op::OptionStr(_)
        | Op::OptionBytes(_)
        | Op::OptionByteVec(_)
        | Op::List(..)
        | Op::Slice(..)
        | Op::Map(..)
        | Op::Set(..) => None,
    }
}

/// The bytes of the largest variant index.
fn index_max(variants: usize) -> u32 {
    crate::exec::varint_len(variants.saturating_sub(1) as u64) as u32
}

fn scalar_max(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::Bool | Scalar::U8 | Scalar::I8 => 1,
        Scalar::U16 | Scalar::I16 => 3,
        Scalar::U32 | Scalar::I32 | Scalar::Char => 5,
        Scalar::U64 | Scalar::I64 => 10,
        Scalar::U128 | Scalar::I128 => 19,
        Scalar::F32 => 4,
        Scalar::F64 => 8,
    }
}

/// How many bytes of memory one byte of valid input may claim: the sum over all places that
/// allocate. At each such place the elements take disjoint bytes of the input, so a valid input of
/// `n` bytes never claims more than `n` times this; an input that does is lying about a length.
fn amplification(program: &Program) -> u64 {
    let recursive: Vec<bool> = (0..program.blocks.len())
        .map(|index| reaches_itself(program, index))
        .collect();
    // Within a recursive type an element's bytes may contain those of further elements of the same
    // place; one byte, the tag or count that decides to go on, is still its own.
    let per_byte = |bytes: usize, parts: &[&Part]| -> u64 {
        let wire = if parts.iter().any(|p| recursive[p.block.0 as usize]) {
            1
        } else {
            parts
                .iter()
                .map(|p| u64::from(program.block(p.block).min_wire))
                .sum::<u64>()
                .max(1)
        };
        (bytes as u64).div_ceil(wire)
    };
    let mut sum = 1;
    for op in program.blocks.iter().flat_map(|block| &block.ops) {
        sum += match op {
            Op::ScalarVec(_, scalar) => scalar_amplification(*scalar),
            Op::List(_, op) => per_byte(op.element.layout.size(), &[&op.element]),
            Op::Slice(_, op) => per_byte(op.element.layout.size(), &[&op.element]),
            Op::Map(_, op) => per_byte(
                op.key.layout.size() + op.value.layout.size(),
                &[&op.key, &op.value],
            ),
            Op::Set(_, op) => per_byte(op.element.layout.size(), &[&op.element]),
            Op::Boxed(_, op) => per_byte(op.inner.layout.size(), &[&op.inner]),
            Op::Arc(_, op) => per_byte(op.inner.layout.size(), &[&op.inner]),
            _ => 0,
        };
    }
    sum
}

fn scalar_amplification(scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Bool | Scalar::U8 | Scalar::I8 | Scalar::F32 | Scalar::F64 => 1,
        Scalar::U16 | Scalar::I16 => 2,
        Scalar::U32 | Scalar::I32 | Scalar::Char => 4,
        Scalar::U64 | Scalar::I64 => 8,
        Scalar::U128 | Scalar::I128 => 16,
    }
}

fn reaches_itself(program: &Program, start: usize) -> bool {
    let mut seen = vec![false; program.blocks.len()];
    let mut open = vec![start];
    while let Some(index) = open.pop() {
        for op in &program.blocks[index].ops {
            for next in callees(op) {
                if next == start {
                    return true;
                }
                if !seen[next] {
                    seen[next] = true;
                    open.push(next);
                }
            }
        }
    }
    false
}

fn callees(op: &Op) -> Vec<usize> {
    let parts: Vec<&Part> = match op {
        Op::Option(_, op) => vec![&op.some],
        Op::Result(_, op) => vec![&op.ok, &op.err],
        Op::List(_, op) => vec![&op.element],
        Op::Slice(_, op) => vec![&op.element],
        Op::Array(_, op) => vec![&op.element],
        Op::Map(_, op) => vec![&op.key, &op.value],
        Op::Set(_, op) => vec![&op.element],
        Op::Boxed(_, op) => vec![&op.inner],
        Op::Arc(_, op) => vec![&op.inner],
        Op::Enum(_, op) => {
            return op
                .variants
                .iter()
                .flatten()
                .map(|id| id.0 as usize)
                .collect();
        }
        Op::Call(_, id) => return vec![id.0 as usize],
        _ => return Vec::new(),
    };
    parts.iter().map(|part| part.block.0 as usize).collect()
}
