//! Only a trait can become a service.

#[rapace_macros::service]
struct Calculator {
    sum: i32,
}

#[rapace_macros::service]
impl Calculator {
    async fn add(&self, a: i32, b: i32) -> i32 {
        a + b
    }
}

fn main() {}
