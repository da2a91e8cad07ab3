//! The hash that names a method on the wire.

/// FNV-1a 64 over `Service.method`, its halves folded with exclusive or ([id.method]).
///
/// The session computes the same number for itself; this one exists so that a collision is reported
/// at the method's name.
pub(crate) fn method_id(service: &str, method: &str) -> u32 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = service
        .bytes()
        .chain([b'.'])
        .chain(method.bytes())
        .fold(OFFSET_BASIS, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        });
    (hash >> 32) as u32 ^ hash as u32
}

#[cfg(test)]
mod tests {
    use super::method_id;

    #[test]
    fn method_ids_equal_the_vectors_of_the_protocol() {
        assert_eq!(method_id("Calculator", "add"), 0x193f_a158);
    }
}
