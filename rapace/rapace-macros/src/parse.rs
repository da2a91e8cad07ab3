//! From tokens to the model of a service, with every misplaced token reported.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Expr, ExprLit, FnArg, Ident, Item, ItemTrait, Lit, LitStr, Meta, Pat, Path,
    Receiver, ReceiverKind, ReturnType, Safety, TraitItem, TraitItemFn, Type, TypeParamBound,
    parse_quote,
};

use crate::diagnostics::{Diagnostics, suggestion};

/// A trait that is to become a service.
pub(crate) struct Service {
    /// The path in front of `::codegen`.
    pub(crate) root: Path,
    /// The trait as written, without what only this macro understands.
    pub(crate) item: ItemTrait,
    /// The trait's name on the wire.
    pub(crate) name: String,
    /// The trait's documentation, one line per source line.
    pub(crate) docs: String,
    pub(crate) methods: Vec<Method>,
}

/// One method of the service.
pub(crate) struct Method {
    /// The method as written, without `#[rapace(…)]`.
    pub(crate) item: TraitItemFn,
    /// The method's name on the wire.
    pub(crate) name: String,
    pub(crate) docs: String,
    /// The name of the `&Context` argument, when there is one.
    pub(crate) context: Option<Ident>,
    /// What is sent, in order.
    pub(crate) arguments: Vec<Argument>,
    /// `()` when the method has no return type.
    pub(crate) output: Type,
    /// The word `oneway` where it was written.
    pub(crate) oneway: Option<Path>,
    /// The word `idempotent` where it was written.
    pub(crate) idempotent: Option<Path>,
}

/// One argument that is sent.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

/// Reads the arguments of the attribute: the path in front of `::codegen`.
pub(crate) fn root(arguments: TokenStream, diagnostics: &mut Diagnostics) -> Path {
    let mut root: Path = parse_quote!(::rapace);
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            let path = meta
                .value()
                .and_then(syn::parse::ParseBuffer::parse::<LitStr>)
                .map_err(|_| {
                    syn::Error::new_spanned(&meta.path, "write `crate = \"path\"`, with quotes")
                })?;
            root = path.parse_with(Path::parse_mod_style)?;
            return Ok(());
        }
        unknown_key(&meta, "service", &["crate"], diagnostics)
    });
    if let Err(error) = syn::parse::Parser::parse2(parser, arguments) {
        diagnostics.push(error);
    }
    root
}

/// Reads the trait; `None` when there is no trait to speak of, which has been reported.
pub(crate) fn service(
    root: Path,
    item: TokenStream,
    diagnostics: &mut Diagnostics,
) -> Option<Service> {
    let mut item = match syn::parse2::<Item>(item) {
        Ok(Item::Trait(item)) => item,
        Ok(other) => {
            let message =
                "`#[rapace::service]` goes on a trait of async methods: `trait Name { … }`";
            diagnostics.error(other, message);
            return None;
        }
        Err(error) => {
            diagnostics.push(error);
            return None;
        }
    };
    trait_head(&item, diagnostics);
    let mut methods = Vec::new();
    for member in &mut item.items {
        match member {
            TraitItem::Fn(function) => methods.extend(method(function, diagnostics)),
            TraitItem::Const(constant) => diagnostics.error(
                constant.const_token,
                "a service has methods only; declare the constant outside the trait",
            ),
            TraitItem::Type(associated) => diagnostics.error(
                associated.type_token,
                "a service has methods only; name the concrete type where it is used",
            ),
            other => {
                diagnostics.error(other, "a service has methods only: `async fn name(&self);`");
            }
        }
    }
    Some(Service {
        root,
        name: item.ident.unraw().to_string(),
        docs: docs(&item.attrs),
        item,
        methods,
    })
}

