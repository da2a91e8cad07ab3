//! Schemas: text, hash [id.sig] and differences.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{MethodSchema, Schema, signature_hash};

#[derive(Facet)]
#[allow(dead_code)]
struct Options {
    quality: u8,
    name: Option<String>,
    mode: Mode,
}

#[derive(Facet)]
#[repr(u8)]
#[allow(dead_code)]
enum Mode {
    Fast,
    Sized { width: u32, height: u32 },
    Ratio(f32, f32),
    Custom(Box<Options2>),
}

#[derive(Facet)]
#[allow(dead_code)]
struct Options2 {
    items: BTreeMap<String, Vec<(u8, Bytes)>>,
    id: Id,
}

#[derive(Facet)]
struct Id(#[allow(dead_code)] u64);

#[derive(Facet)]
#[allow(dead_code)]
struct Node {
    value: u32,
    next: Option<Box<Node>>,
    kids: Vec<Node>,
}

fn schema<T: Facet<'static>>() -> Schema {
    Schema::of(T::SHAPE).expect("the type has an encoding")
}

#[test]
fn types_read_like_rust() {
    assert_eq!(schema::<(u8,)>().to_string(), "(u8,)");
    assert_eq!(schema::<()>().to_string(), "()");
    assert_eq!(
        schema::<Result<Vec<[Options; 3]>, String>>().to_string(),
        "Result<Vec<[Options; 3]>, String>"
    );
    assert_eq!(schema::<HashSet<char>>().to_string(), "Vec<char>");
    assert_eq!(schema::<Arc<Id>>().to_string(), "u64");
    assert_eq!(
        schema::<Options>().declarations(),
        "struct Options {
    quality: u8,
    name: Option<String>,
    mode: Mode,
}

enum Mode {
    Fast,
    Sized {
        width: u32,
        height: u32,
    },
    Ratio(f32, f32),
    Custom(Options2),
}

struct Options2 {
    items: Map<String, Vec<(u8, Bytes)>>,
    id: u64,
}
"
    );
    assert_eq!(
        schema::<Node>().declarations(),
        "struct Node {\n    value: u32,\n    next: Option<Node>,\n    kids: Vec<Node>,\n}\n"
    );
}

#[test]
fn methods_read_like_rust() {
    let method = MethodSchema {
        args: vec![("a".to_owned(), Schema::I32), ("b".to_owned(), Schema::I32)],
        ret: Schema::I32,
    };
    assert_eq!(method.text("add"), "async fn add(a: i32, b: i32) -> i32");
    let method = MethodSchema {
        args: vec![],
        ret: Schema::Unit,
    };
    assert_eq!(method.text("ping"), "async fn ping()");
}

#[test]
fn schemas_travel() {
    for schema in [schema::<Options>(), schema::<Node>(), schema::<Schema>()] {
        assert_eq!(Schema::from_bytes(&schema.to_bytes()), Ok(schema));
    }
    let method = MethodSchema {
        args: vec![("options".to_owned(), schema::<Options>())],
        ret: schema::<Node>(),
    };
    assert_eq!(MethodSchema::from_bytes(&method.to_bytes()), Ok(method));
}

#[test]
fn recursion_is_a_back_reference() {
    let Schema::Struct(node) = schema::<Node>() else {
        panic!("a struct");
    };
    assert_eq!(
        node.fields[1].schema,
        Schema::Option(Box::new(Schema::BackRef(2)))
    );
    assert_eq!(
        node.fields[2].schema,
        Schema::Vec(Box::new(Schema::BackRef(2)))
    );
    // The same type twice side by side is not recursion.
    let Schema::Tuple(pair) = schema::<(Node, Node)>() else {
        panic!("a tuple");
    };
    assert_eq!(pair[0], pair[1]);
    assert_eq!(pair[0], schema::<Node>());
}

/// The canonical form written down by hand from [id.sig].
#[test]
fn the_signature_hash_is_over_the_canonical_form() {
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Point {
        x: i32,
        tag: Option<String>,
    }
    #[derive(Facet)]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Shape {
        None,
        Dot(u8),
        Pair(bool, f64),
        Body { data: Bytes },
    }
    fn name(name: &str) -> Vec<u8> {
        [&(name.len() as u32).to_le_bytes(), name.as_bytes()].concat()
    }
    let n = |count: u32| count.to_le_bytes().to_vec();
    let expect = |args: &[&'static facet::Shape], ret, form: &[&[u8]]| {
        let hash = signature_hash(args, ret).expect("the types have an encoding");
        assert_eq!(hash, *blake3::hash(&form.concat()).as_bytes());
    };

    expect(&[], <()>::SHAPE, &[&[0x41], &n(2), &[0x41], &n(0), &[0x00]]);
    expect(
        &[i32::SHAPE, i32::SHAPE],
        i32::SHAPE,
        &[&[0x41], &n(2), &[0x41], &n(2), &[0x09, 0x09], &[0x09]],
    );
    expect(
        &[Point::SHAPE],
        <Result<u64, String>>::SHAPE,
        &[
            &[0x41],
            &n(2),
            &[0x41],
            &n(1),
            &[0x40],
            &n(2),
            &name("x"),
            &[0x09],
            &name("tag"),
            &[0x20, 0x0f],
            &[0x42],
            &n(2),
            &name("Ok"),
            &[0x05],
            &name("Err"),
            &[0x0f],
        ],
    );
    expect(
        &[
            <[u16; 3]>::SHAPE,
            <BTreeMap<char, Vec<u8>>>::SHAPE,
            <Vec<i8>>::SHAPE,
        ],
        Shape::SHAPE,
        &[
            &[0x41],
            &n(2),
            &[0x41],
            &n(3),
            &[0x22],
            &n(3),
            &[0x03],
            &[0x23, 0x0e, 0x10],
            &[0x21, 0x07],
            &[0x42],
            &n(4),
            &name("None"),
            &name("Dot"),
            &[0x02],
            &name("Pair"),
            &[0x41],
            &n(2),
            &[0x01, 0x0d],
            &name("Body"),
            &[0x40],
            &n(1),
            &name("data"),
            &[0x10],
        ],
    );
    expect(
        &[],
        Node::SHAPE,
        &[
            &[0x41],
            &n(2),
            &[0x41],
            &n(0),
            &[0x40],
            &n(3),
            &name("value"),
            &[0x04],
            &name("next"),
            &[0x20, 0x60],
            &n(2),
            &name("kids"),
            &[0x21, 0x60],
            &n(2),
        ],
    );
}

