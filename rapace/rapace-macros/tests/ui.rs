//! What the macro says of traits that cannot be services: each error points at the token that is
//! wrong and names what to write instead.
//!
//! `TRYBUILD=overwrite cargo test -p rapace-macros --test ui` writes the expected output anew.

#[test]
fn a_trait_that_cannot_be_a_service_is_refused_at_the_offending_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
