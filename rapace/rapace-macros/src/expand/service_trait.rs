//! The trait that users implement, and its implementation for `Arc`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, Ident};

use super::{Names, future_of, generated, implied_bounds};
use crate::parse::{Method, Service};

/// The trait as written, with futures that are `Send` in place of `async`.
pub(super) fn definition(service: &Service) -> TokenStream {
    let item = &service.item;
    let (vis, ident) = (&item.vis, &item.ident);
    let attributes = &item.attrs;
    let written = item.supertraits.iter();
    let implied = implied_bounds(service);
    let methods = service.methods.iter().map(|method| {
        let attributes = &method.item.attrs;
        let signature = signature(method, &method.item.sig.ident);
        quote! { #(#attributes)* #signature; }
    });
    let mut body = TokenStream::new();
    item.brace_token
        .surround(&mut body, |body| body.extend(methods));
    // Keywords and braces are the user's own, so that lints of the trait point at it.
    let keyword = &item.trait_token;
    quote! {
        #(#attributes)*
        #[allow(dead_code)]
        #vis #keyword #ident: #(#written +)* #(#implied)+* #body
    }
}

/// `impl Foo for Arc<T>`: one value that serves many sessions.
pub(super) fn arc_impl(service: &Service) -> TokenStream {
    let Names { service: ident, .. } = Names::of(service);
    let methods = service.methods.iter().map(|method| {
        let name = &method.item.sig.ident;
        let signature = signature(method, &generated(name));
        let context = method.context.iter();
        let arguments = method.arguments.iter().map(|argument| &argument.ident);
        quote! {
            #signature {
                <__T as #ident>::#name(&**self, #(#context,)* #(#arguments),*)
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl<__T: #ident> #ident for ::std::sync::Arc<__T> {
            #(#methods)*
        }
    }
}

fn signature(method: &Method, name: &Ident) -> TokenStream {
    let signature = &method.item.sig;
    let inputs = signature
        .inputs
        .iter()
        .filter(|input| matches!(input, FnArg::Typed(_)));
    let future = future_of(&method.output);
    let keyword = &signature.fn_token;
    quote! { #keyword #name(&self, #(#inputs),*) -> #future }
}
