//! The client: the trait's methods, each of which makes a call.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{Names, arguments_tuple, attributes, generated, method_static};
use crate::parse::{Method, Service};

/// The client's type.
pub(super) fn definition(service: &Service) -> TokenStream {
    let Names {
        service: ident,
        client,
        root,
        cfg,
        ..
    } = Names::of(service);
    let vis = &service.item.vis;
    let docs = format!(
        "Calls the [`{ident}`] that the peer serves.\n\nA clone is cheap and uses the same session."
    );
    quote! {
        #(#cfg)*
        #[doc = #docs]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(dead_code)]
        #vis struct #client {
            caller: #root::codegen::Caller,
        }
    }
}

/// The client's methods and its `Client`.
pub(super) fn impls(service: &Service) -> TokenStream {
    let Names { client, .. } = Names::of(service);
    let vis = &service.item.vis;
    let methods = service
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| call(service, index, method));
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #client {
            /// A client that makes its calls through `caller`.
            #[track_caller]
            #vis fn new(caller: impl ::core::convert::Into<__r::Caller>) -> Self {
                Self { caller: __r::client_caller(::core::convert::Into::into(caller), &__DESCRIPTOR) }
            }
            #(#methods)*
        }
        #[automatically_derived]
        impl __r::Client for #client {
            fn from_caller(caller: __r::Caller) -> Self {
                Self::new(caller)
            }
            fn caller(&self) -> &__r::Caller {
                &self.caller
            }
            fn descriptor() -> &'static __r::ServiceDescriptor {
                &__DESCRIPTOR
            }
        }
    }
}

/// One method of the client. It takes what the trait's method takes, but for the context.
fn call(service: &Service, index: usize, method: &Method) -> TokenStream {
    let vis = &service.item.vis;
    let ident = generated(&method.item.sig.ident);
    let fallback = format!("Calls `{}.{}`.", service.name, method.name);
    let fallback = attributes(&method.item.attrs, &["doc"])
        .is_empty()
        .then(|| quote! { #[doc = #fallback] });
    let attributes = attributes(&method.item.attrs, &["doc", "deprecated"]);
    let method_static = method_static(index, method);
    let names: Vec<_> = method
        .arguments
        .iter()
        .map(|argument| &argument.ident)
        .collect();
    let types = method.arguments.iter().map(|argument| &argument.ty);
    let tuple = arguments_tuple(method);
    let output = &method.output;
    // A type that cannot be sent is reported at the method's name.
    let body = quote_spanned! {ident.span()=>
        self.caller.call(&#method_static, (#(#names,)*))
    };
    // Clippy's limit, which counts `self`; the trait has been told already.
    let many =
        (method.arguments.len() > 6).then(|| quote! { #[allow(clippy::too_many_arguments)] });
    quote! {
        #(#attributes)*
        #fallback
        #many
        #vis fn #ident(&self, #(#names: #types),*) -> __r::Call<#tuple, #output> {
            #body
        }
    }
}
