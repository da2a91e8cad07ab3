//! The attribute `#[rapace_sim::test]`.
//!
//! | part | owns |
//! |---|---|
//! | [`macro@test`] | the attribute: an ordinary test that runs a world over many seeds |
//! | `Options` | what stands in its parentheses |
//!
//! This crate refuses to know how worlds run: what it writes calls `rapace_sim::harness`.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, ItemFn, LitBool, Path, Token, parse_macro_input};

/// Makes a function that describes a world an ordinary test that runs it over many seeds.
///
/// The function takes a `WorldBuilder`, whose seed and faults are set for it, and gives it back with
/// its processes. See `rapace_sim::test` for an example and the options.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as Options);
    let function = parse_macro_input!(item as ItemFn);
    expand(&options, &function)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// What stands in the parentheses of the attribute.
struct Options {
    seeds: Option<Expr>,
    faults: Option<LitBool>,
    crate_path: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Options {
            seeds: None,
            faults: None,
            crate_path: None,
        };
        let parts = Punctuated::<Part, Token![,]>::parse_terminated(input)?;
        for part in parts {
            let twice = match &part {
                Part::Seeds(name, _) if options.seeds.is_some() => Some(name),
                Part::Faults(name, _) if options.faults.is_some() => Some(name),
                Part::Crate(name, _) if options.crate_path.is_some() => Some(name),
                _ => None,
            };
            if let Some(name) = twice {
                return Err(Error::new(name.span(), format!("`{name}` stands twice")));
            }
            match part {
                Part::Seeds(_, seeds) => options.seeds = Some(seeds),
                Part::Faults(_, faults) => options.faults = Some(faults),
                Part::Crate(_, path) => options.crate_path = Some(path),
            }
        }
        Ok(options)
    }
}

enum Part {
    Seeds(Ident, Expr),
    Faults(Ident, LitBool),
    Crate(Ident, Path),
}

impl Parse for Part {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.call(syn::ext::IdentExt::parse_any)?;
        input.parse::<Token![=]>()?;
        match name.to_string().as_str() {
            "seeds" => Ok(Part::Seeds(name, input.parse()?)),
            "faults" => Ok(Part::Faults(name, input.parse()?)),
            "crate" => Ok(Part::Crate(name, input.parse()?)),
            other => Err(Error::new(
                name.span(),
                format!("there is no option `{other}`; there are `seeds`, `faults` and `crate`"),
            )),
        }
    }
}

fn expand(options: &Options, function: &ItemFn) -> syn::Result<TokenStream2> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new_spanned(
            asyncness,
            "a function that describes a world is not async; what its processes do is, in \
             `Program::main`",
        ));
    }
    if !signature.generics.params.is_empty() || signature.inputs.len() != 1 {
        return Err(Error::new_spanned(
            signature,
            "this function takes one argument, the world to fill: \
             `fn name(world: WorldBuilder) -> WorldBuilder`",
        ));
    }
    let krate = match &options.crate_path {
        Some(path) => quote!(#path),
        None => quote!(::rapace_sim),
    };
    let seeds = match &options.seeds {
        Some(seeds) => quote!(#seeds),
        None => quote!(#krate::harness::SEEDS),
    };
    let faults = options.faults.as_ref().is_none_or(|faults| faults.value);
    let name = &signature.ident;
    let text = name.to_string();
    let attributes = &function.attrs;
    let mut inner = function.clone();
    inner.attrs = Vec::new();
    inner.vis = syn::Visibility::Inherited;
    Ok(quote! {
        #[test]
        #(#attributes)*
        fn #name() {
            #inner
            #krate::harness::test(
                &#krate::harness::Options {
                    seeds: #seeds,
                    faults: #faults,
                    package: ::core::env!("CARGO_PKG_NAME"),
                    module: ::core::module_path!(),
                    name: #text,
                },
                #name,
            );
        }
    })
}
