//! RPC between a host and its plugins, on one machine.
#![forbid(unsafe_code)]
