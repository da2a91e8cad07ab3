//! Tunnels: bytes in pieces of all sizes, readers that take their time, writers that wait.

use bytes::Bytes;
use rapace_session::Tunnel;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Worker;
use crate::sometimes;
use crate::time::Nanos;

/// More than a window is written for windows up to this long.
const WINDOW_BYTES_MAX: usize = 16 << 10;

impl Worker {
    /// What is written, and in pieces of how many bytes at most.
    fn tunnelled(&mut self) -> (Bytes, usize) {
        let window = self.window_bytes as usize;
        if window > WINDOW_BYTES_MAX || self.draws.chance(1, 2) {
            return (self.bytes(), usize::MAX);
        }
        // Several windows: in pieces, so that credit comes back in pieces, too.
        let len = self.draws.within(1, 3 * window as u64) as usize;
        let first = self.draws.next();
        let bytes: Vec<u8> = (0..len as u64)
            .map(|at| first.wrapping_add(at * at) as u8)
            .collect();
        let piece = *self.draws.pick(&[window / 5, window / 3, usize::MAX]);
        (bytes.into(), piece)
    }

    pub(super) async fn pipe(&mut self) {
        let (sent, piece) = self.tunnelled();
        let pause = *self.draws.pick(&[0, 0, 3_000_000, 1_000_000_000]);
        let alone = self.draws.chance(1, 2);
        let (tunnel, remote) = Tunnel::pair();
        let call = self.testbed.pipe(remote);
        let call = self.apart("pipe", call);
        let (mut reader, mut writer) = tokio::io::split(tunnel);
        let written = sent.clone();
        let writing = async move {
            for piece in written.chunks(piece.max(1)) {
                writer.write_all(piece).await?;
            }
            writer.shutdown().await
        };
        let host = self.host.clone();
        let mut echoed = Vec::new();
        let reading = async {
            if pause > 0 {
                host.sleep(Nanos(pause)).await;
            }
            reader.read_to_end(&mut echoed).await
        };
        // Where both halves are one task, whatever wakes the one wakes the other, too.
        let (written, read) = if alone {
            let writing = self.host.spawn(writing);
            let read = reading.await;
            let Some(written) = writing.await else { return };
            (written, read)
        } else {
            futures_util::future::join(writing, reading).await
        };
        self.must(sent.starts_with(&echoed), || {
            "a tunnel gave other bytes back".into()
        });
        let whole = written.is_ok() && read.is_ok();
        sometimes!(!whole, "a tunnel broke off");
        let Some(total) = call.await else {
            return;
        };
        if let Some(total) = self.settled("pipe", total) {
            assert!(
                whole || !self.weather.calm || self.weather.retiring,
                "a tunnel broke off without any fault"
            );
            let len = sent.len() as u64;
            let right = total == len || (total < len && !self.weather.calm);
            self.must(right, || format!("pipe echoed {total} of {len} bytes"));
        }
    }
}
