//! Both peers serve and call on one session, and a call can call back before it is answered.
//!
//! `cargo run -p rapace --example callbacks`

use rapace::{CallError, Context, Session};

/// What the host has.
#[rapace::service]
pub trait Templates {
    /// The template, with its title put in by the plugin that asks.
    async fn page(&self, cx: &Context, title: String) -> Result<String, String>;
}

/// What the plugin does.
#[rapace::service]
pub trait Renderer {
    /// Makes a page of a text whose first line is the title.
    async fn render(&self, cx: &Context, text: String) -> Result<String, String>;
    /// Makes text safe for HTML.
    async fn escape(&self, text: String) -> String;
}

struct Host;

impl Templates for Host {
    async fn page(&self, cx: &Context, title: String) -> Result<String, String> {
        // The plugin waits for this answer, and answers this call meanwhile.
        let plugin = RendererClient::new(cx.caller());
        let title = plugin.escape(title).await.map_err(lost)?;
        Ok(format!("<title>{title}</title>\n<body>BODY</body>"))
    }
}

struct Plugin;

impl Renderer for Plugin {
    async fn render(&self, cx: &Context, text: String) -> Result<String, String> {
        let (title, body) = text.split_once('\n').ok_or("no title")?;
        let host = TemplatesClient::new(cx.caller());
        let page = host.page(title.to_owned()).await.map_err(lost)??;
        Ok(page.replace("BODY", &self.escape(body.to_owned()).await))
    }

    async fn escape(&self, text: String) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;")
    }
}

fn lost(error: CallError) -> String {
    format!("the other side is gone: {error}")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(RendererServer::new(Plugin))
        .accept(plugin_end)?;
    let host = Session::builder()
        .serve(TemplatesServer::new(Host))
        .connect(host_end)?;

    let renderer: RendererClient = host.client();
    let page = renderer.render("Crash & burn\n1 < 2".to_owned()).await??;
    println!("{page}");
    assert_eq!(
        page,
        "<title>Crash &amp; burn</title>\n<body>1 &lt; 2</body>"
    );

    host.close().await;
    plugin.closed().await;
    Ok(())
}
