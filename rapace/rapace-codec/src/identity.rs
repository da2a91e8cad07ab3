//! Method ids and signature hashes: how two peers know that they speak of the same thing.

use facet_core::Shape;

use crate::error::UnsupportedType;
use crate::schema::{MethodSchema, Schema};

/// The id of a method \[id.method\]: FNV-1a 64 over `Service.method`, folded to 32 bits.
///
/// ```
/// assert_eq!(rapace_codec::method_id("Calculator", "add"), 0x193f_a158);
/// ```
pub const fn method_id(service: &str, method: &str) -> u32 {
    let hash = fnv_1a(OFFSET_BASIS, service.as_bytes());
    let hash = fnv_1a(hash, b".");
    let hash = fnv_1a(hash, method.as_bytes());
    (hash >> 32) as u32 ^ hash as u32
}

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

const fn fnv_1a(mut hash: u64, bytes: &[u8]) -> u64 {
    // Iterators are not available in constant functions.
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(PRIME);
        index += 1;
    }
    hash
}

/// The signature hash of a method \[id.sig\]: BLAKE3 over the canonical form of the tuple of all
/// arguments and the return type. Equal hashes mean equal bytes on the wire and equal field names.
///
/// Fails when one of the types has no encoding.
pub fn signature_hash(
    args: &[&'static Shape],
    ret: &'static Shape,
) -> Result<[u8; 32], UnsupportedType> {
    let method = MethodSchema {
        args: args
            .iter()
            .map(|shape| Ok((String::new(), Schema::of(shape)?)))
            .collect::<Result<_, _>>()?,
        ret: Schema::of(ret)?,
    };
    Ok(method.signature_hash())
}
