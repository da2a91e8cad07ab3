//! Methods are told apart by a hash of `Service.method` ([id.method]).

#[rapace_macros::service]
trait Builder {
    async fn put_hot_edge(&self);
    async fn push_first_page(&self);
}

#[rapace_macros::service]
trait Site {
    async fn eeqmzys(&self);
}

fn main() {}
