//! Nothing of a service can be generic: the other process was compiled apart.

#[rapace_macros::service]
trait Store<K>
where
    K: Send,
{
    async fn get(&self, key: K) -> bool;
}

#[rapace_macros::service]
trait Methods {
    async fn of_type<T>(&self, value: T) -> T;
    async fn of_size<const N: usize>(&self, value: [u8; N]);
    async fn of_lifetime<'a>(&self, value: std::borrow::Cow<'a, str>);
    async fn with_clause(&self, value: u8)
    where
        Self: Sized;
}

fn main() {}
