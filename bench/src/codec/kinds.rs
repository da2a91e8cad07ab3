//! The four kinds of type.

// Facet's derive writes unsafe functions for its own use; they guard no invariant of these types.
#![allow(clippy::unsafe_derive_deserialize)]

use facet::Facet;
use serde::{Deserialize, Serialize};

/// What a small call carries.
#[derive(Clone, Debug, PartialEq, Facet, Serialize, Deserialize)]
pub(crate) struct Small {
    id: u64,
    name: String,
}

/// One of many in a list.
#[derive(Clone, Debug, PartialEq, Facet, Serialize, Deserialize)]
pub(crate) struct Row {
    id: u64,
    parent: Option<u64>,
    kind: u8,
    flags: u32,
    offset: i64,
    weight: f64,
    visible: bool,
    label: String,
}

/// Bytes as one string of bytes, not one by one.
#[derive(Clone, Debug, PartialEq, Facet, Serialize, Deserialize)]
pub(crate) struct Blob {
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

pub(crate) fn small() -> Small {
    Small {
        id: 1_234_567_890,
        name: "a16-byte-string!".to_owned(),
    }
}

/// Values whose varints are of every length that such rows have.
pub(crate) fn rows() -> Vec<Row> {
    let row = |at: u64| Row {
        id: at * 7919,
        parent: (!at.is_multiple_of(3)).then_some(at / 2),
        kind: (at % 5) as u8,
        flags: (at as u32).wrapping_mul(0x9e37_79b9),
        offset: (at as i64 - 500) * 1000,
        weight: at as f64 / 3.0,
        visible: at.is_multiple_of(2),
        label: format!("row {at}"),
    };
    (0..1000).map(row).collect()
}

pub(crate) fn blob() -> Blob {
    Blob {
        data: (0..1 << 20).map(|at: u32| (at % 251) as u8).collect(),
    }
}

/// Half of them fit in one or two bytes, the rest need up to five.
pub(crate) fn numbers() -> Vec<u32> {
    (0..10_000_u32)
        .map(|at| at.wrapping_mul(0x9e37_79b9) >> (at % 32))
        .collect()
}
