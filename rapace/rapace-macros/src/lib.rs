//! `#[rapace::service]`: a trait of async methods becomes a client, a server and a descriptor.
//!
//! | module | owns |
//! |---|---|
//! | `parse` | from tokens to the model of a service, with every misplaced token reported |
//! | `check` | the rules of a service that need the model: types, options, method ids |
//! | `expand` | from the model to code: the trait, the client, the server |
//! | `diagnostics` | errors that are collected, so that all of them are reported at once |
//! | `method_id` | the hash that names a method on the wire ([id.method]) |
//!
//! This crate refuses to know how a call works. The code that it generates names types and functions
//! of `rapace::codegen` and holds no logic of its own, so that fifty methods compile quickly. It also
//! refuses to judge whether a type can be sent: the compiler does, through `facet::Facet`.
#![forbid(unsafe_code)]

mod check;
mod diagnostics;
mod expand;
mod method_id;
mod parse;

use proc_macro2::TokenStream;

use diagnostics::Diagnostics;

/// Makes a service of a trait of async methods.
///
/// Beside the trait `Foo` this generates
///
/// - `FooClient`, which has the trait's methods. Each gives a `Call`, which is awaited for a
///   `Result<T, CallError>` and takes options before that: `client.add(1, 2).deadline(…).await`.
///   A client is cheap to clone and knows nothing of the transport.
/// - `FooServer<S>`, which serves any `S: Foo`; hand it to a session's builder.
/// - `impl Foo for Arc<S>`, so that one value can serve many sessions.
///
/// ```ignore
/// #[rapace::service]
/// pub trait Calculator {
///     /// Adds.
///     async fn add(&self, a: i32, b: i32) -> i32;
///     /// Knows who asks.
///     async fn greet(&self, cx: &rapace::Context, greeting: String) -> String;
///     /// Streams numbers to the caller.
///     async fn count(&self, n: u32) -> rapace::Streaming<u32>;
///     /// Sends no answer.
///     #[rapace(oneway)]
///     async fn log(&self, line: String);
///     /// May be sent again when the answer was lost.
///     #[rapace(idempotent)]
///     async fn load(&self, key: String) -> Option<Vec<u8>>;
/// }
/// ```
///
/// # What a method may look like
///
/// `async fn name(&self, arguments…) -> T;` with at most twelve arguments, each owned and `Facet`.
/// `cx: &rapace::Context` may stand first; it is not sent, and the client's method does not have it.
/// `Streaming<T>` and `Tunnel` may be arguments and (part of) the return value. A missing return type
/// is `()`. Generics, borrowed types, default bodies and associated items are refused, with an error
/// that points at them and says what to write.
///
/// The futures of a trait's methods are `Send`; implement them as plain `async fn`.
///
/// # Options
///
/// - `#[rapace(oneway)]` on a method without return type: the peer sends no response, and the call is
///   done when it is sent ([call.oneway]).
/// - `#[rapace(idempotent)]`: the call may be made again when it is not known whether it arrived.
/// - `#[rapace::service(crate = "path")]`: where the generated code finds `codegen`, instead of
///   `::rapace`; for crates that re-export rapace or depend on `rapace-session` alone.
///
/// A method is known on the wire by a hash of `Trait.method` ([id.method]). Two methods of one trait
/// that collide, or one that hashes to zero, are compile errors.
#[proc_macro_attribute]
pub fn service(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    service_tokens(arguments.into(), item.into()).into()
}

/// The macro on `proc_macro2` tokens, which exist in tests as well.
fn service_tokens(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let root = parse::root(arguments, &mut diagnostics);
    let Some(service) = parse::service(root, item, &mut diagnostics) else {
        return diagnostics.into_tokens();
    };
    check::check(&service, &mut diagnostics);
    if diagnostics.is_empty() {
        expand::service(&service)
    } else {
        // Nothing but the errors: the compiler then keeps quiet about what they leave undefined.
        diagnostics.into_tokens()
    }
}
