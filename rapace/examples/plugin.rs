//! A plugin in a process of its own, which crashes and comes back while it is being used.
//!
//! `cargo run -p rapace --example plugin` is the host; it starts itself once more as the plugin.

use rapace::CallError;
use rapace::plugin::Plugin;

/// Turns text into HTML.
#[rapace::service]
pub trait Markdown {
    /// Renders one line.
    async fn render(&self, line: String) -> String;
    /// The plugin's process. Asking twice does no harm, so the question survives a crash.
    #[rapace(idempotent)]
    async fn process(&self) -> u32;
    /// Ends the plugin the hard way.
    async fn crash(&self);
}

struct Renderer;

impl Markdown for Renderer {
    async fn render(&self, line: String) -> String {
        match line.strip_prefix("# ") {
            Some(title) => format!("<h1>{title}</h1>"),
            None => format!("<p>{line}</p>"),
        }
    }

    async fn process(&self) -> u32 {
        std::process::id()
    }

    async fn crash(&self) {
        eprintln!("out of luck");
        std::process::abort();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if rapace::plugin::started_by_host() {
        rapace::plugin::run(MarkdownServer::new(Renderer)).await?;
        return Ok(());
    }

    let plugin = Plugin::current_exe().name("markdown").spawn().await?;
    plugin.ready().await?;
    let markdown: MarkdownClient = plugin.client();
    println!("{}", markdown.render("# Plugins".to_owned()).await?);

    let before = markdown.process().await?;
    match markdown.crash().await {
        Err(CallError::PeerDied(death)) => println!("the plugin died: {death}"),
        other => return Err(format!("the plugin should have died: {other:?}").into()),
    }

    // The same client reaches the next life of the plugin; what it asks meanwhile waits.
    println!("{}", markdown.render("still here".to_owned()).await?);
    assert_ne!(markdown.process().await?, before);
    println!("restarts: {}", plugin.restarts());
    println!("{:?}", plugin.shutdown().await);
    Ok(())
}
