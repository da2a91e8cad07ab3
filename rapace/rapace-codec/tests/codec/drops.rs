//! A decode that fails halfway drops exactly what it had built.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::Codec;

/// A frame whose slices can be counted: as long as one lives, the frame is not unique.
fn outlived_by_slices<T: Facet<'static>>(wire: &[u8]) -> bool {
    let frame = Bytes::from(wire.to_vec());
    let codec = Codec::<T>::new().expect("the type has an encoding");
    assert!(
        codec.decode(&frame, &mut ()).is_err(),
        "the bytes are refused"
    );
    !frame.is_unique()
}

#[derive(Facet)]
#[repr(u8)]
#[allow(dead_code)]
enum Choice {
    None,
    Both(Bytes, bool),
    Named {
        data: Bytes,
        more: (Bytes, [Bytes; 2]),
        ok: bool,
    },
}

#[derive(Facet, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key(String, u8);

/// One byte of data wherever a `Bytes` stands, then a bool that is none.
const X: [u8; 2] = [1, b'x'];
const BAD: u8 = 9;

macro_rules! leaves_nothing {
    ($($name:ident: $ty:ty = $wire:expr;)*) => {$(
        #[test]
        fn $name() {
            let wire: Vec<u8> = $wire.concat();
            assert!(!outlived_by_slices::<$ty>(&wire));
        }
    )*};
}

leaves_nothing! {
    trailing_bytes: (Bytes, Bytes) = [&X[..], &X, &[0]];
    tuples: (Bytes, (u8, Bytes), bool) = [&X[..], &[1], &X, &[BAD]];
    options: (Option<Bytes>, Option<(Bytes, bool)>) = [&[1][..], &X, &[1], &X, &[BAD]];
    results: Result<(Bytes, bool), u8> = [&[0][..], &X, &[BAD]];
    lists: Vec<(Bytes, bool)> = [&[2][..], &X, &[1], &X, &[BAD]];
    lists_of_lists: Vec<Vec<(Bytes, bool)>> = [&[2, 1][..], &X, &[1], &[1], &X, &[BAD]];
    short_arrays: [(Bytes, bool); 3] = [&X[..], &[1], &X, &[1], &X, &[BAD]];
    long_arrays: [(Bytes, bool); 9] = [&X[..], &[1], &X, &[1], &X, &[BAD]];
    boxes: Box<(Bytes, Box<(Bytes, bool)>)> = [&X[..], &X, &[BAD]];
    shared: Arc<(Bytes, Arc<(Bytes, bool)>)> = [&X[..], &X, &[BAD]];
    boxed_slices: Box<[(Bytes, bool)]> = [&[2][..], &X, &[1], &X, &[BAD]];
    shared_slices: Arc<[(Bytes, bool)]> = [&[2][..], &X, &[1], &X, &[BAD]];
    map_values: BTreeMap<u8, (Bytes, bool)> = [&[2, 1][..], &X, &[1, 2], &X, &[BAD]];
    hash_map_values: HashMap<u8, (Bytes, bool)> = [&[2, 1][..], &X, &[1, 2], &X, &[BAD]];
    duplicate_keys: (BTreeMap<u8, Bytes>, bool) = [&[2, 1][..], &X, &[1], &X, &[BAD]];
    enums: (Choice, bool) = [&[1][..], &X, &[1, BAD]];
    enum_payloads: Choice = [&[1][..], &X, &[BAD]];
    enum_structs: Choice = [&[2][..], &X, &X, &X, &X, &[BAD]];
    arrays_in_tuples: ((Bytes, [Bytes; 2]), bool) = [&X[..], &X, &X, &[BAD]];
}

#[test]
fn the_probe_sees_a_slice_that_lives() {
    let frame = Bytes::from(vec![1, b'x']);
    let codec = Codec::<Bytes>::new().expect("the type has an encoding");
    let kept = codec.decode(&frame, &mut ()).expect("decodes");
    assert!(!frame.is_unique());
    drop(kept);
    assert!(frame.is_unique());
}

#[test]
fn keys_whose_value_fails_are_dropped() {
    // Under a leak checker these fail when a key is lost; without one they show that nothing crashes.
    for cut in 0..12 {
        let wire = [2, 1, b'a', 1, 1, b'v', 1, b'b', 2, 1, b'w'];
        let wire = &wire[..cut.min(wire.len())];
        let maps = Codec::<BTreeMap<Key, String>>::new().expect("the type has an encoding");
        assert_eq!(maps.decode_slice(wire, &mut ()).is_ok(), cut >= 11);
        let maps = Codec::<HashMap<Key, String>>::new().expect("the type has an encoding");
        assert_eq!(maps.decode_slice(wire, &mut ()).is_ok(), cut >= 11);
    }
    let sets = Codec::<BTreeSet<Key>>::new().expect("the type has an encoding");
    assert!(sets.decode_slice(&[2, 1, b'a', 1, 1], &mut ()).is_err());
    let sets = Codec::<HashSet<Key>>::new().expect("the type has an encoding");
    assert!(sets.decode_slice(&[2, 1, b'a', 1, 1], &mut ()).is_err());
}
