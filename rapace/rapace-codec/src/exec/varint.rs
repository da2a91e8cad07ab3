//! Varints over raw memory: unsigned LEB128.
//!
//! Short numbers branch on their length: the processor guesses the branch and goes on
//! with the next field before it knows this one. Longer ones spread or gather their 7-bit groups with
//! shifts and masks, eight bytes at a time.

/// The longest varint of a number of up to 64 bits.
pub(super) const MAX_64: usize = 10;
/// The longest varint of a 128-bit number.
pub(super) const MAX_128: usize = 19;

pub(super) const STOPS: u64 = 0x8080_8080_8080_8080;

/// The bytes that the shortest varint of `value` takes.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    // ⌈bits / 7⌉ without a division; exact for 1..=64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// The bytes that the shortest varint of `value` takes.
#[inline]
pub(super) const fn varint_len_128(value: u128) -> usize {
    let bits = 128 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
pub(super) const fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(super) const fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
pub(super) const fn zigzag_128(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)) as u128
}

#[inline]
pub(super) const fn unzigzag_128(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}

/// Spreads the low 56 bits into eight groups of seven.
#[inline]
const fn spread(value: u64) -> u64 {
    let x = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x0fff_c000_0fff_c000) << 2);
    (x & 0x007f_007f_007f_007f) | ((x & 0x3f80_3f80_3f80_3f80) << 1)
}