/// Everything before the trait's opening brace.
fn trait_head(item: &ItemTrait, diagnostics: &mut Diagnostics) {
    if let Some(auto) = &item.modifiers.auto_token {
        diagnostics.error(auto, "a service cannot be an auto trait; remove `auto`");
    }
    if let Some(unsafety) = &item.unsafety {
        diagnostics.error(
            unsafety,
            "a service cannot be an unsafe trait; remove `unsafe`",
        );
    }
    if !item.generics.params.is_empty() {
        diagnostics.error(
            &item.generics,
            "a service cannot be generic: both sides compile it apart; write the concrete types",
        );
    }
    if let Some(clause) = &item.generics.where_clause {
        diagnostics.error(clause, "a service cannot have a `where` clause; remove it");
    }
    for bound in &item.supertraits {
        if !is_implied_bound(bound) {
            diagnostics.error(
                bound,
                "a service cannot have supertraits; put the bound on the type that implements it \
                 (`Send + Sync + 'static` are implied)",
            );
        }
    }
}

/// Whether the expansion adds this bound anyway.
pub(crate) fn is_implied_bound(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => {
            bound.maybe.is_none()
                && bound.lifetimes.is_none()
                && bound.path.segments.last().is_some_and(|segment| {
                    segment.arguments.is_none()
                        && (segment.ident == "Send" || segment.ident == "Sync")
                })
        }
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        _ => false,
    }
}

/// Reads one method and takes `#[rapace(…)]` off it; `None` when it has no usable signature.
fn method(function: &mut TraitItemFn, diagnostics: &mut Diagnostics) -> Option<Method> {
    let (oneway, idempotent) = options(&mut function.attrs, diagnostics);
    for attribute in &function.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            diagnostics.error(
                attribute,
                "a service has the same methods in every build; put the attribute on the trait, or \
                 make two traits",
            );
        }
    }
    qualifiers(function, diagnostics);

    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => self_argument(receiver, diagnostics),
        _ => {
            diagnostics.error(
                &signature.ident,
                "a method of a service takes `&self` first: write `async fn name(&self, …)`",
            );
            inputs = signature.inputs.iter();
        }
    }
    let mut context = None;
    let mut arguments = Vec::new();
    let mut complete = true;
    for (index, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        for attribute in &input.attrs {
            diagnostics.error(
                attribute,
                "arguments of a service take no attributes; remove this one",
            );
        }
        let ident = match &*input.pat {
            Pat::Ident(name)
                if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() =>
            {
                name.ident.clone()
            }
            pattern => {
                diagnostics.error(
                    pattern,
                    "an argument needs a plain name, which is part of the schema: `name: Type`",
                );
                complete = false;
                continue;
            }
        };
        if index == 0 && is_context(&input.ty) {
            context = Some(ident);
        } else {
            arguments.push(Argument {
                ident,
                ty: (*input.ty).clone(),
            });
        }
    }
    complete.then(|| Method {
        name: signature.ident.unraw().to_string(),
        docs: docs(&function.attrs),
        context,
        arguments,
        output: match &signature.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        },
        oneway,
        idempotent,
        item: function.clone(),
    })
}

/// Everything around the arguments of a method.
fn qualifiers(function: &TraitItemFn, diagnostics: &mut Diagnostics) {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        diagnostics.error(
            signature.fn_token,
            "a method of a service waits for another process: write `async fn`",
        );
    }
    if let Some(constness) = &signature.constness {
        diagnostics.error(
            constness,
            "a method of a service cannot be const; remove `const`",
        );
    }
    if let Safety::Safe(_) | Safety::Unsafe(_) = &signature.safety {
        diagnostics.error(
            &signature.safety,
            "a method of a service is an ordinary function; remove this qualifier",
        );
    }
    if let Some(abi) = &signature.abi {
        diagnostics.error(
            abi,
            "a method of a service is not a foreign function; remove this",
        );
    }
    if let Some(default) = &function.modifiers.defaultness {
        diagnostics.error(default, "remove `default`");
    }
    if !signature.generics.params.is_empty() {
        let lifetimes_only = signature.generics.type_params().next().is_none()
            && signature.generics.const_params().next().is_none();
        diagnostics.error(
            &signature.generics,
            if lifetimes_only {
                "a method of a service cannot have lifetimes: what is sent is owned; take and return \
                 owned types"
            } else {
                "a method of a service cannot be generic: the other process has compiled it already; \
                 write one method per concrete type, or an enum"
            },
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        diagnostics.error(
            clause,
            "a method of a service cannot have a `where` clause; remove it",
        );
    }
    if let Some(variadic) = &signature.variadic {
        diagnostics.error(
            variadic,
            "a method of a service has a fixed list of arguments; take a `Vec`",
        );
    }
    if let Some(body) = &function.default {
        diagnostics.error(
            body,
            "a method of a service has no default body: the client cannot run it; end it with `;` \
             and write the body in the impl",
        );
    }
}

