//! A oneway call has no response.

struct Streaming<T>(T);
struct Tunnel;

#[rapace_macros::service]
trait Oneway {
    #[rapace(oneway)]
    async fn returns(&self) -> u32;
    #[rapace(oneway)]
    async fn streams(&self, items: Streaming<u32>);
    #[rapace(oneway)]
    async fn tunnels(&self, tunnel: Option<Tunnel>);
    #[rapace(oneway, idempotent)]
    async fn repeated(&self);
    #[rapace(oneway)]
    async fn unit_is_fine(&self) -> ();
}

fn main() {}
