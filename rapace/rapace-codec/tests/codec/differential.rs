//! Every type against serde and the postcard crate, over generated values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use proptest::collection::{btree_map, btree_set, hash_map, hash_set, vec};
use proptest::prelude::*;
use rapace_codec::{Codec, DecodeErrorKind, EncodeError, Gather};
use serde::{Deserialize, Serialize};

/// Ours and postcard's bytes are the same, and everything else the codec promises about a value.
fn agree<T>(value: &T)
where
    T: Facet<'static> + Serialize + for<'de> Deserialize<'de> + PartialEq + Debug,
{
    let codec = Codec::<T>::new().expect("the type has an encoding");
    let theirs = postcard::to_stdvec(value).expect("postcard encodes it");
    check(&codec, value, &theirs);
    let back: T = postcard::from_bytes(&theirs).expect("postcard decodes it");
    assert_eq!(back, *value);
}

/// The same for a value whose bytes are known.
pub(crate) fn check<T>(codec: &Codec<T>, value: &T, wire: &[u8])
where
    T: Facet<'static> + PartialEq + Debug,
{
    assert_eq!(codec.encoded_len(value), wire.len(), "the computed length");
    assert!(codec.min_len() <= wire.len());
    assert!(codec.max_len().is_none_or(|max| wire.len() <= max));

    let mut ours = vec![0xee; 3];
    codec.encode(value, &mut ours, &mut ()).expect("encodes");
    assert_eq!(ours[..3], [0xee; 3], "what stood before stays");
    assert_eq!(&ours[3..], wire);

    let mut exact = vec![0; wire.len()];
    assert_eq!(
        codec.encode_into(value, &mut exact, &mut ()),
        Ok(wire.len())
    );
    assert_eq!(exact, wire);
    if let Some(len) = wire.len().checked_sub(1) {
        let error = codec.encode_into(value, &mut exact[..len], &mut ());
        assert_eq!(error, Err(EncodeError::BufferTooSmall { len }));
    }

    for splice_min in [0, 4, usize::MAX] {
        let mut gather = Gather::new();
        codec
            .encode_gather(value, &mut gather, splice_min, &mut ())
            .expect("encodes");
        assert_eq!(gather.total_len(), wire.len());
        let chunks = gather.into_chunks();
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert_eq!(chunks.concat(), wire);
    }

    let frame = Bytes::copy_from_slice(wire);
    assert_eq!(codec.decode(&frame, &mut ()).as_ref(), Ok(value));
    assert_eq!(codec.decode_slice(wire, &mut ()).as_ref(), Ok(value));

    for len in 0..wire.len().min(300) {
        let error = codec
            .decode_slice(&wire[..len], &mut ())
            .expect_err("the end is missing");
        assert!(error.position <= len, "{error}");
    }
    let longer = [wire, &[0]].concat();
    let error = codec
        .decode_slice(&longer, &mut ())
        .expect_err("a byte too many");
    if error.kind == DecodeErrorKind::TrailingBytes {
        assert_eq!(error.position, wire.len());
    } else {
        panic!("{error}");
    }
}

