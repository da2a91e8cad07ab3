//! A misspelt key is answered with the one that was meant.

#[rapace_macros::service(crat = "rapace", name = "Other")]
trait Keys {
    #[rapace(one_way)]
    async fn one(&self);
    #[rapace(idempotant, cached(seconds = 3), oneway)]
    async fn two(&self);
    #[rapace(idempotent, idempotent)]
    async fn three(&self);
    #[rapace]
    async fn four(&self);
    #[rapace = "oneway"]
    async fn five(&self);
    #[rapace("oneway")]
    async fn six(&self);
}

#[rapace_macros::service(crate)]
trait Root {
    async fn one(&self);
}

#[rapace_macros::service(crate = rapace)]
trait Unquoted {
    async fn one(&self);
}

fn main() {}
