//! JSON to and from postcard bytes, by schema.

use std::collections::BTreeMap;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Codec, MethodSchema, Schema};
use serde_json::{Value, json};

#[derive(Facet, Debug, PartialEq)]
struct Job {
    name: String,
    size: Option<u16>,
    data: Bytes,
    state: State,
    tags: BTreeMap<String, i64>,
}

#[derive(Facet, Debug, PartialEq)]
#[repr(u8)]
enum State {
    Idle,
    Busy(u32),
    Moving(u8, u8),
    Failed { why: String },
}

fn schema<T: Facet<'static>>() -> Schema {
    Schema::of(T::SHAPE).expect("the type has an encoding")
}

#[track_caller]
fn wire<T: Facet<'static>>(json: Value) -> Vec<u8> {
    schema::<T>()
        .json_to_postcard(&json)
        .expect("the JSON fits the schema")
}

#[track_caller]
fn refused<T: Facet<'static>>(json: Value) -> String {
    schema::<T>()
        .json_to_postcard(&json)
        .expect_err("the JSON does not fit the schema")
        .to_string()
}

#[test]
fn a_struct_goes_both_ways() {
    let json = json!({
        "name": "n", "size": 300, "data": "AQI=",
        "state": {"Failed": {"why": "x"}}, "tags": {"a": -1, "b": 2},
    });
    let bytes = wire::<Job>(json.clone());
    let job = Codec::<Job>::new()
        .expect("the type has an encoding")
        .decode_slice(&bytes, &mut ())
        .expect("decodes");
    assert_eq!(
        job,
        Job {
            name: "n".to_owned(),
            size: Some(300),
            data: Bytes::from_static(&[1, 2]),
            state: State::Failed {
                why: "x".to_owned()
            },
            tags: BTreeMap::from([("a".to_owned(), -1), ("b".to_owned(), 2)]),
        }
    );
    assert_eq!(schema::<Job>().postcard_to_json(&bytes), Ok(json));
}

#[test]
fn other_spellings_are_accepted() {
    assert_eq!(wire::<Bytes>(json!([1, 2, 255])), [3, 1, 2, 255]);
    assert_eq!(wire::<State>(json!("Idle")), [0]);
    assert_eq!(wire::<State>(json!({"Idle": null})), [0]);
    assert_eq!(wire::<State>(json!({"Moving": [1, 2]})), [2, 1, 2]);
    assert_eq!(wire::<Result<(), u8>>(json!("Ok")), [0]);
    assert_eq!(
        wire::<BTreeMap<String, u8>>(json!([["a", 1]])),
        [1, 1, b'a', 1]
    );
    assert_eq!(wire::<BTreeMap<u8, u8>>(json!([[5, 1]])), [1, 5, 1]);
    assert_eq!(
        wire::<u128>(json!("340282366920938463463374607431768211455")).len(),
        19
    );
    assert_eq!(wire::<u128>(json!(7)), [7]);
    assert_eq!(
        wire::<(f64,)>(json!([1])),
        [&1f64.to_le_bytes()[..]].concat()
    );
    assert_eq!(wire::<f32>(json!("NaN")).len(), 4);
}