/// [`agree`], and the value survives its way through JSON, byte for byte.
fn agree_with_json<T>(value: &T)
where
    T: Facet<'static> + Serialize + for<'de> Deserialize<'de> + PartialEq + Debug,
{
    agree(value);
    let schema = Codec::<T>::new()
        .expect("the type has an encoding")
        .schema();
    let wire = postcard::to_stdvec(value).expect("postcard encodes it");
    let json = schema.postcard_to_json(&wire).expect("shows as JSON");
    let text = json.to_string();
    let json = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(schema.json_to_postcard(&json).as_ref(), Ok(&wire), "{text}");
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Unit;

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Empty {}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Newtype(u32);

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Pair(String, i16);

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Mixed {
    a: u8,
    b: u64,
    c: String,
    d: Option<i32>,
    e: f64,
    f: Newtype,
    g: Vec<Pair>,
    h: bool,
    i: char,
    j: Unit,
    k: Option<Option<u8>>,
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
#[repr(u8)]
enum Every {
    Unit,
    Newtype(u64),
    Tuple(u8, String),
    Struct { name: String, size: i128 },
    Nested(Box<Every>),
    Empty(),
}

/// Declared discriminants never show on the wire [enc.enum].
#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone, Copy)]
#[repr(i16)]
enum Numbered {
    Low = -7,
    Mid = 300,
    High = 301,
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
#[repr(C)]
#[allow(dead_code)]
enum CLike {
    A,
    B { x: u64, y: u8 },
    C(Vec<u8>),
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Tree {
    label: String,
    children: Vec<Tree>,
    left: Option<Box<Tree>>,
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Generic<T> {
    inner: T,
    list: Vec<T>,
}

/// More fields than a block takes in before it calls another.
#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Wide {
    a: [[Pair; 4]; 4],
    b: (Mixed, Mixed),
    c: [Mixed; 7],
    d: [Every; 2],
    e: (Mixed, Wider),
}

#[derive(Facet, Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Wider {
    a: [Mixed; 8],
    b: Mixed,
}

fn pair() -> impl Strategy<Value = Pair> {
    (any::<String>(), any::<i16>()).prop_map(|(a, b)| Pair(a, b))
}

fn mixed() -> impl Strategy<Value = Mixed> {
    (
        any::<(u8, u64, String, Option<i32>)>(),
        any::<(u32, bool, char, Option<u8>)>(),
        -1e9..1e9f64,
        vec(pair(), 0..3),
    )
        .prop_map(|((a, b, c, d), (f, h, i, k), e, g)| Mixed {
            a,
            b,
            c,
            d,
            e,
            f: Newtype(f),
            g,
            h,
            i,
            j: Unit,
            // `Some(None)` does not survive JSON, where both are null.
            k: k.map(Some),
        })
}

fn every() -> impl Strategy<Value = Every> {
    let leaf = prop_oneof![
        Just(Every::Unit),
        Just(Every::Empty()),
        any::<u64>().prop_map(Every::Newtype),
        any::<(u8, String)>().prop_map(|(a, b)| Every::Tuple(a, b)),
        any::<(String, i128)>().prop_map(|(name, size)| Every::Struct { name, size }),
    ];
    leaf.prop_recursive(20, 20, 1, |inner| {
        inner.prop_map(|inner| Every::Nested(Box::new(inner)))
    })
}

fn numbered() -> impl Strategy<Value = Numbered> {
    prop_oneof![
        Just(Numbered::Low),
        Just(Numbered::Mid),
        Just(Numbered::High)
    ]
}

fn c_like() -> impl Strategy<Value = CLike> {
    prop_oneof![
        Just(CLike::A),
        any::<(u64, u8)>().prop_map(|(x, y)| CLike::B { x, y }),
        any::<Vec<u8>>().prop_map(CLike::C),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = any::<String>().prop_map(|label| Tree {
        label,
        children: Vec::new(),
        left: None,
    });
    leaf.prop_recursive(6, 24, 4, |inner| {
        (
            any::<String>(),
            vec(inner.clone(), 0..3),
            prop::option::of(inner),
        )
            .prop_map(|(label, children, left)| Tree {
                label,
                children,
                left: left.map(Box::new),
            })
    })
}

fn wide() -> impl Strategy<Value = Wide> {
    (vec(pair(), 16), vec(mixed(), 19), vec(every(), 2)).prop_map(|(pairs, mixed, every)| {
        let mut pairs = pairs.into_iter();
        let mut pair = || pairs.next().expect("sixteen");
        let mut mixed = mixed.into_iter();
        let mut mixed = || mixed.next().expect("nineteen");
        Wide {
            a: std::array::from_fn(|_| std::array::from_fn(|_| pair())),
            b: (mixed(), mixed()),
            c: std::array::from_fn(|_| mixed()),
            d: every.try_into().expect("two"),
            e: (
                mixed(),
                Wider {
                    a: std::array::from_fn(|_| mixed()),
                    b: Mixed { a: 1, ..mixed() },
                },
            ),
        }
    })
}

macro_rules! differential {
    ($($name:ident: $check:ident($ty:ty) = $strategy:expr;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            #[test]
            fn $name(value in $strategy) {
                let value: $ty = value;
                $check(&value);
            }
        }
    )*};
}

differential! {
    bools: agree_with_json(bool) = any::<bool>();
    bytes_and_signed_bytes: agree_with_json((u8, i8)) = any::<(u8, i8)>();
    unsigned: agree_with_json((u16, u32, u64)) = any::<(u16, u32, u64)>();
    signed: agree_with_json((i16, i32, i64)) = any::<(i16, i32, i64)>();
    small_numbers: agree_with_json((u16, i32, u64)) = (0..300u16, -200..200i32, 0..300u64);
    wide_numbers: agree_with_json((u128, i128)) = any::<(u128, i128)>();
    small_wide_numbers: agree_with_json((u128, i128)) = (0..300u128, -200..200i128);
    floats: agree_with_json((f32, f64)) = (-1e9..1e9f32, -1e300..1e300f64);
    chars: agree_with_json(char) = any::<char>();
    strings: agree_with_json(String) = any::<String>();
    boxed_text: agree_with_json(Box<str>) = any::<String>().prop_map(Into::into);
    shared_text: agree_with_json(Arc<str>) = any::<String>().prop_map(Into::into);
    cow_text: agree_with_json(Cow<'static, str>) = any::<String>().prop_map(Cow::Owned);
    byte_vectors: agree_with_json(Vec<u8>) = vec(any::<u8>(), 0..300);
    byte_boxes: agree_with_json(Box<[u8]>) = vec(any::<u8>(), 0..300).prop_map(Into::into);
    shared_bytes: agree_with_json(Arc<[u8]>) = vec(any::<u8>(), 0..300).prop_map(Into::into);
    signed_byte_vectors: agree_with_json(Vec<i8>) = vec(any::<i8>(), 0..300);
    bool_vectors: agree_with_json(Vec<bool>) = any::<Vec<bool>>();
    u16_vectors: agree_with_json(Vec<u16>) = vec(any::<u16>(), 0..300);
    u32_vectors: agree_with_json(Vec<u32>) = vec(any::<u32>(), 0..300);
    u64_vectors: agree_with_json(Vec<u64>) = vec(any::<u64>(), 0..300);
    u128_vectors: agree_with_json(Vec<u128>) = any::<Vec<u128>>();
    i16_vectors: agree_with_json(Vec<i16>) = vec(any::<i16>(), 0..300);
    i32_vectors: agree_with_json(Vec<i32>) = vec(any::<i32>(), 0..300);
    i64_vectors: agree_with_json(Vec<i64>) = vec(any::<i64>(), 0..300);
    i128_vectors: agree_with_json(Vec<i128>) = any::<Vec<i128>>();
    f32_vectors: agree_with_json(Vec<f32>) = vec(-1e9..1e9f32, 0..300);
    f64_vectors: agree_with_json(Vec<f64>) = vec(-1e9..1e9f64, 0..300);
    char_vectors: agree_with_json(Vec<char>) = any::<Vec<char>>();
    string_vectors: agree_with_json(Vec<String>) = any::<Vec<String>>();
    nested_vectors: agree_with_json(Vec<Vec<Vec<u64>>>) = vec(vec(vec(any::<u64>(), 0..4), 0..4), 0..4);
    scalar_options: agree_with_json((Option<bool>, Option<u8>, Option<u16>, Option<u32>, Option<u64>, Option<i64>))
        = any::<(Option<bool>, Option<u8>, Option<u16>, Option<u32>, Option<u64>, Option<i64>)>();
    more_scalar_options: agree_with_json((Option<i8>, Option<i16>, Option<i32>, Option<u128>, Option<i128>, Option<char>))
        = any::<(Option<i8>, Option<i16>, Option<i32>, Option<u128>, Option<i128>, Option<char>)>();
    float_options: agree_with_json((Option<f32>, Option<f64>))
        = (prop::option::of(-1e9..1e9f32), prop::option::of(-1e9..1e9f64));
    text_options: agree_with_json((Option<String>, Option<Vec<u8>>, Option<Box<str>>))
        = (any::<Option<String>>(), any::<Option<Vec<u8>>>(), prop::option::of(any::<String>().prop_map(Into::into)));
    struct_options: agree_with_json(Option<Mixed>) = prop::option::of(mixed());
    nested_options: agree(Option<Option<Option<u32>>>) = any::<Option<Option<Option<u32>>>>();
    results: agree_with_json(Result<u32, String>) = prop::result::maybe_err(any::<u32>(), any::<String>());
    results_of_structs: agree_with_json(Result<Mixed, Pair>) = prop::result::maybe_err(mixed(), pair());
    unit_results: agree_with_json(Result<(), Unit>) = prop::result::maybe_err(Just(()), Just(Unit));
    tuples: agree_with_json((u8, (String, i64), (), [u16; 2])) = any::<(u8, (String, i64), (), [u16; 2])>();
    tuples_of_twelve: agree_with_json((u8, u8, u8, u8, u8, u8, u8, u8, u8, u8))
        = any::<(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8)>();
    byte_arrays: agree_with_json([u8; 32]) = any::<[u8; 32]>();
    float_arrays: agree_with_json([f64; 3]) = [-1e9..1e9f64, -1.0..1.0f64, 0.0..1.0f64];
    short_arrays: agree_with_json([u32; 5]) = any::<[u32; 5]>();
    long_arrays: agree_with_json([i64; 20]) = any::<[i64; 20]>();
    string_arrays: agree_with_json([String; 12]) = any::<[String; 12]>();
    units: agree_with_json(((), Unit, Empty)) = Just(((), Unit, Empty {}));
    newtypes: agree_with_json(Newtype) = any::<u32>().prop_map(Newtype);
    tuple_structs: agree_with_json(Vec<Pair>) = vec(pair(), 0..9);
    structs: agree_with_json(Mixed) = mixed();
    struct_vectors: agree_with_json(Vec<Mixed>) = vec(mixed(), 0..9);
    generics: agree_with_json(Generic<Pair>) = (pair(), vec(pair(), 0..4)).prop_map(|(inner, list)| Generic { inner, list });
    enums: agree_with_json(Every) = every();
    enum_vectors: agree_with_json(Vec<Every>) = vec(every(), 0..9);
    numbered_enums: agree_with_json(Vec<Numbered>) = vec(numbered(), 0..9);
    c_enums: agree_with_json(Vec<CLike>) = vec(c_like(), 0..9);
    recursive: agree_with_json(Tree) = tree();
    wide_structs: agree_with_json(Wide) = wide();
    boxes: agree_with_json(Box<(Box<u8>, Box<String>, Box<()>)>)
        = any::<(u8, String)>().prop_map(|(a, b)| Box::new((Box::new(a), Box::new(b), Box::new(()))));
    shared: agree_with_json((Arc<Mixed>, Arc<u8>)) = (mixed(), any::<u8>()).prop_map(|(a, b)| (Arc::new(a), Arc::new(b)));
    boxed_slices: agree_with_json(Box<[Pair]>) = vec(pair(), 0..9).prop_map(Into::into);
    shared_slices: agree_with_json(Arc<[u64]>) = any::<Vec<u64>>().prop_map(Into::into);
    ordered_maps: agree_with_json(BTreeMap<String, Vec<u32>>) = btree_map(any::<String>(), any::<Vec<u32>>(), 0..9);
    maps_by_number: agree_with_json(BTreeMap<u32, Mixed>) = btree_map(any::<u32>(), mixed(), 0..5);
    hash_maps: agree(HashMap<String, u64>) = hash_map(any::<String>(), any::<u64>(), 0..9);
    maps_of_maps: agree(HashMap<u8, BTreeMap<i8, String>>)
        = hash_map(any::<u8>(), btree_map(any::<i8>(), any::<String>(), 0..4), 0..4);
    ordered_sets: agree_with_json(BTreeSet<String>) = btree_set(any::<String>(), 0..9);
    hash_sets: agree(HashSet<i64>) = hash_set(any::<i64>(), 0..9);
    bytes: agree_with_bytes(Vec<u8>) = vec(any::<u8>(), 0..300);
    durations: agree_with_parts((u64, u32)) = (any::<u64>(), 0..1_000_000_000u32);
}

/// A struct with `Bytes` fields, against the same struct with vectors.
fn agree_with_bytes(data: &Vec<u8>) {
    #[derive(Facet, PartialEq, Debug)]
    struct Ours {
        head: u32,
        data: Bytes,
        more: Option<Bytes>,
        list: Vec<Bytes>,
    }
    let data = Bytes::copy_from_slice(data);
    let ours = Ours {
        head: 70_000,
        data: data.clone(),
        more: Some(data.clone()),
        list: vec![data.clone(), Bytes::new(), data.clone()],
    };
    let theirs = (
        70_000u32,
        data.to_vec(),
        Some(data.to_vec()),
        vec![data.to_vec(), Vec::new(), data.to_vec()],
    );
    let wire = postcard::to_stdvec(&theirs).expect("postcard encodes it");
    check(
        &Codec::new().expect("the type has an encoding"),
        &ours,
        &wire,
    );
}

fn agree_with_parts((seconds, nanoseconds): &(u64, u32)) {
    let wire = postcard::to_stdvec(&(seconds, nanoseconds)).expect("postcard encodes it");
    let duration = std::time::Duration::new(*seconds, *nanoseconds);
    check(
        &Codec::new().expect("the type has an encoding"),
        &duration,
        &wire,
    );
}
