//! HTML escaping, and template environments that use it.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter};

/// Escapes `text` for HTML element content and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a String cannot fail.
    let _ = pulldown_cmark_escape::escape_html(&mut escaped, text);
    escaped
}

/// A template environment that escapes strings, refuses unknown variables, and leaves `/` alone.
///
/// The default formatter writes every `/` as `&#x2f;`, which is correct and makes the URLs of a
/// page unreadable.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(|output, state, value| match value.as_str() {
        Some(text)
            if value.kind() == ValueKind::String
                && !value.is_safe()
                && matches!(state.auto_escape(), AutoEscape::Html) =>
        {
            output.write_str(&escape(text))?;
            Ok(())
        }
        _ => escape_formatter(output, state, value),
    });
    environment
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    #[test]
    fn template_strings_are_escaped_and_urls_stay_readable() {
        let environment = super::environment();
        let rendered = environment
            .render_named_str(
                "t.html",
                "<a href=\"{{ url }}\">{{ text }}</a>",
                context! {
                    url => "guide/a.html?b=1&c=\"2\"", text => "<b>",
                },
            )
            .unwrap();
        assert_eq!(
            rendered,
            "<a href=\"guide/a.html?b=1&amp;c=&quot;2&quot;\">&lt;b&gt;</a>"
        );
    }

    #[test]
    fn unknown_template_variables_are_errors() {
        let environment = super::environment();
        assert!(
            environment
                .render_named_str("t.html", "{{ nothing }}", context! {})
                .is_err()
        );
    }
}
