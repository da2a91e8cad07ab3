//! The same service over a Unix socket, in one process or in two.
//!
//! `cargo run -p rapace --example hello_unix` plays both parts. In two terminals:
//!
//! ```text
//! cargo run -p rapace --example hello_unix -- serve unix:/tmp/hello.sock
//! cargo run -p rapace --example hello_unix -- call unix:/tmp/hello.sock
//! ```

use std::error::Error;
use std::sync::Arc;

use rapace::stream::{self, Listener};
use rapace::{Context, Session};

/// Knows how to greet.
#[rapace::service]
pub trait Greeter {
    /// Greets the caller by the name that its session has.
    async fn hello(&self, cx: &Context) -> String;
}

struct English;

impl Greeter for English {
    async fn hello(&self, cx: &Context) -> String {
        format!(
            "Hello, {}!",
            cx.peer_name().as_deref().unwrap_or("stranger")
        )
    }
}

/// Serves every connection; one value serves them all.
async fn serve(listener: Listener) -> Result<(), Box<dyn Error>> {
    println!("listening on {}", listener.local_addr());
    let english = Arc::new(English);
    loop {
        let transport = listener.accept().await?;
        let session = Session::builder()
            .serve(GreeterServer::from_arc(english.clone()))
            .accept(transport)?;
        tokio::spawn(async move { println!("connection: {}", session.closed().await) });
    }
}

async fn call(address: &str) -> Result<(), Box<dyn Error>> {
    let transport = stream::connect(address).await?;
    let session = Session::builder().name("the example").connect(transport)?;
    let greeter: GreeterClient = session.client();
    println!("{}", greeter.hello().await?);
    session.close().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(Listener::bind(address).await?).await,
        ["call", address] => call(address).await,
        [] => {
            let file = std::env::temp_dir().join(format!("hello-{}.sock", std::process::id()));
            let address = format!("unix:{}", file.display());
            let listener = Listener::bind(&address).await?;
            tokio::select! {
                biased;
                result = call(&address) => result,
                result = serve(listener) => result,
            }
        }
        _ => Err("usage: hello_unix [serve ADDRESS | call ADDRESS]".into()),
    }
}
