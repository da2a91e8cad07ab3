//! The rules of a service that need the model: types, options, method ids.
//!
//! Whether a type can be encoded is left to the compiler and to rapace-codec. Refused here is what
//! can never work whatever the type is, because there the macro knows the better sentence.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Expr, Ident, Lifetime, Type};

use crate::diagnostics::Diagnostics;
use crate::method_id::method_id;
use crate::parse::{Method, Service, names};

/// Tuples of arguments are `Facet` up to this length.
const ARGUMENTS_MAX: usize = 12;

/// Reports every rule that the service breaks.
pub(crate) fn check(service: &Service, diagnostics: &mut Diagnostics) {
    for method in &service.methods {
        if method.name == "new" {
            diagnostics.error(
                &method.item.sig.ident,
                "`new` makes the client itself; give the method another name, `create` for example",
            );
        }
        for argument in &method.arguments {
            TypeRules {
                place: Place::Argument,
                diagnostics,
            }
            .visit_type(&argument.ty);
        }
        TypeRules {
            place: Place::Return,
            diagnostics,
        }
        .visit_type(&method.output);
        if let Some(beyond) = method.arguments.get(ARGUMENTS_MAX) {
            diagnostics.error(
                &beyond.ident,
                format!(
                    "a method takes at most {ARGUMENTS_MAX} arguments; put some of them into a \
                     struct that derives `Facet`"
                ),
            );
        }
        options(method, diagnostics);
    }
    let methods = service.methods.iter();
    method_ids(
        methods.map(|method| {
            (
                &method.item.sig.ident,
                &*method.name,
                method_id(&service.name, &method.name),
            )
        }),
        &service.name,
        diagnostics,
    );
}

/// Zero and collisions are refused ([id.method]).
fn method_ids<'a>(
    methods: impl Iterator<Item = (&'a Ident, &'a str, u32)>,
    service: &str,
    diagnostics: &mut Diagnostics,
) {
    let mut taken: BTreeMap<u32, &str> = BTreeMap::new();
    for (ident, name, id) in methods {
        if id == 0 {
            diagnostics.error(
                ident,
                format!(
                    "`{service}.{name}` hashes to the method id 0, which stands for no method; \
                     rename the method"
                ),
            );
        }
        match taken.insert(id, name) {
            None => {}
            Some(other) if other == name => {
                diagnostics.error(ident, format!("the method `{name}` is declared twice; rename one"));
            }
            Some(other) => diagnostics.error(
                ident,
                format!(
                    "`{service}.{name}` has the same method id ({id:#010x}) as `{service}.{other}`; \
                     rename one of the two"
                ),
            ),
        }
    }
}

/// What `oneway` and `idempotent` forbid.
fn options(method: &Method, diagnostics: &mut Diagnostics) {
    let Some(oneway) = &method.oneway else { return };
    if method.idempotent.is_some() {
        diagnostics.error(
            oneway,
            "a oneway call has no response whose loss could be noticed, so it is never made again; \
             remove `oneway` or `idempotent`",
        );
    }
    if !matches!(&method.output, Type::Tuple(unit) if unit.elems.is_empty()) {
        diagnostics.error(
            &method.output,
            "a oneway method has no response; remove the return type or `#[rapace(oneway)]`",
        );
    }
    for argument in &method.arguments {
        if mentions_port(&argument.ty) {
            diagnostics.error(
                &argument.ty,
                "a oneway call is over once it is sent, and its streams and tunnels with it; remove \
                 `#[rapace(oneway)]`",
            );
        }
    }
}

/// Whether a stream or a tunnel stands anywhere in the type.
fn mentions_port(ty: &Type) -> bool {
    struct Ports(bool);
    impl<'ast> Visit<'ast> for Ports {
        fn visit_type(&mut self, ty: &'ast Type) {
            self.0 |= names(ty, "Streaming") || names(ty, "Tunnel");
            visit::visit_type(self, ty);
        }
    }
    let mut ports = Ports(false);
    ports.visit_type(ty);
    ports.0
}

#[derive(Clone, Copy)]
enum Place {
    Argument,
    Return,
}

/// Walks through one type and reports what can never be sent.
struct TypeRules<'d> {
    place: Place,
    diagnostics: &'d mut Diagnostics,
}

