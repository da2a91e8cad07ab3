//! Short strings and bytes, without the calls that long ones deserve.
//!
//! Most strings in a call are a few bytes; a call into `memcpy` and the general UTF-8 check cost
//! more than moving them.

/// Up to here copying by hand is faster than `memcpy`.
const SHORT: usize = 16;

/// Copies `len` bytes.
///
/// # Safety
///
/// `len` bytes at `from` are readable and at `to` writable, and the two do not overlap.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access is within `len` bytes of the start: the two halves overlap in the middle.
    unsafe {
        if len > SHORT {
            core::ptr::copy_nonoverlapping(from, to, len);
        } else if len >= 8 {
            let head = from.cast::<u64>().read_unaligned();
            let tail = from.add(len - 8).cast::<u64>().read_unaligned();
            to.cast::<u64>().write_unaligned(head);
            to.add(len - 8).cast::<u64>().write_unaligned(tail);
        } else if len >= 4 {
            let head = from.cast::<u32>().read_unaligned();
            let tail = from.add(len - 4).cast::<u32>().read_unaligned();
            to.cast::<u32>().write_unaligned(head);
            to.add(len - 4).cast::<u32>().write_unaligned(tail);
        } else if len > 0 {
            // One to three bytes: the first, the middle and the last are all of them.
            let (head, middle, tail) = (*from, *from.add(len / 2), *from.add(len - 1));
            to.write(head);
            to.add(len / 2).write(middle);
            to.add(len - 1).write(tail);
        }
    }
}

/// Whether the bytes are short and ASCII. `false` says nothing.
///
/// # Safety
///
/// `len` bytes at `from` are readable.
#[inline(always)]
unsafe fn is_short_ascii(from: *const u8, len: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // SAFETY: every access is within `len` bytes of the start.
    unsafe {
        if len > SHORT {
            false
        } else if len >= 8 {
            let head = from.cast::<u64>().read_unaligned();
            let tail = from.add(len - 8).cast::<u64>().read_unaligned();
            (head | tail) & HIGH == 0
        } else if len >= 4 {
            let head = from.cast::<u32>().read_unaligned();
            let tail = from.add(len - 4).cast::<u32>().read_unaligned();
            (head | tail) & HIGH as u32 == 0
        } else {
            len == 0 || (*from | *from.add(len / 2) | *from.add(len - 1)) & 0x80 == 0
        }
    }
}

/// The bytes as text of their own, if they are UTF-8.
///
/// # Safety
///
/// `len` bytes at `from` are readable.
#[inline]
pub(super) unsafe fn text(from: *const u8, len: usize) -> Option<String> {
    // SAFETY: the caller's contract; the copy goes into fresh memory of that size.
    unsafe {
        if !is_short_ascii(from, len) {
            let bytes = core::slice::from_raw_parts(from, len);
            return core::str::from_utf8(bytes).ok().map(str::to_owned);
        }
        let mut bytes = Vec::with_capacity(len);
        copy(from, bytes.as_mut_ptr(), len);
        bytes.set_len(len);
        Some(String::from_utf8_unchecked(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_length_is_copied_whole() {
        let source: Vec<u8> = (1..60).collect();
        for len in 0..40 {
            let mut target = [0xff; 44];
            // SAFETY: both buffers are longer than `len`.
            unsafe { copy(source[3..].as_ptr(), target[2..].as_mut_ptr(), len) };
            assert_eq!(target[2..2 + len], source[3..3 + len]);
            assert_eq!(target[..2], [0xff; 2]);
            assert!(target[2 + len..].iter().all(|byte| *byte == 0xff), "{len}");
        }
    }

    #[test]
    fn text_is_checked_at_every_length_and_place() {
        for len in 0..40 {
            let mut bytes = vec![b'x'; len];
            // SAFETY: the buffer has `len` bytes.
            let whole = unsafe { text(bytes.as_ptr(), len) };
            assert_eq!(whole.as_deref(), core::str::from_utf8(&bytes).ok());
            for at in 0..len {
                bytes[at] = 0xff;
                // SAFETY: the buffer has `len` bytes.
                assert_eq!(unsafe { text(bytes.as_ptr(), len) }, None, "{at} of {len}");
                bytes[at] = b'x';
            }
        }
        let umlaut = "äöü";
        // SAFETY: the text's own bytes.
        assert_eq!(unsafe { text(umlaut.as_ptr(), 6) }.as_deref(), Some(umlaut));
    }
}
