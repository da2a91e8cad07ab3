//! Where encoded bytes go.
//!
//! A sink is a window of writable memory with a position. Ops that need at most a few bytes check
//! the window once and write without further checks; when it is too short they take a slow path that
//! asks for exactly what they need.

use core::any::Any;

use bytes::Bytes;

use super::{Stop, short, size, varint};
use crate::error::EncodeError;
use crate::gather::Splice;
use crate::program::Program;
use crate::{MAX_DEPTH, MAX_EMPTY_ELEMENTS};

/// Invariant: `cur <= end`, and `cur..end` is writable memory that belongs to the target.
pub(super) struct Sink<'a> {
    pub(super) cur: *mut u8,
    pub(super) end: *mut u8,
    target: Target<'a>,
    program: &'a Program,
    /// The whole value, to compute its size when the vector has to grow.
    root: *const u8,
    pub(super) ports: &'a mut dyn Any,
    pub(super) depth: u32,
    empties: u32,
    /// Which `Bytes` stay where they are.
    splice: Splice<'a>,
    pub(super) error: Option<EncodeError>,
}

enum Target<'a> {
    Vec {
        out: &'a mut Vec<u8>,
        /// Its length when encoding began.
        start: usize,
        /// Whether the size of the whole value has been reserved.
        reserved: bool,
        splices: Option<&'a mut Vec<(usize, Bytes)>>,
    },
    Slice {
        start: *mut u8,
        len: usize,
    },
}

impl<'a> Sink<'a> {
    /// A sink that appends to `out`.
    #[inline]
    pub(super) fn to_vec(
        program: &'a Program,
        root: *const u8,
        out: &'a mut Vec<u8>,
        splices: Option<&'a mut Vec<(usize, Bytes)>>,
        splice: Splice<'a>,
        ports: &'a mut dyn Any,
    ) -> Self {
        let start = out.len();
        let spare = out.spare_capacity_mut().as_mut_ptr_range();
        Self {
            cur: spare.start.cast(),
            end: spare.end.cast(),
            target: Target::Vec {
                out,
                start,
                reserved: false,
                splices,
            },
            program,
            root,
            ports,
            depth: 0,
            empties: 0,
            splice,
            error: None,
        }
    }

    /// A sink that fills `out` from its start.
    #[inline]
    pub(super) fn to_slice(
        program: &'a Program,
        root: *const u8,
        out: &'a mut [u8],
        ports: &'a mut dyn Any,
    ) -> Self {
        let len = out.len();
        let range = out.as_mut_ptr_range();
        Self {
            cur: range.start,
            end: range.end,
            target: Target::Slice {
                start: range.start,
                len,
            },
            program,
            root,
            ports,
            depth: 0,
            empties: 0,
            splice: Splice::NOTHING,
            error: None,
        }
    }

    /// Ends a successful run: makes the bytes part of the vector. Returns how many were written.
    #[inline]
    pub(super) fn finish(mut self) -> usize {
        let end = self.written();
        match &mut self.target {
            Target::Vec { out, start, .. } => {
                // SAFETY: everything up to `cur` has been written, and `cur` is within the
                // vector's memory.
                unsafe { out.set_len(end) };
                end - *start
            }
            Target::Slice { .. } => end,
        }
    }

    /// Ends a failed run: the vector is as it was.
    #[cold]
    pub(super) fn fail(self) -> EncodeError {
        if let Target::Vec {
            out,
            start,
            splices,
            ..
        } = self.target
        {
            out.truncate(start);
            if let Some(splices) = splices {
                while splices.last().is_some_and(|(offset, _)| *offset > start) {
                    splices.pop();
                }
            }
        }
        self.error.unwrap_or(EncodeError::TooDeep)
    }

    /// Bytes in the target up to the position.
    fn written(&self) -> usize {
        let start = match &self.target {
            Target::Vec { out, .. } => out.as_ptr(),
            Target::Slice { start, .. } => start.cast_const(),
        };
        self.cur as usize - start as usize
    }

    #[inline]
    pub(super) fn room(&self) -> usize {
        self.end as usize - self.cur as usize
    }

