//! Addresses, listeners and the socket file's life.
#![cfg(unix)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rapace_core::frame::Payload;
use rapace_stream::{Listener, NetError, StreamTransport, connect};
use rapace_transport::conformance::traffic::{frame, recv, send};
use rapace_transport::{Death, LinkError, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

async fn carry_one_frame(address: &str, listener: &Listener, kind: &str) {
    let (client, server) = tokio::join!(connect(address), listener.accept());
    let (client, server) = (client.expect("connecting"), server.expect("accepting"));
    assert_eq!(client.info().kind, kind);
    assert_eq!(server.info().kind, kind);
    let (mut sink, _client_source) = Box::new(client).split();
    let (_server_sink, mut source) = Box::new(server).split();
    send(&mut *sink, frame(1, 100)).await.expect("sending");
    let got = recv(&mut *source).await.expect("receiving");
    assert!(matches!(got.payload, Payload::Bytes(_)));
}

fn unix_address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[tokio::test]
async fn a_listener_tells_where_it_listens() {
    let listener = Listener::bind("tcp:127.0.0.1:0").await.expect("binding");
    let address = listener.local_addr().to_string();
    assert!(address.starts_with("tcp:127.0.0.1:") && !address.ends_with(":0"));
    carry_one_frame(&address, &listener, "tcp").await;

    let dir = tempfile::tempdir().expect("a directory");
    let address = unix_address(&dir.path().join("a.sock"));
    let listener = Listener::bind(&address).await.expect("binding");
    assert_eq!(listener.local_addr().to_string(), address);
    carry_one_frame(&address, &listener, "unix").await;
}

#[tokio::test]
async fn the_socket_file_goes_with_its_listener() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.sock");
    let listener = Listener::bind(&unix_address(&path)).await.expect("binding");
    assert!(path.exists());
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_file_of_another_listener_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.sock");
    let first = Listener::bind(&unix_address(&path)).await.expect("binding");
    // Somebody replaces the file; the first listener's drop must not take it away.
    std::fs::remove_file(&path).expect("removing");
    let second = UnixListener::bind(&path).expect("binding");
    let before = std::fs::metadata(&path).expect("the file").ino();
    drop(first);
    assert_eq!(std::fs::metadata(&path).expect("the file").ino(), before);
    drop(second);
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.sock");
    // A plain listener leaves its file behind, as a killed process does.
    drop(UnixListener::bind(&path).expect("binding"));
    assert!(path.exists());
    let address = unix_address(&path);
    let listener = Listener::bind(&address).await.expect("replacing");
    carry_one_frame(&address, &listener, "unix").await;
}

#[tokio::test]
async fn a_live_listener_and_other_files_are_not_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.sock");
    let address = unix_address(&path);
    let live = Listener::bind(&address).await.expect("binding");
    let refused = Listener::bind(&address).await.expect_err("it is in use");
    assert!(
        matches!(&refused, NetError::Io { source, .. }
            if source.kind() == std::io::ErrorKind::AddrInUse),
        "{refused}"
    );
    carry_one_frame(&address, &live, "unix").await;

    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "keep me").expect("writing");
    Listener::bind(&unix_address(&file))
        .await
        .expect_err("it is no socket");
    assert_eq!(std::fs::read(&file).expect("reading"), b"keep me");
}

#[tokio::test]
async fn errors_name_the_address() {
    let err = connect("unix:/nonexistent/rapace.sock")
        .await
        .expect_err("nobody listens");
    assert!(
        err.to_string()
            .starts_with("cannot connect to unix:/nonexistent/rapace.sock: "),
        "{err}"
    );
    let err = connect("http://x").await.expect_err("no address");
    assert!(matches!(err, NetError::Address(_)), "{err}");
}

#[tokio::test]
async fn a_connection_that_ends_inside_a_frame_is_a_dead_peer() {
    // A cut in the prefix, in the descriptor, in the payload.
    for cut in [1, 2, 30, 66, 100] {
        let (mut raw, ours) = UnixStream::pair().expect("a socket pair");
        let (_sink, mut source) = Box::new(StreamTransport::from(ours)).split();
        let mut bytes = vec![0xA4, 0x01];
        bytes.extend_from_slice(&frame(1, 100).desc.to_bytes());
        bytes.resize(2 + 64 + 100, 0);
        raw.write_all(&bytes[..cut]).await.expect("writing");
        drop(raw);
        let err = recv(&mut *source).await.expect_err("half a frame");
        let dead = LinkError::PeerDied(Death::seen("connection ended inside a frame"));
        assert_eq!(err, dead, "after {cut} bytes");
    }
}

#[tokio::test]
async fn a_half_close_ends_the_link() {
    let (mut raw, ours) = UnixStream::pair().expect("a socket pair");
    let (_sink, mut source) = Box::new(StreamTransport::from(ours)).split();
    raw.shutdown().await.expect("shutting down one direction");
    let err = recv(&mut *source).await.expect_err("the link ended");
    assert_eq!(err, LinkError::Closed);
}

#[tokio::test]
async fn a_reset_connection_is_a_dead_peer() {
    let (raw, ours) = UnixStream::pair().expect("a socket pair");
    let (mut sink, mut source) = Box::new(StreamTransport::from(ours)).split();
    send(&mut *sink, frame(1, 100)).await.expect("sending");
    // Closing a Unix socket with unread bytes in it resets the connection.
    drop(raw);
    let err = recv(&mut *source).await.expect_err("reset");
    assert!(matches!(err, LinkError::PeerDied(_)), "{err:?}");
    let err = send(&mut *sink, frame(2, 100)).await.expect_err("broken");
    assert!(matches!(err, LinkError::PeerDied(_)), "{err:?}");
}
