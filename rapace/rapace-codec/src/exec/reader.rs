//! The bytes being decoded, the guards on them, and the report of a failure \[enc.strict\].

use core::any::Any;
use std::borrow::Cow;

use bytes::Bytes;

use super::{Stop, varint};
use crate::error::{DecodeError, DecodeErrorKind, PortError};
use crate::program::{Block, Program};
use crate::{MAX_DEPTH, MAX_EMPTY_ELEMENTS};

/// Invariant: `start <= cur <= end`, all within one readable range of bytes.
pub(super) struct Reader<'a> {
    pub(super) cur: *const u8,
    pub(super) end: *const u8,
    start: *const u8,
    /// The bytes again, when `Bytes` fields may be slices of them.
    frame: Option<&'a Bytes>,
    /// Memory that may still be claimed, in bytes.
    budget: u64,
    empties: u32,
    depth: u32,
    pub(super) ports: &'a mut dyn Any,
    failure: Option<Box<Failure>>,
}

struct Failure {
    position: usize,
    kind: DecodeErrorKind,
    /// From the innermost step outwards.
    path: Vec<Cow<'static, str>>,
}

/// How many steps of a long path are shown at either end.
const PATH_ENDS: usize = 8;

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(
        program: &Program,
        bytes: &'a [u8],
        frame: Option<&'a Bytes>,
        ports: &'a mut dyn Any,
    ) -> Self {
        let range = bytes.as_ptr_range();
        Self {
            cur: range.start,
            end: range.end,
            start: range.start,
            frame,
            budget: program.amplification.saturating_mul(bytes.len() as u64),
            empties: MAX_EMPTY_ELEMENTS,
            depth: MAX_DEPTH,
            ports,
            failure: None,
        }
    }

    /// The bytes left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.end as usize - self.cur as usize
    }

    /// Records what is wrong at the position; the first record wins.
    #[cold]
    pub(super) fn record(&mut self, kind: DecodeErrorKind) -> Stop {
        if self.failure.is_none() {
            self.failure = Some(Box::new(Failure {
                position: self.cur as usize - self.start as usize,
                kind,
                path: Vec::new(),
            }));
        }
        Stop
    }

    #[cold]
    pub(super) fn record_port(&mut self, error: PortError) -> Stop {
        self.record(DecodeErrorKind::Port(error))
    }

    /// Adds the label of op `index`, on the way out.
    pub(super) fn name_op(&mut self, block: &Block, index: usize) {
        let Some(failure) = &mut self.failure else {
            return;
        };
        let mut label = block.meta[index].label;
        while let Some(at) = label {
            failure.path.push(block.labels[at as usize].name.into());
            label = block.labels[at as usize].parent;
        }
    }

    /// Adds the index of an element, on the way out.
    #[cold]
    pub(super) fn name_index(&mut self, index: usize) -> Stop {
        self.name(format!("[{index}]").into())
    }

    /// Adds a step that is not a field, on the way out.
    #[cold]
    pub(super) fn name(&mut self, step: Cow<'static, str>) -> Stop {
        if let Some(failure) = &mut self.failure {
            failure.path.push(step);
        }
        Stop
    }

    /// The error to report after a failed run.
    #[cold]
    pub(super) fn into_error(self, program: &Program) -> DecodeError {
        let failure = self.failure.map_or_else(
            || Failure {
                position: 0,
                kind: DecodeErrorKind::UnexpectedEnd,
                path: Vec::new(),
            },
            |failure| *failure,
        );
        let mut path = String::from(if failure.path.is_empty() {
            ""
        } else {
            program.root_name
        });
        let steps = failure.path.len();
        for (index, step) in failure.path.iter().rev().enumerate() {
            // A recursive type can nest over a hundred times; its ends say enough.
            if steps > 2 * PATH_ENDS && (PATH_ENDS..steps - PATH_ENDS).contains(&index) {
                if index == PATH_ENDS {
                    path.push_str(".…");
                }
                continue;
            }
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        DecodeError {
            position: failure.position,
            path,
            kind: failure.kind,
        }
    }

    /// Records why no varint of at most `max` bytes that fits the field starts at the position.
    #[cold]
    pub(super) fn bad_varint(&mut self, max: usize) -> Stop {
        // SAFETY: the reader's own range.
        let left = unsafe { core::slice::from_raw_parts(self.cur, self.left()) };
        let kind = match left.iter().take(max).position(|byte| *byte < 0x80) {
            Some(_) => DecodeErrorKind::NumberOutOfRange,
            None if left.len() < max => DecodeErrorKind::UnexpectedEnd,
            None => DecodeErrorKind::VarintTooLong,
        };
        self.record(kind)
    }

    /// One byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Stop> {
        if self.cur >= self.end {
            return Err(self.record(DecodeErrorKind::UnexpectedEnd));
        }
        // SAFETY: at least one byte is left.
        unsafe {
            let byte = *self.cur;
            self.cur = self.cur.add(1);
            Ok(byte)
        }
    }

    /// `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        if self.left() < len {
            return Err(self.record(DecodeErrorKind::UnexpectedEnd));
        }
        // SAFETY: that many bytes are left, and they live as long as the reader's input.
        unsafe {
            let bytes = core::slice::from_raw_parts(self.cur, len);
            self.cur = self.cur.add(len);
            Ok(bytes)
        }
    }

    /// A varint that fits `max` bytes and a number of at most `limit`.
    #[inline]
    pub(super) fn varint(&mut self, max: usize, limit: u64) -> Result<u64, Stop> {
        // SAFETY: the reader's own range.
        let read = unsafe { varint::read(self.cur, self.end) };
        if read.next.is_null() || read.next as usize - self.cur as usize > max || read.value > limit
        {
            return Err(self.bad_varint(max));
        }
        self.cur = read.next;
        Ok(read.value)
    }

    #[inline]
    pub(super) fn varint_128(&mut self) -> Result<u128, Stop> {
        // SAFETY: the reader's own range.
        match unsafe { varint::read_128(self.cur, self.end) } {
            Some((value, next)) => {
                self.cur = next;
                Ok(value)
            }
            None => Err(self.bad_varint(varint::MAX_128)),
        }
    }

    /// The length of a string or of bytes, which must be left.
    #[inline]
    pub(super) fn len(&mut self) -> Result<usize, Stop> {
        let start = self.cur;
        let len = self.varint(varint::MAX_64, u64::MAX)?;
        if len > self.left() as u64 {
            self.cur = start;
            return Err(self.record(DecodeErrorKind::LengthTooLarge));
        }
        Ok(len as usize)
    }

    /// The number of elements that take at least `min_wire` bytes on the wire and `stride` in
    /// memory, each; claims the memory.
    #[inline]
    pub(super) fn count(&mut self, min_wire: u64, stride: usize) -> Result<usize, Stop> {
        let start = self.cur;
        let count = self.varint(varint::MAX_64, u64::MAX)?;
        if min_wire == 0 {
            if count > u64::from(self.empties) {
                self.cur = start;
                return Err(self.record(DecodeErrorKind::TooManyEmptyElements));
            }
            self.empties -= count as u32;
        } else if count > self.left() as u64 / min_wire {
            self.cur = start;
            return Err(self.record(DecodeErrorKind::LengthTooLarge));
        }
        self.claim(count.saturating_mul(stride as u64))?;
        Ok(count as usize)
    }

    /// Claims `bytes` of memory.
    #[inline]
    pub(super) fn claim(&mut self, bytes: u64) -> Result<(), Stop> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.record(DecodeErrorKind::OverBudget)),
        }
    }

    /// Enters a box or collection; undone with [`Reader::ascend`] on success only.
    #[inline]
    pub(super) fn descend(&mut self) -> Result<(), Stop> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(self.record(DecodeErrorKind::TooDeep)),
        }
    }

    #[inline]
    pub(super) fn ascend(&mut self) {
        self.depth += 1;
    }

    /// Enters a collection of `count` elements; an empty one has no inside.
    #[inline]
    pub(super) fn descend_into(&mut self, count: usize) -> Result<(), Stop> {
        if count == 0 { Ok(()) } else { self.descend() }
    }

    #[inline]
    pub(super) fn ascend_from(&mut self, count: usize) {
        self.depth += u32::from(count != 0);
    }

    /// Text, length first.
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, Stop> {
        let start = self.cur;
        let len = self.len()?;
        let bytes = self.take(len)?;
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => {
                self.cur = start;
                Err(self.record(DecodeErrorKind::InvalidUtf8))
            }
        }
    }

    /// A char: its UTF-8, length first \[enc.char\].
    pub(super) fn char(&mut self) -> Result<char, Stop> {
        let start = self.cur;
        let text = self.text()?;
        let mut chars = text.chars();
        if let (Some(char), None) = (chars.next(), chars.next()) {
            return Ok(char);
        }
        self.cur = start;
        Err(self.record(DecodeErrorKind::InvalidChar))
    }

    /// Bytes, length first.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let len = self.len()?;
        self.take(len)
    }

    /// Bytes that share the frame where there is one, and are copied otherwise.
    #[inline]
    pub(super) fn shared(&mut self) -> Result<Bytes, Stop> {
        let len = self.len()?;
        let at = self.cur as usize - self.start as usize;
        let bytes = self.take(len)?;
        Ok(match self.frame {
            _ if len == 0 => Bytes::new(),
            Some(frame) => frame.slice(at..at + len),
            None => Bytes::copy_from_slice(bytes),
        })
    }

    /// The tag of an option.
    #[inline]
    pub(super) fn option(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.back_one(DecodeErrorKind::InvalidOption)),
        }
    }

    /// Records what is wrong with the option tag at the position.
    #[cold]
    pub(super) fn bad_option(&mut self) -> Stop {
        match self.left() {
            0 => self.record(DecodeErrorKind::UnexpectedEnd),
            _ => self.record(DecodeErrorKind::InvalidOption),
        }
    }

    #[inline]
    pub(super) fn bool(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.back_one(DecodeErrorKind::InvalidBool)),
        }
    }

    /// Records a failure at the byte just read.
    #[cold]
    fn back_one(&mut self, kind: DecodeErrorKind) -> Stop {
        // SAFETY: a byte was read, so the position is past the start.
        self.cur = unsafe { self.cur.sub(1) };
        self.record(kind)
    }

    /// The index of one of `variants` variants \[enc.enum\].
    #[inline]
    pub(super) fn variant(&mut self, variants: usize) -> Result<usize, Stop> {
        let start = self.cur;
        let index = self.varint(5, u64::from(u32::MAX))?;
        if index >= variants as u64 {
            self.cur = start;
            return Err(self.record(DecodeErrorKind::InvalidVariant));
        }
        Ok(index as usize)
    }

    pub(super) fn duration(&mut self) -> Result<core::time::Duration, Stop> {
        let seconds = self.varint(varint::MAX_64, u64::MAX)?;
        let start = self.cur;
        let nanoseconds = self.varint(5, u64::from(u32::MAX))? as u32;
        if nanoseconds >= 1_000_000_000 {
            self.cur = start;
            return Err(self.record(DecodeErrorKind::InvalidDuration));
        }
        Ok(core::time::Duration::new(seconds, nanoseconds))
    }
}
