//! One tracing span per call on each side, joined by a trace id that travels as metadata.
//!
//! The key is `traceparent` and its value has the form of the W3C recommendation
//! (`00-<trace id>-<span id>-01`). It is sent only while spans of the target `rapace` are enabled
//! at debug level: otherwise a call carries no metadata and costs none.

use std::cell::Cell;

use bytes::Bytes;
use rapace_core::Metadata;
use tracing::{Level, Span};

use crate::method::MethodSpec;
use crate::router::Route;
use crate::runtime::Runtime;

const KEY: &str = "traceparent";

thread_local! {
    /// The trace of the handler that is being polled on this thread: calls that it starts
    /// belong to it.
    static CURRENT: Cell<Option<u128>> = const { Cell::new(None) };
}

fn enabled() -> bool {
    tracing::enabled!(target: "rapace", Level::DEBUG)
}

/// The span of an outgoing call; puts its trace into `metadata`.
pub(crate) fn call_span(spec: &MethodSpec, runtime: &dyn Runtime, metadata: &mut Metadata) -> Span {
    if !enabled() {
        return Span::none();
    }
    // Set by the user, or by the first attempt of a call that is repeated.
    let given = metadata.get(KEY).and_then(|value| parse(value));
    let (trace, parent) = given.unwrap_or_else(|| {
        let trace = CURRENT
            .get()
            .unwrap_or_else(|| u128::from(runtime.random()) << 64 | u128::from(runtime.random()));
        (trace, runtime.random())
    });
    if metadata.get(KEY).is_none() {
        let value = format!("00-{trace:032x}-{parent:016x}-01");
        // A full table of the user's own metadata leaves no room; the call matters more.
        let _ = metadata.insert(KEY.to_owned(), Bytes::from(value));
    }
    tracing::debug_span!(
        target: "rapace",
        "call",
        method = %spec.full_name(),
        trace_id = %format_args!("{trace:032x}"),
        span_id = %format_args!("{parent:016x}"),
    )
}

/// The span of an incoming call, in the trace that its caller named.
pub(crate) fn serve_span(route: &Route, metadata: &Metadata) -> ServeSpan {
    if !enabled() {
        return ServeSpan {
            span: Span::none(),
            trace: None,
        };
    }
    let parsed = metadata.get(KEY).and_then(|value| parse(value));
    let span = match parsed {
        Some((trace, parent)) => tracing::debug_span!(
            target: "rapace",
            "serve",
            method = %route.full_name(),
            trace_id = %format_args!("{trace:032x}"),
            parent_span_id = %format_args!("{parent:016x}"),
        ),
        None => tracing::debug_span!(target: "rapace", "serve", method = %route.full_name()),
    };
    ServeSpan {
        span,
        trace: parsed.map(|(trace, _)| trace),
    }
}

/// A handler's span and the trace that its own calls continue.
pub(crate) struct ServeSpan {
    span: Span,
    trace: Option<u128>,
}

impl ServeSpan {
    /// Runs `f` inside of the span.
    pub(crate) fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        if self.trace.is_none() {
            return self.span.in_scope(f);
        }
        let before = CURRENT.replace(self.trace);
        let result = self.span.in_scope(f);
        CURRENT.set(before);
        result
    }
}

fn parse(value: &[u8]) -> Option<(u128, u64)> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('-');
    let (_version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    if trace.len() != 32 || parent.len() != 16 {
        return None;
    }
    Some((
        u128::from_str_radix(trace, 16).ok()?,
        u64::from_str_radix(parent, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_traceparent_is_read_and_rubbish_is_not() {
        let good = b"00-000102030405060708090a0b0c0d0e0f-0011223344556677-01";
        let (trace, parent) = parse(good).expect("well-formed");
        assert_eq!(trace, 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        assert_eq!(parent, 0x0011_2233_4455_6677);
        for bad in [
            "",
            "00-12-34-01",
            "00-zz0102030405060708090a0b0c0d0e0f-0011223344556677-01",
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad:?} was accepted");
        }
    }
}