#[test]
fn names_of_types_are_not_hashed_and_names_of_fields_are() {
    mod renamed {
        #[derive(super::Facet)]
        #[allow(dead_code)]
        pub(super) struct Other {
            #[facet(rename = "quality")]
            pub(super) grade: u8,
            pub(super) name: Option<String>,
            pub(super) mode: super::Mode,
        }
    }
    assert_eq!(
        schema::<Options>().hash(),
        schema::<renamed::Other>().hash()
    );
    let difference = Schema::first_difference(&schema::<Options>(), &schema::<renamed::Other>());
    assert_eq!(difference, None);
}

#[test]
fn the_first_difference_is_a_sentence() {
    mod changed {
        use super::{Bytes, Facet, Mode};
        #[derive(Facet)]
        #[allow(dead_code)]
        pub(super) struct Wider {
            quality: u16,
            name: Option<String>,
            mode: Mode,
        }
        #[derive(Facet)]
        #[allow(dead_code)]
        pub(super) struct Shorter {
            quality: u8,
            mode: Mode,
        }
        #[derive(Facet)]
        #[allow(dead_code)]
        pub(super) struct Swapped {
            quality: u8,
            mode: Mode,
            name: Option<String>,
        }
        #[derive(Facet)]
        #[repr(u8)]
        #[allow(dead_code)]
        pub(super) enum Mode2 {
            Fast,
            Sized { width: u32, height: u64 },
            Ratio(f32, f32),
            Custom(Bytes),
        }
        #[derive(Facet)]
        #[allow(dead_code)]
        pub(super) struct Deep {
            quality: u8,
            name: Option<String>,
            mode: Mode2,
        }
    }
    let here = schema::<Options>();
    let difference = |peer| Schema::first_difference(&here, &peer).expect("they differ");
    assert_eq!(
        difference(schema::<changed::Wider>()),
        "`quality`: u8 here, u16 at the peer"
    );
    assert_eq!(
        difference(schema::<changed::Shorter>()),
        "field `name` is missing at the peer"
    );
    assert_eq!(
        difference(schema::<changed::Swapped>()),
        "field 2 is `name` here, `mode` at the peer"
    );
    assert_eq!(
        difference(schema::<changed::Deep>()),
        "`mode.Sized.height`: u32 here, u64 at the peer"
    );
    assert_eq!(difference(Schema::Bool), "Options here, bool at the peer");
    assert_eq!(
        Schema::first_difference(&schema::<changed::Shorter>(), &here).expect("they differ"),
        "field `name` is missing here"
    );
    let list = |inner: Schema| Schema::Vec(Box::new(inner));
    assert_eq!(
        Schema::first_difference(&list(here.clone()), &list(schema::<changed::Wider>())),
        Some("`[].quality`: u8 here, u16 at the peer".to_owned())
    );

    let method = |options: Schema, ret| MethodSchema {
        args: vec![
            ("image".to_owned(), Schema::Bytes),
            ("options".to_owned(), options),
        ],
        ret,
    };
    let ours = method(here.clone(), Schema::Unit);
    let theirs = method(schema::<changed::Wider>(), Schema::Bool);
    assert_eq!(
        MethodSchema::first_difference(&ours, &theirs).expect("they differ"),
        "argument 2 `options.quality`: u8 here, u16 at the peer"
    );
    assert_eq!(
        MethodSchema::first_difference(&ours, &method(here.clone(), Schema::Bool)),
        Some("return value: () here, bool at the peer".to_owned())
    );
    assert_eq!(
        MethodSchema::first_difference(&ours, &method(here.clone(), schema::<(u8,)>())),
        Some("return value: () here, (u8,) at the peer".to_owned())
    );
    let mut fewer = method(here, Schema::Unit);
    fewer.args.pop();
    assert_eq!(
        MethodSchema::first_difference(&ours, &fewer),
        Some("2 arguments here, 1 argument at the peer".to_owned())
    );
}
