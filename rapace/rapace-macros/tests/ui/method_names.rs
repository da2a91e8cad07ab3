//! A service has the same methods in every build, and `new` makes the client.

#[rapace_macros::service]
trait Methods {
    async fn new(&self);
    #[cfg(unix)]
    async fn on_unix(&self);
    async fn twice(&self);
    async fn twice(&self, again: u8);
}

fn main() {}
