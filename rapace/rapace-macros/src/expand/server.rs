//! The server: from the index of a method to the user's implementation of it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, Index};

use super::{Names, generated, method_static};
use crate::parse::{Method, Service};

/// The server's type.
pub(super) fn definition(service: &Service) -> TokenStream {
    let Names {
        service: ident,
        server,
        cfg,
        ..
    } = Names::of(service);
    let vis = &service.item.vis;
    let docs = format!("Serves a [`{ident}`] to the peer; give it to the builder of a session.");
    let parameter = parameter(ident);
    quote! {
        #(#cfg)*
        #[doc = #docs]
        #[allow(dead_code)]
        #vis struct #server<#parameter> {
            service: ::std::sync::Arc<#parameter>,
        }
    }
}

/// The server's constructors and its `Service`.
pub(super) fn impls(service: &Service) -> TokenStream {
    let Names {
        service: ident,
        server,
        ..
    } = Names::of(service);
    let vis = &service.item.vis;
    let parameter = parameter(ident);
    let server_name = server.to_string();
    let arms = service
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| arm(&parameter, ident, index, method));
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl<#parameter: #ident> #server<#parameter> {
            /// Serves this value.
            #vis fn new(service: #parameter) -> Self {
                Self { service: ::std::sync::Arc::new(service) }
            }
            /// Serves a value that others hold as well.
            #vis fn from_arc(service: ::std::sync::Arc<#parameter>) -> Self {
                Self { service }
            }
        }
        #[automatically_derived]
        impl<#parameter> ::core::clone::Clone for #server<#parameter> {
            fn clone(&self) -> Self {
                Self { service: ::core::clone::Clone::clone(&self.service) }
            }
        }
        #[automatically_derived]
        impl<#parameter> ::core::fmt::Debug for #server<#parameter> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(#server_name)
            }
        }
        #[automatically_derived]
        impl<#parameter: #ident> __r::Service for #server<#parameter> {
            fn descriptor(&self) -> &'static __r::ServiceDescriptor {
                &__DESCRIPTOR
            }
            fn serve(&self, index: usize, request: __r::Request) -> __r::Handler {
                let service = ::core::clone::Clone::clone(&self.service);
                match index {
                    #(#arms)*
                    _ => request.unknown(),
                }
            }
        }
    }
}

/// One arm of `serve`. The future owns the service, so that it can outlive the session's borrow.
fn arm(parameter: &Ident, ident: &Ident, index: usize, method: &Method) -> TokenStream {
    let name = generated(&method.item.sig.ident);
    let method_static = method_static(index, method);
    let fields = (0..method.arguments.len()).map(Index::from);
    if method.context.is_some() {
        quote_spanned! {name.span()=>
            #index => request.unary_with_context(&#method_static, move |context, arguments| async move {
                <#parameter as #ident>::#name(&service, &context, #(arguments.#fields),*).await
            }),
        }
    } else {
        quote_spanned! {name.span()=>
            #index => request.unary(&#method_static, move |arguments| async move {
                <#parameter as #ident>::#name(&service, #(arguments.#fields),*).await
            }),
        }
    }
}

/// The server's type parameter, which must not hide the trait.
fn parameter(service: &Ident) -> Ident {
    format_ident!("{}", if service == "S" { "T" } else { "S" })
}
