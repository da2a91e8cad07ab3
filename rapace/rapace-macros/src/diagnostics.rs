//! Errors that are collected, so that all of them are reported at once.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors met so far.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
}

impl Diagnostics {
    /// Records an error that underlines `tokens`.
    pub(crate) fn error(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Records an error that already knows its place.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// One `compile_error!` per error.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors
            .iter()
            .map(syn::Error::to_compile_error)
            .collect()
    }
}

/// `did you mean` for a misspelt word, or the whole choice when nothing is near.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= 1 + candidate.len() / 4 => {
            format!("did you mean `{candidate}`?")
        }
        _ => {
            let choice: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("expected {}", choice.join(" or "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_gets_the_choice() {
        let known = ["oneway", "idempotent"];
        assert_eq!(suggestion("one_way", &known), "did you mean `oneway`?");
        assert_eq!(
            suggestion("idempotant", &known),
            "did you mean `idempotent`?"
        );
        assert_eq!(
            suggestion("cached", &known),
            "expected `oneway` or `idempotent`"
        );
    }
}
