//! Host and plugin in one executable: `cargo run -p rapace-plugin --example greeter`.

use rapace_plugin::Plugin;

/// What the plugin offers.
#[rapace_macros::service(crate = "rapace_session")]
trait Greeter {
    /// A greeting, and which process it is from.
    async fn greet(&self, name: String) -> String;
}

struct English;

impl Greeter for English {
    async fn greet(&self, name: String) -> String {
        format!("Hello, {name}, from process {}!", std::process::id())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("--plugin") {
        return Ok(rapace_plugin::run(GreeterServer::new(English)).await?);
    }

    let plugin = Plugin::current_exe()
        .arg("--plugin")
        .name("greeter")
        .spawn()
        .await?;
    plugin.ready().await?;
    let greeter: GreeterClient = plugin.client();
    println!("{}", greeter.greet("world".to_owned()).await?);

    // The same client goes on working after a crash.
    plugin.kill();
    println!(
        "{}",
        greeter.greet("again".to_owned()).idempotent(true).await?
    );
    println!("restarted {} time(s)", plugin.restarts());

    println!("stopped: {:?}", plugin.shutdown().await);
    Ok(())
}
