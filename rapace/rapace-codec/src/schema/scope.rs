//! A schema together with the schemas that enclose it, to follow back references.

use super::Schema;

/// A place in a schema.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) node: &'a Schema,
    up: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// The outermost place.
    pub(crate) fn root(node: &'a Schema) -> Self {
        Self { node, up: None }
    }

    /// A place directly inside this one.
    pub(crate) fn child<'b>(&'b self, node: &'b Schema) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            node,
            up: Some(self),
        }
    }

    /// The place that a back reference means, this place itself for all other schemas; `None` when
    /// the reference points outside the schema.
    pub(crate) fn resolve(&'a self) -> Option<&'a Scope<'a>> {
        let Schema::BackRef(levels) = self.node else {
            return Some(self);
        };
        let mut scope = self;
        for _ in 0..*levels {
            scope = scope.up?;
        }
        // A reference to itself would never end.
        (*levels > 0).then_some(scope)
    }
}
