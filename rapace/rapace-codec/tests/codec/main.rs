//! The codec from outside: bytes, refusals, schemas, JSON and ports.

// facet's derive writes unsafe functions for its own use; they guard no invariant of these types.
#![allow(clippy::unsafe_derive_deserialize)]
// The odd types are the point.
#![allow(
    clippy::disallowed_types,
    clippy::type_complexity,
    clippy::option_option,
    clippy::ptr_arg
)]

mod differential;
mod drops;
mod golden;
mod identity;
mod json;
mod ports;
mod refusals;
mod schema;
mod strict;
