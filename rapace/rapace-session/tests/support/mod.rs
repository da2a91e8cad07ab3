//! Two sessions in one process.
#![allow(dead_code, reason = "each test file uses a part of it")]

use rapace_session::{Limits, Session};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

/// Both ends, each serving the testbed, over an in-process link.
pub(crate) fn pair() -> (Session, Session) {
    pair_with(Limits::default(), Limits::default())
}

pub(crate) fn pair_with(here: Limits, there: Limits) -> (Session, Session) {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder()
        .serve(TestbedServer::new(Subject))
        .limits(here)
        .name("host")
        .connect(a)
        .expect("host");
    let plugin = Session::builder()
        .serve(TestbedServer::new(Subject))
        .limits(there)
        .name("plugin")
        .accept(b)
        .expect("plugin");
    (host, plugin)
}

/// Both ends over a Unix socket pair.
pub(crate) fn socket_pair() -> (Session, Session) {
    let (a, b) = tokio::net::UnixStream::pair().expect("socket pair");
    let host = Session::builder()
        .serve(TestbedServer::new(Subject))
        .connect(rapace_stream::StreamTransport::from(a))
        .expect("host");
    let plugin = Session::builder()
        .serve(TestbedServer::new(Subject))
        .accept(rapace_stream::StreamTransport::from(b))
        .expect("plugin");
    (host, plugin)
}

pub(crate) fn testbed(session: &Session) -> TestbedClient {
    session.client()
}
