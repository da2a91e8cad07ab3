//! The bodies of the fuzz targets: ordinary functions that take any bytes and panic only on a bug.
//!
//! A fuzzer calls them with bytes of its own making; the tests of this module call them with a seed
//! corpus, mutations of it and random bytes, under an allocator that counts.
#![allow(
    clippy::disallowed_types,
    clippy::zero_sized_map_values,
    reason = "maps with random hashers, and maps of nothing, are among the types under test"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use facet::Facet;
use facet_core::Facet as FacetTrait;

use crate::{Codec, MethodSchema, Schema};

/// The body of a fuzz target.
pub type Body = fn(&[u8]);

/// Every fuzz target: its name and its body.
pub const ALL: &[(&str, Body)] = &[("decode", decode), ("schema", schema), ("json", json)];

#[derive(Facet, Debug)]
#[repr(u8)]
#[expect(dead_code, reason = "fields are read through their shapes")]
enum Shape {
    Empty,
    Dot(u8),
    Line(i32, i32),
    Text { body: String, size: Option<u16> },
    Group(Vec<Shape>),
    Link(Box<Shape>),
    Far = 200,
}

#[derive(Facet, Debug)]
struct Leaves {
    a: (bool, u8, i8, u16, i16, u32, i32, u64, i64),
    b: (u128, i128, f32, f64, char, String, Bytes, Vec<u8>, ()),
    c: [u32; 3],
    d: [u8; 70],
    e: Duration,
    f: Result<u32, String>,
    g: Option<Bytes>,
}

#[derive(Facet, Debug)]
struct Collections {
    a: BTreeMap<String, Vec<u32>>,
    b: HashMap<u32, Box<str>>,
    c: BTreeSet<i64>,
    d: HashSet<String>,
    e: Vec<Option<Box<u64>>>,
    f: Arc<[String]>,
    g: Box<[(u8, Bytes)]>,
    h: Vec<[Bytes; 2]>,
}

#[derive(Facet, Debug)]
struct Node {
    value: String,
    next: Option<Box<Node>>,
    children: Vec<Node>,
    named: BTreeMap<u8, Node>,
}

/// Runs `$body` on the codec of the type chosen by `$choice`; each codec is compiled once.
macro_rules! with_codec {
    ($choice:expr, $body:expr, $($index:literal => $ty:ty,)*) => {
        match $choice {
            $($index => {
                static CODEC: OnceLock<Codec<$ty>> = OnceLock::new();
                let codec = CODEC.get_or_init(|| Codec::new().expect("the type has an encoding"));
                $body(codec)
            })*
            _ => return,
        }
    };
}

/// Bytes as values, as schemas or as JSON: the first byte chooses which.
pub fn any(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    match choice % 4 {
        0 => schema(rest),
        1 => json(rest),
        _ => decode(rest),
    }
}

/// Bytes as a value of each of a set of types, chosen by the first byte.
pub fn decode(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    with_codec!(choice % 14, |codec| decode_with(codec, rest),
        0 => Shape,
        1 => Leaves,
        2 => Collections,
        3 => Node,
        4 => Arc<[u64]>,
        5 => Vec<()>,
        6 => Vec<u32>,
        7 => Vec<Vec<Vec<u64>>>,
        8 => (i32, i32),
        9 => Schema,
        10 => HashMap<(), ()>,
        11 => Vec<Shape>,
        12 => Option<Result<Arc<Shape>, Box<Leaves>>>,
        13 => Vec<bool>,
    );
}

/// What decodes encodes again, and to bytes that mean the same; size and gather form agree.
fn decode_with<T: FacetTrait<'static>>(codec: &Codec<T>, data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let shared = codec.decode(&frame, &mut ());
    let copied = codec.decode_slice(data, &mut ());
    let (value, copy) = match (shared, copied) {
        (Ok(value), Ok(copy)) => (value, copy),
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert!(one.position <= data.len(), "{one}");
            return;
        }
        (one, other) => panic!("{:?} against {:?}", one.err(), other.err()),
    };
    let mut bytes = Vec::new();
    codec
        .encode(&value, &mut bytes, &mut ())
        .expect("what decodes encodes");
    assert_eq!(codec.encoded_len(&value), bytes.len());
    assert!(bytes.len() <= data.len(), "the shortest form is longer");
    let mut again = Vec::new();
    codec
        .encode(&copy, &mut again, &mut ())
        .expect("what decodes encodes");
    // Maps with random hashers may come in another order, but never in another length.
    assert_eq!(again.len(), bytes.len());
    let value = codec
        .decode_slice(&bytes, &mut ())
        .expect("what encodes decodes");
    assert_eq!(codec.encoded_len(&value), bytes.len());
    let mut gather = crate::Gather::new();
    codec
        .encode_gather(&value, &mut gather, 3, &mut ())
        .expect("what decodes encodes");
    assert_eq!(gather.total_len(), bytes.len());
}

/// Bytes as a schema that a peer sent, and what a program would do with it.
pub fn schema(data: &[u8]) {
    if let Ok(method) = MethodSchema::from_bytes(data) {
        assert_eq!(
            MethodSchema::from_bytes(&method.to_bytes()).as_ref(),
            Ok(&method)
        );
        assert_eq!(MethodSchema::first_difference(&method, &method), None);
        let _ = (
            method.text("m"),
            method.declarations(),
            method.signature_hash(),
        );
    }
    let (bytes, payload) = data.split_at(data.len() / 2);
    if let Ok(schema) = Schema::from_bytes(bytes) {
        assert_eq!(Schema::first_difference(&schema, &schema), None);
        let _ = (schema.to_string(), schema.declarations(), schema.hash());
        transcode(&schema, payload);
    }
}

