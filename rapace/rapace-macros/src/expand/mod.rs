//! From the model to code.
//!
//! What users see (the trait and two types) stands beside the trait. Everything else stands in one
//! anonymous constant, where short names cannot meet the user's: `__r` is `rapace::codegen`. Names of
//! the user's own are used as the user wrote them; names of the standard library are absolute, since
//! `Result` or `Send` may mean something else here.

mod client;
mod server;
mod service_trait;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, Lifetime, Type};

use crate::parse::{Method, Service};

/// The whole expansion of a service without errors.
pub(crate) fn service(service: &Service) -> TokenStream {
    let Names { cfg, root, .. } = Names::of(service);
    let deprecated = allow_deprecated(service);
    let service_trait = service_trait::definition(service);
    let client_type = client::definition(service);
    let server_type = server::definition(service);
    let descriptor = descriptor(service);
    let client_impls = client::impls(service);
    let server_impls = server::impls(service);
    let arc_impl = service_trait::arc_impl(service);
    quote! {
        #service_trait
        #client_type
        #server_type
        #(#cfg)*
        #deprecated
        const _: () = {
            use #root::codegen as __r;
            #descriptor
            #client_impls
            #server_impls
            #arc_impl
        };
    }
}

/// What several parts of the expansion call by the same name.
struct Names<'a> {
    service: &'a Ident,
    client: Ident,
    server: Ident,
    /// The path in front of `::codegen`.
    root: &'a syn::Path,
    /// The `#[cfg(…)]` of the trait, which all generated items share.
    cfg: Vec<&'a Attribute>,
}

impl<'a> Names<'a> {
    fn of(service: &'a Service) -> Self {
        let ident = &service.item.ident;
        Names {
            service: ident,
            client: generated(&format_ident!("{}Client", ident)),
            server: generated(&format_ident!("{}Server", ident)),
            root: &service.root,
            cfg: attributes(&service.item.attrs, &["cfg"]),
        }
    }
}

/// The same identifier at the same place, but known to the compiler as generated, so that lints do
/// not blame the user's trait for what this macro wrote.
fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(ident.span().resolved_at(Span::call_site()));
    ident
}

/// The static that holds the codec and the description of the `index`-th method.
///
/// It has the place of the method's name, and so have the expressions around it: that is where the
/// compiler then reports a type that cannot be sent.
fn method_static(index: usize, method: &Method) -> Ident {
    format_ident!(
        "__METHOD_{}",
        index,
        span = generated(&method.item.sig.ident).span()
    )
}

/// The attributes with one of these names.
fn attributes<'a>(attributes: &'a [Attribute], names: &[&str]) -> Vec<&'a Attribute> {
    attributes
        .iter()
        .filter(|attribute| names.iter().any(|name| attribute.path().is_ident(name)))
        .collect()
}

/// Generated code uses deprecated methods of the service; the user has not.
fn allow_deprecated(service: &Service) -> Option<TokenStream> {
    let methods = service.methods.iter().map(|method| &method.item.attrs);
    std::iter::once(&service.item.attrs)
        .chain(methods)
        .any(|list| !attributes(list, &["deprecated"]).is_empty())
        .then(|| quote! { #[allow(deprecated)] })
}

/// One static per method, and the descriptor that lists them.
fn descriptor(service: &Service) -> TokenStream {
    let Service { name, docs, .. } = service;
    let methods = service.methods.iter().enumerate().map(|(index, method)| {
        let ident = method_static(index, method);
        let Method {
            name: method_name,
            docs,
            output,
            ..
        } = method;
        let arguments = arguments_tuple(method);
        let labels = method
            .arguments
            .iter()
            .map(|argument| argument.ident.unraw().to_string());
        let oneway = method.oneway.is_some();
        let idempotent = method.idempotent.is_some();
        quote! {
            static #ident: __r::Method<#arguments, #output> = __r::Method::new(__r::MethodSpec {
                service: #name,
                name: #method_name,
                docs: #docs,
                args: &[#(#labels),*],
                oneway: #oneway,
                idempotent: #idempotent,
            });
        }
    });
    let list = service.methods.iter().enumerate().map(|(index, method)| {
        let ident = method_static(index, method);
        quote_spanned! {ident.span()=> &#ident }
    });
    quote! {
        #(#methods)*
        static __DESCRIPTOR: __r::ServiceDescriptor =
            __r::ServiceDescriptor::new(#name, #docs, &[#(#list),*]);
    }
}

/// The type of the arguments that are sent: `()`, `(A,)`, `(A, B)`, …
fn arguments_tuple(method: &Method) -> TokenStream {
    let types = method.arguments.iter().map(|argument| &argument.ty);
    quote! { (#(#types,)*) }
}

/// `impl Future<Output = T> + Send`.
fn future_of(output: &Type) -> TokenStream {
    quote! { impl ::core::future::Future<Output = #output> + ::core::marker::Send }
}

/// The bounds of a service trait that the user has not written already.
fn implied_bounds(service: &Service) -> Vec<TokenStream> {
    let written: Vec<String> = service
        .item
        .supertraits
        .iter()
        .map(|bound| bound.to_token_stream().to_string())
        .map(|bound| bound.rsplit(":: ").next().unwrap_or_default().to_owned())
        .collect();
    let lifetime = Lifetime::new("'static", Span::call_site());
    [
        ("Send", quote! { ::core::marker::Send }),
        ("Sync", quote! { ::core::marker::Sync }),
        ("'static", quote! { #lifetime }),
    ]
    .into_iter()
    .filter(|(name, _)| !written.iter().any(|bound| bound == name))
    .map(|(_, tokens)| tokens)
    .collect()
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    fn expanded(arguments: TokenStream, item: TokenStream) -> String {
        let tokens = crate::service_tokens(arguments, item);
        prettyplease::unparse(&syn::parse2(tokens).expect("the expansion parses"))
    }

    #[test]
    fn a_service_with_every_kind_of_method() {
        insta::assert_snapshot!(expanded(
            quote! {},
            quote! {
                /// Does sums.
                ///
                /// And more.
                pub trait Calculator {
                    /// Adds.
                    async fn add(&self, a: i32, b: i32) -> i32;
                    async fn who(&self, cx: &rapace::Context, prefix: String) -> String;
                    #[rapace(oneway)]
                    async fn log(&self, line: String);
                    #[rapace(idempotent)]
                    async fn get(&self, key: String) -> Option<Bytes>;
                    async fn count(&self, n: u32) -> Streaming<u32>;
                    async fn ping(&self);
                }
            },
        ));
    }

    #[test]
    fn attributes_raw_names_bounds_and_the_root_are_carried_over() {
        insta::assert_snapshot!(expanded(
            quote! { crate = "my::reexport" },
            quote! {
                #[cfg(unix)]
                #[deprecated]
                pub(crate) trait S: Send + 'static {
                    #[deprecated = "use other"]
                    async fn r#type(&self, r#match: u8, service: T);
                }
            },
        ));
    }
}