/// The inverse of [`spread`]; ignores the top bit of each byte.
#[inline]
const fn gather(spread: u64) -> u64 {
    let x = (spread & 0x007f_007f_007f_007f) | ((spread & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

/// Writes the shortest varint of `value` and returns where it ends.
///
/// # Safety
///
/// [`MAX_64`] bytes at `to` are writable.
#[inline]
pub(super) unsafe fn write(to: *mut u8, value: u64) -> *mut u8 {
    // SAFETY: the caller gives room for ten bytes, of which at most four are written.
    unsafe {
        if value < 1 << 7 {
            to.write(value as u8);
            return to.add(1);
        }
        if value < 1 << 14 {
            let pair = (value & 0x7f) | ((value << 1) & 0x7f00) | 0x80;
            to.cast::<[u8; 2]>().write((pair as u16).to_le_bytes());
            return to.add(2);
        }
        if value < 1 << 21 {
            let three = (value & 0x7f) | ((value << 1) & 0x7f00) | ((value << 2) & 0x007f_0000);
            to.cast::<[u8; 4]>()
                .write((three as u32 | 0x8080).to_le_bytes());
            return to.add(3);
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { write_long(to, value) }
}

/// [`write`] for numbers that are seldom small, without branches on their length.
///
/// # Safety
///
/// As for [`write`].
#[inline]
pub(super) unsafe fn write_long(to: *mut u8, value: u64) -> *mut u8 {
    let len = varint_len(value);
    if len <= 8 {
        // All bytes but the last continue.
        let word = spread(value) | (STOPS & ((1u64 << (8 * (len - 1))) - 1));
        // SAFETY: the caller gives room for ten bytes, eight of which are written.
        unsafe {
            to.cast::<[u8; 8]>().write_unaligned(word.to_le_bytes());
            return to.add(len);
        }
    }
    let rest = value >> 56;
    // SAFETY: the caller gives room for ten bytes; byte nine is written only when it continues.
    unsafe {
        to.cast::<[u8; 8]>()
            .write_unaligned((spread(value) | STOPS).to_le_bytes());
        if rest < 0x80 {
            to.add(8).write(rest as u8);
            to.add(9)
        } else {
            to.add(8).write(rest as u8 | 0x80);
            to.add(9).write(1);
            to.add(10)
        }
    }
}

/// Writes the shortest varint of `value` and returns where it ends.
///
/// # Safety
///
/// [`MAX_128`] bytes at `to` are writable.
pub(super) unsafe fn write_128(mut to: *mut u8, mut value: u128) -> *mut u8 {
    while value >= 0x80 {
        // SAFETY: a 128-bit number takes at most 19 bytes, which the caller gives.
        unsafe {
            to.write(value as u8 | 0x80);
            to = to.add(1);
        }
        value >>= 7;
    }
    // SAFETY: as above.
    unsafe {
        to.write(value as u8);
        to.add(1)
    }
}

/// A number and where the next item starts; `next` is null when there is no number.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) value: u64,
    pub(super) next: *const u8,
}

/// Reads a varint of at most 64 bits and 10 bytes.
///
/// # Safety
///
/// `cur..end` is readable.
#[inline(always)]
pub(super) unsafe fn read(cur: *const u8, end: *const u8) -> Read {
    // SAFETY: `cur` is below `end`, so readable.
    if cur < end && unsafe { *cur } < 0x80 {
        // SAFETY: as above; one past it is at most `end`.
        unsafe {
            return Read {
                value: u64::from(*cur),
                next: cur.add(1),
            };
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { read_long(cur, end) }
}

/// # Safety
///
/// As for [`read`].
#[inline]
unsafe fn read_long(cur: *const u8, end: *const u8) -> Read {
    if end as usize - cur as usize >= 8 {
        // SAFETY: eight bytes are left.
        let word = u64::from_le_bytes(unsafe { cur.cast::<[u8; 8]>().read_unaligned() });
        // SAFETY: as above.
        let read = unsafe { read_word(cur, word) };
        if !read.next.is_null() {
            return read;
        }
    }
    // Small payloads end within a word of their last numbers; most of those are short.
    let left = end as usize - cur as usize;
    if left >= 2 {
        // SAFETY: at least two bytes are left, and a third where it is read.
        unsafe {
            let low = u64::from(*cur & 0x7f) | (u64::from(*cur.add(1) & 0x7f) << 7);
            if *cur.add(1) < 0x80 {
                return Read {
                    value: low,
                    next: cur.add(2),
                };
            }
            if left >= 3 && *cur.add(2) < 0x80 {
                return Read {
                    value: low | (u64::from(*cur.add(2)) << 14),
                    next: cur.add(3),
                };
            }
        }
    }
    // SAFETY: passed on from the caller.
    unsafe { read_bytes(cur, end) }
}

/// Reads a varint of at most eight bytes from the word that stands at `cur`.
///
/// # Safety
///
/// The eight bytes at `cur` are `word`.
#[inline(always)]
pub(super) unsafe fn read_word(cur: *const u8, word: u64) -> Read {
    // SAFETY: every position is within the eight bytes.
    unsafe {
        if word & 0x80 == 0 {
            return Read {
                value: word & 0x7f,
                next: cur.add(1),
            };
        }
        if word & 0x8000 == 0 {
            return Read {
                value: (word & 0x7f) | ((word >> 1) & 0x3f80),
                next: cur.add(2),
            };
        }
        if word & 0x80_0000 == 0 {
            return Read {
                value: (word & 0x7f) | ((word >> 1) & 0x3f80) | ((word >> 2) & 0x1f_c000),
                next: cur.add(3),
            };
        }
        let low = (word & 0x7f) | ((word >> 1) & 0x3f80) | ((word >> 2) & 0x1f_c000);
        if word & 0x8000_0000 == 0 {
            return Read {
                value: low | ((word >> 3) & 0x0fe0_0000),
                next: cur.add(4),
            };
        }
        if word & 0x80_0000_0000 == 0 {
            return Read {
                value: low | ((word >> 3) & 0x0fe0_0000) | ((word >> 4) & 0x0007_f000_0000),
                next: cur.add(5),
            };
        }
        let stops = !word & STOPS;
        if stops == 0 {
            return NONE;
        }
        let bits = stops.trailing_zeros() + 1;
        Read {
            value: gather(word & (u64::MAX >> (64 - bits))),
            next: cur.add(bits as usize / 8),
        }
    }
}

const NONE: Read = Read {
    value: 0,
    next: core::ptr::null(),
};

/// # Safety
///
/// As for [`read`].
#[cold]
unsafe fn read_bytes(cur: *const u8, end: *const u8) -> Read {
    // SAFETY: the caller's range.
    let bytes = unsafe { core::slice::from_raw_parts(cur, end as usize - cur as usize) };
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(MAX_64).enumerate() {
        let group = u64::from(byte & 0x7f);
        if index == MAX_64 - 1 && group > 1 {
            return NONE;
        }
        value |= group << (7 * index);
        if *byte < 0x80 {
            return Read {
                value,
                // SAFETY: within the slice.
                next: unsafe { cur.add(index + 1) },
            };
        }
    }
    NONE
}

/// Reads a varint of at most 128 bits and 19 bytes.
///
/// # Safety
///
/// `cur..end` is readable.
pub(super) unsafe fn read_128(cur: *const u8, end: *const u8) -> Option<(u128, *const u8)> {
    // SAFETY: the caller's range.
    let bytes = unsafe { core::slice::from_raw_parts(cur, end as usize - cur as usize) };
    let mut value = 0u128;
    for (index, byte) in bytes.iter().take(MAX_128).enumerate() {
        let group = u128::from(byte & 0x7f);
        if index == MAX_128 - 1 && group > 3 {
            return None;
        }
        value |= group << (7 * index);
        if *byte < 0x80 {
            // SAFETY: within the slice.
            return Some((value, unsafe { cur.add(index + 1) }));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = u64> {
        (0..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + 1, power | 0x55, u64::MAX >> bit]
        })
    }

    #[test]
    fn every_width_survives_a_round_trip() {
        for value in samples() {
            let mut buffer = [0u8; 24];
            // SAFETY: the buffer holds more than ten bytes.
            let len = unsafe { write(buffer.as_mut_ptr(), value).offset_from(buffer.as_ptr()) };
            assert_eq!(len as usize, varint_len(value), "{value}");
            for room in [len as usize, 24] {
                let range = buffer[..room].as_ptr_range();
                // SAFETY: the range is that of the buffer.
                let read = unsafe { read(range.start, range.end) };
                assert_eq!(read.value, value);
                assert_eq!(read.next as usize - range.start as usize, len as usize);
            }
        }
    }

    #[test]
    fn lengths_agree_with_the_definition() {
        for value in samples() {
            assert_eq!(
                varint_len(value),
                varint_len_128(u128::from(value)),
                "{value}"
            );
        }
    }

    #[test]
    fn zigzag_is_its_own_inverse() {
        for value in samples().flat_map(|v| [v as i64, (v as i64).wrapping_neg()]) {
            assert_eq!(unzigzag_64(zigzag_64(value)), value);
            assert_eq!(
                unzigzag_128(zigzag_128(i128::from(value))),
                i128::from(value)
            );
        }
        assert_eq!(unzigzag_128(zigzag_128(i128::MIN)), i128::MIN);
        assert_eq!((zigzag_64(-1), zigzag_64(1), zigzag_64(-2)), (1, 2, 3));
    }
}