#[test]
fn numbers_are_exact() {
    for (json, bytes) in [(json!(u64::MAX), 10), (json!(9_007_199_254_740_993u64), 8)] {
        let wire = wire::<u64>(json.clone());
        assert_eq!(wire.len(), bytes);
        assert_eq!(schema::<u64>().postcard_to_json(&wire), Ok(json));
    }
    let low = json!(i64::MIN);
    assert_eq!(
        schema::<i64>().postcard_to_json(&wire::<i64>(low.clone())),
        Ok(low)
    );
    let widest = json!(i128::MIN.to_string());
    assert_eq!(
        schema::<i128>().postcard_to_json(&wire::<i128>(widest.clone())),
        Ok(widest)
    );
    let tenth = schema::<f32>()
        .postcard_to_json(&0.1f32.to_le_bytes())
        .expect("a float");
    assert_eq!(tenth.to_string(), "0.1");
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(
        refused::<u8>(json!(256)),
        "expected an integer from 0 to 255, found 256"
    );
    assert_eq!(
        refused::<u32>(json!(1.5)),
        "expected an integer from 0 to 4294967295, found 1.5"
    );
    assert_eq!(
        refused::<Vec<(u8, bool)>>(json!([[1, true], [2, "x"]])),
        "in `[1].1`: expected true or false, found \"x\""
    );
    let mut job = json!({"name": "n", "data": "", "state": "Idle", "tags": {}});
    assert!(
        schema::<Job>().json_to_postcard(&job).is_ok(),
        "a missing option is null"
    );
    job["state"] = json!("Gone");
    assert_eq!(
        refused::<Job>(job.clone()),
        "in `state`: there is no variant `Gone`"
    );
    job["state"] = json!({"Failed": {}});
    assert_eq!(
        refused::<Job>(job.clone()),
        "in `state.Failed`: field `why` is missing"
    );
    job["state"] = json!("Idle");
    job["color"] = json!(1);
    assert_eq!(refused::<Job>(job), "there is no field `color`");
    assert_eq!(
        refused::<Bytes>(json!("*")),
        "expected base64 text or an array of bytes, found \"*\""
    );
    let error = schema::<Vec<bool>>()
        .postcard_to_json(&[2, 1, 7])
        .expect_err("not a bool");
    assert_eq!(
        error.to_string(),
        "in `[1]`: at byte 2: a bool is neither 0 nor 1"
    );
}

#[test]
fn recursive_types_go_both_ways() {
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Node {
        value: u8,
        next: Option<Box<Node>>,
    }
    let json = json!({"value": 1, "next": {"value": 2, "next": {"value": 3, "next": null}}});
    let bytes = wire::<Node>(json.clone());
    assert_eq!(bytes, [1, 1, 2, 1, 3, 0]);
    assert_eq!(schema::<Node>().postcard_to_json(&bytes), Ok(json));
    let error = schema::<Node>()
        .postcard_to_json(&[1; 2000])
        .expect_err("too deep");
    assert!(
        error.to_string().ends_with("the value nests too deeply"),
        "{error}"
    );
}

#[test]
fn schemas_from_a_peer_cannot_hang_or_crash() {
    for levels in [0, 1, 2, 77] {
        let schema = Schema::Tuple(vec![Schema::BackRef(levels)]);
        assert!(schema.postcard_to_json(&[0; 10]).is_err());
        assert!(schema.json_to_postcard(&json!([[[[1]]]])).is_err());
        let _ = (schema.to_string(), schema.declarations(), schema.hash());
    }
    let schema = Schema::Array {
        len: u32::MAX,
        element: Box::new(Schema::Unit),
    };
    assert!(schema.postcard_to_json(&[]).is_err());
}

#[test]
fn arguments_are_an_array() {
    let method = MethodSchema {
        args: vec![
            ("a".to_owned(), Schema::I32),
            ("b".to_owned(), Schema::String),
        ],
        ret: Schema::Unit,
    };
    assert_eq!(
        method.json_to_request(&json!([-1, "x"])),
        Ok(vec![1, 1, b'x'])
    );
    assert_eq!(method.request_to_json(&[1, 1, b'x']), Ok(json!([-1, "x"])));
    let error = method
        .json_to_request(&json!([1]))
        .expect_err("one is missing");
    assert_eq!(
        error.to_string(),
        "expected an array of 2 arguments, found an array of 1"
    );
    let error = method
        .json_to_request(&json!([1, 2]))
        .expect_err("not a string");
    assert_eq!(error.to_string(), "in `b`: expected a string, found 2");
    let none = MethodSchema {
        args: vec![],
        ret: Schema::Unit,
    };
    assert_eq!(none.json_to_request(&json!([])), Ok(vec![]));
    assert_eq!(none.json_to_request(&Value::Null), Ok(vec![]));
}