    /// Makes room for `needed` bytes.
    #[cold]
    fn grow(&mut self, needed: usize) -> Result<(), Stop> {
        let written = self.written();
        let (program, root, splice) = (self.program, self.root, self.splice);
        match &mut self.target {
            Target::Slice { len, .. } => {
                self.error = Some(EncodeError::BufferTooSmall { len: *len });
                Err(Stop)
            }
            Target::Vec {
                out,
                start,
                reserved,
                ..
            } => {
                // SAFETY: as in `finish`.
                unsafe { out.set_len(written) };
                if *reserved {
                    out.reserve(needed);
                } else {
                    // A vector that was large enough, as a reused one is, never pays for the
                    // size; one that is not gets exactly the memory it needs, once.
                    *reserved = true;
                    // SAFETY: `root` is the value of this program's type being encoded.
                    let measure = unsafe { size::measure(program, root, splice) };
                    let total = *start + measure.len - measure.spliced;
                    let left = total.saturating_sub(written);
                    out.reserve_exact(left.max(needed));
                }
                let spare = out.spare_capacity_mut().as_mut_ptr_range();
                self.cur = spare.start.cast();
                self.end = spare.end.cast();
                Ok(())
            }
        }
    }

    /// Appends `bytes` as they are.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.room() < bytes.len() {
            self.grow(bytes.len())?;
        }
        // SAFETY: there is room for `bytes`, and a value being encoded never overlaps the output.
        unsafe {
            short::copy(bytes.as_ptr(), self.cur, bytes.len());
            self.cur = self.cur.add(bytes.len());
        }
        Ok(())
    }

    /// Appends a varint, also where there is less room than the longest would need.
    #[inline]
    pub(super) fn put_varint(&mut self, value: u64) -> Result<(), Stop> {
        if self.room() >= varint::MAX_64 {
            // SAFETY: the room was checked.
            self.cur = unsafe { varint::write(self.cur, value) };
            return Ok(());
        }
        self.put_varint_tight(value)
    }

    #[cold]
    fn put_varint_tight(&mut self, value: u64) -> Result<(), Stop> {
        let mut buffer = [0; varint::MAX_64];
        // SAFETY: the buffer holds the longest varint.
        unsafe { varint::write(buffer.as_mut_ptr(), value) };
        self.put(&buffer[..varint::varint_len(value)])
    }

    pub(super) fn put_varint_128(&mut self, value: u128) -> Result<(), Stop> {
        let mut buffer = [0; varint::MAX_128];
        // SAFETY: the buffer holds the longest varint.
        unsafe { varint::write_128(buffer.as_mut_ptr(), value) };
        self.put(&buffer[..varint::varint_len_128(value)])
    }

    /// Appends a length and the bytes.
    #[inline]
    pub(super) fn put_counted(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.put_varint(bytes.len() as u64)?;
        self.put(bytes)
    }

    /// Appends a length and the bytes, the latter as a splice when they are many.
    #[inline]
    pub(super) fn put_shared(&mut self, bytes: &Bytes) -> Result<(), Stop> {
        if !self.splice.takes(bytes) {
            return self.put_counted(bytes);
        }
        self.put_varint(bytes.len() as u64)?;
        let offset = self.written();
        match &mut self.target {
            Target::Vec {
                splices: Some(splices),
                ..
            } => {
                splices.push((offset, bytes.clone()));
                Ok(())
            }
            _ => self.put(bytes),
        }
    }

    /// Enters a box or collection.
    #[inline]
    pub(super) fn descend(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.error = Some(EncodeError::TooDeep);
            return Err(Stop);
        }
        Ok(())
    }

    /// Enters a collection of `count` elements; an empty one has no inside.
    #[inline]
    pub(super) fn descend_into(&mut self, count: usize) -> Result<(), Stop> {
        if count == 0 { Ok(()) } else { self.descend() }
    }

    #[inline]
    pub(super) fn ascend_from(&mut self, count: usize) {
        self.depth -= u32::from(count != 0);
    }

    /// Counts elements that take no bytes.
    pub(super) fn count_empties(&mut self, count: usize) -> Result<(), Stop> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.empties = self.empties.saturating_add(count);
        if self.empties > MAX_EMPTY_ELEMENTS {
            self.error = Some(EncodeError::TooManyEmptyElements);
            return Err(Stop);
        }
        Ok(())
    }
}