impl TypeRules<'_> {
    fn verb(&self) -> &'static str {
        match self.place {
            Place::Argument => "take",
            Place::Return => "return",
        }
    }

    /// Says which owned type stands for a borrowed one.
    fn borrowed(&mut self, tokens: impl ToTokens, target: &Type) {
        let verb = self.verb();
        let message = match target {
            target if names(target, "Context") => {
                "the context is `cx: &rapace::Context` and stands first, right after `&self`"
                    .to_owned()
            }
            target if names(target, "str") => {
                format!("what is sent to another process is owned; {verb} `String`")
            }
            Type::Slice(slice) if names(&slice.elem, "u8") => {
                format!("what is sent to another process is owned; {verb} `Bytes` or `Vec<u8>`")
            }
            Type::Slice(slice) => format!(
                "what is sent to another process is owned; {verb} `Vec<{}>`",
                source(&slice.elem)
            ),
            Type::TraitObject(_) => {
                format!("a trait object cannot be sent; {verb} a concrete type or an enum")
            }
            other => format!(
                "what is sent to another process is owned; {verb} `{}`",
                source(other)
            ),
        };
        self.diagnostics.error(tokens, message);
    }
}

impl<'ast> Visit<'ast> for TypeRules<'_> {
    fn visit_type(&mut self, ty: &'ast Type) {
        let verb = self.verb();
        match ty {
            Type::Reference(reference) => self.borrowed(ty, &reference.elem),
            Type::ImplTrait(_) => {
                let hint = "for many values `Streaming<T>`";
                self.diagnostics.error(
                    ty,
                    format!("the other process must know the type; {verb} a concrete one, {hint}"),
                );
            }
            Type::TraitObject(_) => self.diagnostics.error(
                ty,
                format!("a trait object cannot be sent; {verb} a concrete type or an enum"),
            ),
            Type::Slice(_) => self.borrowed(ty, ty),
            Type::Ptr(_) => self.diagnostics.error(
                ty,
                format!("an address means nothing in another process; {verb} the value itself"),
            ),
            Type::FnPtr(_) => self.diagnostics.error(
                ty,
                "a function cannot be sent; let the other side serve a service and call it through \
                 `cx`",
            ),
            Type::Infer(_) => self
                .diagnostics
                .error(ty, "the type is part of the signature; write it out"),
            Type::Never(_) => self
                .diagnostics
                .error(ty, "a method of a service returns; remove the return type"),
            _ => visit::visit_type(self, ty),
        }
    }

    fn visit_type_path(&mut self, ty: &'ast syn::TypePath) {
        let first = ty.path.segments.first();
        if ty.qself.is_none() && ty.path.is_ident("usize") {
            self.diagnostics
                .error(ty, "`usize` has another size in another process; use `u64`");
        } else if ty.qself.is_none() && ty.path.is_ident("isize") {
            self.diagnostics
                .error(ty, "`isize` has another size in another process; use `i64`");
        } else if ty.qself.is_none() && ty.path.is_ident("str") {
            let verb = self.verb();
            self.diagnostics.error(
                ty,
                format!("what is sent to another process is owned; {verb} `String`"),
            );
        } else if names_rapace_context(&ty.path) {
            self.diagnostics.error(
                ty,
                "the context is borrowed and stands first; write `cx: &rapace::Context`",
            );
        } else if first.is_some_and(|segment| segment.ident == "Self") {
            self.diagnostics.error(
                ty,
                "`Self` is another type on the other side; name the type",
            );
        } else {
            visit::visit_type_path(self, ty);
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            let verb = self.verb();
            self.diagnostics.error(
                lifetime,
                format!("what is sent to another process is owned; {verb} a type without lifetime"),
            );
        }
    }

    /// The length of an array is not a type; `usize` is right there.
    fn visit_expr(&mut self, _: &'ast Expr) {}
}

/// The type as one would write it; tokens alone have a space between any two.
fn source(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, written) in [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ] {
        text = text.replace(spaced, written);
    }
    text
}

/// `rapace::Context`; a bare `Context` may well be a type of the user's own.
fn names_rapace_context(path: &syn::Path) -> bool {
    let names = path.segments.iter().map(|segment| &segment.ident);
    path.segments.len() == 2
        && names
            .zip(["rapace", "Context"])
            .all(|(name, want)| name == want)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(methods: &[(&str, u32)]) -> String {
        let ident = Ident::new("method", proc_macro2::Span::call_site());
        let mut diagnostics = Diagnostics::default();
        let methods = methods.iter().map(|(name, id)| (&ident, *name, *id));
        method_ids(methods, "Service", &mut diagnostics);
        diagnostics.into_tokens().to_string()
    }

    #[test]
    fn method_ids_that_are_zero_or_taken_are_reported() {
        assert_eq!(reported(&[("a", 1), ("b", 2)]), "");
        assert!(reported(&[("a", 1), ("b", 0)]).contains("`Service.b` hashes to the method id 0"));
        assert!(reported(&[("a", 7), ("b", 2), ("c", 7)]).contains(
            "`Service.c` has the same method id (0x00000007) as `Service.a`; rename one"
        ));
    }
}
