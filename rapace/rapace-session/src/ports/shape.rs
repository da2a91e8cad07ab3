//! How facet sees streams and tunnels: opaque, marked as ports for the codec.
//!
//! `Facet` is an unsafe trait, and the codec's macro holds the argument. No other module of this
//! crate has `unsafe`.
#![allow(unsafe_code)]

use super::{Streaming, Tunnel};

rapace_codec::impl_port_facet!(Streaming<T>);
rapace_codec::impl_port_facet!(Tunnel);
