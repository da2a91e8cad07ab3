//! A tunnel: bytes both ways beside a call, with the backpressure and half-close of a socket.
//!
//! `cargo run -p rapace --example tunnel`

use rapace::{Session, Tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Works on bytes as they come.
#[rapace::service]
pub trait Shell {
    /// Sends back what it gets in capital letters, and answers with the number of bytes.
    async fn shout(&self, tunnel: Tunnel) -> Result<u64, String>;
}

struct Loud;

impl Shell for Loud {
    async fn shout(&self, mut tunnel: Tunnel) -> Result<u64, String> {
        let mut total = 0;
        let mut buffer = [0; 4096];
        loop {
            let len = tunnel
                .read(&mut buffer)
                .await
                .map_err(|error| error.to_string())?;
            if len == 0 {
                break;
            }
            buffer[..len].make_ascii_uppercase();
            tunnel
                .write_all(&buffer[..len])
                .await
                .map_err(|error| error.to_string())?;
            total += len as u64;
        }
        tunnel.shutdown().await.map_err(|error| error.to_string())?;
        Ok(total)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(ShellServer::new(Loud))
        .accept(plugin_end)?;
    let host = Session::builder().connect(host_end)?;
    let shell: ShellClient = host.client();

    // One end is kept, the other goes along with the call.
    let (mut tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(shell.shout(remote));

    tunnel.write_all(b"a quiet word").await?;
    let mut answer = [0; 12];
    tunnel.read_exact(&mut answer).await?;
    println!("{}", String::from_utf8_lossy(&answer));

    // Ends this direction only: the plugin reads the end, and still can answer.
    tunnel.shutdown().await?;
    let mut rest = Vec::new();
    tunnel.read_to_end(&mut rest).await?;
    println!("{:?} bytes went through", call.await??);

    host.close().await;
    plugin.closed().await;
    Ok(())
}
