//! The codec from outside: bytes, refusals, schemas, JSON and ports.

mod differential;
mod drops;
mod golden;
mod identity;
mod json;
mod ports;
mod refusals;
mod schema;
mod strict;
