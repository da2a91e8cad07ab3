//! What most programs that use rapace name: `use rapace::prelude::*;`.

pub use crate::{
    Bytes, CallError, Caller, Client, Context, Durations, Session, StreamError, StreamSender,
    Streaming, Tunnel,
};
