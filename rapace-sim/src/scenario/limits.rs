//! The limits of a process.

use std::time::Duration;

use rapace_session::Limits;

use super::document::{Field, Table};
use super::error::Problem;

/// The keys of `limits`.
pub(super) const KEYS: &[&str] = &[
    "max_payload_size",
    "max_channels",
    "max_pending_calls",
    "window_bytes",
    "max_violations",
    "handshake_timeout",
    "grace",
    "ping_interval",
    "ping_timeout",
    "channel_buffer_bytes",
    "send_queue_bytes",
    "max_queued_replies",
];

pub(super) fn read(field: Field<'_, '_>) -> Result<Limits, Problem> {
    let (span, entries) = field.table()?;
    let table = Table::new(entries, span, "`limits`", KEYS)?;
    let mut limits = Limits::default();
    let bytes = |key, place: &mut u32| {
        table
            .bytes(key)
            .map(|bytes| *place = bytes.unwrap_or(*place))
    };
    bytes("max_payload_size", &mut limits.max_payload_size)?;
    bytes("window_bytes", &mut limits.window_bytes)?;
    bytes("channel_buffer_bytes", &mut limits.channel_buffer_bytes)?;
    bytes("max_channels", &mut limits.max_channels)?;
    bytes("max_pending_calls", &mut limits.max_pending_calls)?;
    bytes("max_violations", &mut limits.max_violations)?;
    bytes("max_queued_replies", &mut limits.max_queued_replies)?;
    if let Some(bytes) = table.bytes("send_queue_bytes")? {
        limits.send_queue_bytes = bytes as usize;
    }
    let span = |key, place: &mut Duration| {
        table
            .nanos(key)
            .map(|span| *place = span.map_or(*place, Duration::from))
    };
    span("handshake_timeout", &mut limits.handshake_timeout)?;
    span("grace", &mut limits.grace)?;
    span("ping_timeout", &mut limits.ping_timeout)?;
    limits.ping_interval = table.nanos("ping_interval")?.map(Duration::from);
    if limits.handshake_timeout > Duration::from_secs(30)
        && let Some(field) = table.get("handshake_timeout")
    {
        return Err(Problem::new(field.span(), "a handshake takes at most 30s"));
    }
    Ok(limits)
}
