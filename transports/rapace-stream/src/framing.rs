//! The bytes around a frame on a stream (\[stream.frame\]):
//! `varint(64 + payload_len)`, descriptor, payload.

use rapace_core::frame::{DESCRIPTOR_LEN, Descriptor, INLINE_LEN};

/// The longest length prefix, in bytes.
const PREFIX_LEN_MAX: usize = 10;
/// Prefix and descriptor together take at most this many bytes.
pub(crate) const HEAD_LEN_MAX: usize = PREFIX_LEN_MAX + DESCRIPTOR_LEN;

/// What the bytes received so far say about the next frame.
#[derive(Debug)]
pub(crate) enum Head {
    /// The head is complete: `head_len` bytes, then `desc.payload_len` bytes of payload.
    Whole { desc: Descriptor, head_len: usize },
    /// More bytes are needed to know.
    Partial,
    /// No frame begins like this.
    Malformed(String),
}

/// Looks at the head of a frame. Says malformed as soon as the bytes that make it so are there,
/// and before anything is allocated for the payload.
#[inline]
pub(crate) fn parse_head(bytes: &[u8], payload_bytes_max: u32) -> Head {
    let (length, prefix_len) = match parse_length(bytes) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Head::Partial,
        Err(what) => return Head::Malformed(what.to_owned()),
    };
    let Some(payload_len) = length.checked_sub(DESCRIPTOR_LEN as u64) else {
        return Head::Malformed(format!(
            "frame length {length} is below the {DESCRIPTOR_LEN} of a descriptor"
        ));
    };
    if payload_len > u64::from(payload_bytes_max) {
        return Head::Malformed(format!(
            "payload of {payload_len} bytes, at most {payload_bytes_max} are accepted"
        ));
    }
    let head_len = prefix_len + DESCRIPTOR_LEN;
    let Some(desc) = bytes
        .get(prefix_len..head_len)
        .and_then(|bytes| bytes.try_into().ok())
        .map(Descriptor::from_bytes)
    else {
        return Head::Partial;
    };
    if u64::from(desc.payload_len) != payload_len {
        return Head::Malformed(format!(
            "descriptor says {} payload bytes, the frame length says {payload_len}",
            desc.payload_len
        ));
    }
    Head::Whole { desc, head_len }
}

/// Reads an unsigned LEB128 varint: its value and how many bytes it took, or `None` when it is
/// not complete.
#[inline]
fn parse_length(bytes: &[u8]) -> Result<Option<(u64, usize)>, &'static str> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(PREFIX_LEN_MAX).enumerate() {
        if index == PREFIX_LEN_MAX - 1 && *byte > 1 {
            return Err("length prefix is longer than 10 bytes or than 64 bits");
        }
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

/// Appends length prefix and descriptor, and the payload if it is inline: then it stands in the
/// descriptor, too. `desc.payload_len` is the length of the payload.
#[inline]
pub(crate) fn push_head(out: &mut Vec<u8>, desc: &Descriptor, is_inline: bool) {
    let payload_len = desc.payload_len as usize;
    let mut head = [0; HEAD_LEN_MAX + INLINE_LEN];
    let mut length = u64::from(desc.payload_len) + DESCRIPTOR_LEN as u64;
    let mut at = 0;
    while length >= 0x80 {
        head[at] = length as u8 | 0x80;
        length >>= 7;
        at += 1;
    }
    head[at] = length as u8;
    at += 1;
    head[at..at + DESCRIPTOR_LEN].copy_from_slice(&desc.to_bytes());
    at += DESCRIPTOR_LEN;
    if is_inline {
        head[at..at + INLINE_LEN].copy_from_slice(&desc.inline_payload);
        at += payload_len.min(INLINE_LEN);
    }
    // Appending a fixed length and cutting it is a few moves instead of a call.
    let end = out.len() + at;
    out.extend_from_slice(&head);
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use rapace_core::frame::{Flags, Frame, Payload};
    use rapace_core::{ChannelId, MethodId};

    use super::*;

    fn desc(payload_len: u32) -> Descriptor {
        let mut desc = Descriptor::new(ChannelId(3), MethodId(9), Flags::DATA);
        desc.payload_len = payload_len;
        desc
    }

    fn malformed(bytes: &[u8], max: u32) -> String {
        match parse_head(bytes, max) {
            Head::Malformed(what) => what,
            other => panic!("expected malformed, got {other:?}"),
        }
    }

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        for payload_len in [0, 1, 63, 64, 16_319, 16_320, 1 << 21, u32::MAX] {
            let mut bytes = Vec::new();
            push_head(&mut bytes, &desc(payload_len), false);
            for cut in 0..bytes.len() {
                assert!(
                    matches!(parse_head(&bytes[..cut], u32::MAX), Head::Partial),
                    "{cut} of {} bytes",
                    bytes.len()
                );
            }
            let Head::Whole {
                desc: got,
                head_len,
            } = parse_head(&bytes, u32::MAX)
            else {
                panic!("payload_len {payload_len}");
            };
            assert_eq!(got, desc(payload_len));
            assert_eq!(head_len, bytes.len());
        }
    }

    #[test]
    fn an_inline_payload_follows_its_descriptor() {
        for len in 0..=INLINE_LEN {
            let payload = Payload::copy_from_slice(&[0xEE; INLINE_LEN][..len]);
            let frame = Frame::new(desc(0), payload);
            let mut bytes = vec![1, 2, 3];
            push_head(&mut bytes, &frame.desc, true);
            assert_eq!(bytes.len(), 3 + 1 + DESCRIPTOR_LEN + len);
            assert_eq!(bytes[3 + 1 + DESCRIPTOR_LEN..], [0xEE; INLINE_LEN][..len]);
        }
    }

    #[test]
    fn a_longer_prefix_than_needed_is_accepted() {
        let mut bytes = vec![0xC0, 0x80, 0x80, 0x00];
        bytes.extend_from_slice(&desc(0).to_bytes());
        assert!(matches!(
            parse_head(&bytes, 10),
            Head::Whole { head_len: 68, .. }
        ));
    }

    #[test]
    fn bad_lengths_are_malformed_from_the_prefix_alone() {
        assert!(malformed(&[0x3F], 1_000).contains("63"));
        assert!(malformed(&[0], 1_000).contains("below"));
        // 64 + 1,001 with a limit of 1,000.
        assert!(malformed(&[0xA9, 0x08], 1_000).contains("1001"));
        assert!(matches!(parse_head(&[0xA8, 0x08], 1_000), Head::Partial));
        assert!(malformed(&[0xFF; 10], u32::MAX).contains("10 bytes"));
        let mut overflow = [0x80; 10];
        overflow[9] = 2;
        assert!(malformed(&overflow, u32::MAX).contains("64 bits"));
        overflow[9] = 1;
        assert!(malformed(&overflow, u32::MAX).contains("at most"));
        assert!(matches!(parse_head(&[0x80; 9], u32::MAX), Head::Partial));
    }

    #[test]
    fn two_lengths_that_differ_are_malformed() {
        let mut bytes = vec![66];
        bytes.extend_from_slice(&desc(3).to_bytes());
        assert!(malformed(&bytes, 1_000).contains("says 3 payload bytes"));
    }
}