/// Bytes as a payload that is shown as JSON.
pub fn json(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    static SCHEMAS: OnceLock<Vec<Schema>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let shapes = [
            Shape::SHAPE,
            Leaves::SHAPE,
            Collections::SHAPE,
            Node::SHAPE,
            <Vec<()>>::SHAPE,
        ];
        let schema = |shape| Schema::of(shape).expect("the type has an encoding");
        shapes.map(schema).into()
    });
    transcode(&schemas[usize::from(*choice) % schemas.len()], rest);
}

/// What can be shown as JSON can be read back, and shows the same again.
fn transcode(schema: &Schema, payload: &[u8]) {
    let Ok(json) = schema.postcard_to_json(payload) else {
        return;
    };
    // `null` stands for `None`, for `Some(None)` and for `()` alike, so a payload may change on its
    // way through JSON; the JSON itself must not.
    if let Ok(bytes) = schema.json_to_postcard(&json) {
        assert_eq!(schema.postcard_to_json(&bytes), Ok(json));
    }
}

/// Inputs that reach deep: valid encodings of each type above.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    seed(0, &example_shape(3), &mut seeds);
    seed(1, &example_leaves(), &mut seeds);
    seed(2, &example_collections(), &mut seeds);
    seed(3, &example_node(4), &mut seeds);
    seed::<Arc<[u64]>>(4, &Arc::from([1, 1 << 40]), &mut seeds);
    seed(5, &vec![(); 9], &mut seeds);
    seed(6, &vec![1u32, 300, 70_000], &mut seeds);
    seed(7, &vec![vec![vec![1u64, 2], vec![]], vec![]], &mut seeds);
    seed(8, &(-1i32, 100_000i32), &mut seeds);
    for schema in [
        Codec::<Collections>::new().map(|codec| codec.schema()),
        Codec::<Node>::new().map(|codec| codec.schema()),
        Codec::<Schema>::new().map(|codec| codec.schema()),
    ] {
        seed(9, &schema.expect("the type has an encoding"), &mut seeds);
    }
    seed(10, &HashMap::from([((), ())]), &mut seeds);
    seed(11, &vec![example_shape(2), Shape::Far], &mut seeds);
    seed::<Option<Result<Arc<Shape>, Box<Leaves>>>>(
        12,
        &Some(Ok(Arc::new(example_shape(2)))),
        &mut seeds,
    );
    seed::<Option<Result<Arc<Shape>, Box<Leaves>>>>(
        12,
        &Some(Err(Box::new(example_leaves()))),
        &mut seeds,
    );
    seed(13, &vec![true, false, true], &mut seeds);
    let method = MethodSchema {
        args: vec![
            ("a".to_owned(), Schema::I32),
            ("b".to_owned(), Schema::Bytes),
        ],
        ret: Schema::Option(Box::new(Schema::String)),
    };
    seeds.push(method.to_bytes());
    seeds
}

fn seed<T: FacetTrait<'static>>(choice: u8, value: &T, seeds: &mut Vec<Vec<u8>>) {
    let codec = Codec::<T>::new().expect("the type has an encoding");
    let mut bytes = vec![choice];
    codec
        .encode(value, &mut bytes, &mut ())
        .expect("the example encodes");
    seeds.push(bytes);
}

fn example_shape(depth: u32) -> Shape {
    if depth == 0 {
        return Shape::Text {
            body: "bödy".to_owned(),
            size: Some(12),
        };
    }
    Shape::Group(vec![
        Shape::Empty,
        Shape::Dot(7),
        Shape::Line(-1, 1),
        Shape::Link(Box::new(example_shape(depth - 1))),
        Shape::Far,
    ])
}

fn example_leaves() -> Leaves {
    Leaves {
        a: (true, 1, -1, 300, -300, 70_000, -70_000, 1 << 50, -(1 << 50)),
        b: (
            u128::MAX,
            i128::MIN,
            1.5,
            -2.5,
            'ß',
            "text".to_owned(),
            Bytes::from_static(b"bytes"),
            vec![1, 2, 3],
            (),
        ),
        c: [1, 2, 3],
        d: [9; 70],
        e: Duration::new(5, 999_999_999),
        f: Err("no".to_owned()),
        g: Some(Bytes::from_static(b"more")),
    }
}

fn example_collections() -> Collections {
    Collections {
        a: BTreeMap::from([
            ("one".to_owned(), vec![1]),
            ("two".to_owned(), vec![2, 300]),
        ]),
        b: HashMap::from([(1, "x".into())]),
        c: BTreeSet::from([-5, 5]),
        d: HashSet::from(["only".to_owned()]),
        e: vec![None, Some(Box::new(9))],
        f: Arc::from(["a".to_owned(), "b".to_owned()]),
        g: Box::new([(1, Bytes::from_static(b"one")), (2, Bytes::new())]),
        h: vec![[Bytes::from_static(b"left"), Bytes::from_static(b"right")]],
    }
}

fn example_node(depth: u8) -> Node {
    let inner = |depth: u8| (depth > 0).then(|| example_node(depth - 1));
    Node {
        value: format!("at {depth}"),
        next: inner(depth).map(Box::new),
        children: inner(depth).into_iter().collect(),
        named: inner(depth / 2)
            .into_iter()
            .map(|node| (depth, node))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