fn self_argument(receiver: &Receiver, diagnostics: &mut Diagnostics) {
    for attribute in &receiver.attrs {
        diagnostics.error(attribute, "`&self` takes no attributes; remove this one");
    }
    let message = match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => return,
        ReceiverKind::Reference(_, Some(_), None) => "write `&self`, without a lifetime",
        ReceiverKind::Reference(_, _, Some(_)) => {
            "calls run at the same time, so a method takes `&self`; keep what changes behind a lock \
             or an atomic"
        }
        _ => "one value serves many calls, so a method takes `&self`",
    };
    diagnostics.error(receiver, message);
}

/// Whether this is the type of the `cx` argument.
fn is_context(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            reference.mutability.is_none()
                && reference.lifetime.is_none()
                && names(&reference.elem, "Context")
        }
        _ => false,
    }
}

/// Whether a type is a path that ends in `name`, whatever its arguments.
pub(crate) fn names(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Path(ty) => ty
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == name),
        Type::Group(group) => names(&group.elem, name),
        Type::Paren(paren) => names(&paren.elem, name),
        _ => false,
    }
}

/// Takes `#[rapace(…)]` off a method and reads it.
fn options(
    attributes: &mut Vec<Attribute>,
    diagnostics: &mut Diagnostics,
) -> (Option<Path>, Option<Path>) {
    let (mut oneway, mut idempotent) = (None, None);
    attributes.retain(|attribute| {
        if !attribute.path().is_ident("rapace") {
            return true;
        }
        let result = attribute.parse_nested_meta(|meta| {
            let option = if meta.path.is_ident("oneway") {
                &mut oneway
            } else if meta.path.is_ident("idempotent") {
                &mut idempotent
            } else {
                return unknown_key(&meta, "rapace", &["oneway", "idempotent"], diagnostics);
            };
            if option.is_some() {
                diagnostics.error(&meta.path, "written twice; remove one");
            }
            *option = Some(meta.path);
            Ok(())
        });
        if let Err(error) = result {
            let message = "write `#[rapace(oneway)]` or `#[rapace(idempotent)]`";
            diagnostics.push(match &attribute.meta {
                Meta::List(_) => syn::Error::new(error.span(), message),
                other => syn::Error::new_spanned(other, message),
            });
        }
        false
    });
    (oneway, idempotent)
}

/// Reports a key that does not exist, and skips its value so that the keys after it are read.
fn unknown_key(
    meta: &ParseNestedMeta,
    attribute: &str,
    known: &[&str],
    diagnostics: &mut Diagnostics,
) -> syn::Result<()> {
    let key = meta.path.to_token_stream().to_string();
    let hint = suggestion(&key, known);
    diagnostics.error(
        &meta.path,
        format!("unknown key `{key}` in `{attribute}`: {hint}"),
    );
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let skipped;
        syn::parenthesized!(skipped in meta.input);
        skipped.parse::<TokenStream>()?;
    }
    Ok(())
}

/// The text of the doc comments: one line per line, without the space after `///`.
///
/// `#[doc = include_str!(…)]` and the like stay on the item; their text is not known here.
fn docs(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(meta) = &attribute.meta
            && meta.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &meta.value
        {
            let text = text.value();
            lines.extend(
                text.split('\n')
                    .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()),
            );
        }
    }
    lines.join("\n").trim_end().to_owned()
}
