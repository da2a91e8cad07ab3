//! Bounds of everything that can grow.

use std::time::Duration;

/// What one session may use. Every table and queue of the session is bounded by one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest payload this side accepts, in bytes; the smaller of both sides' counts
    /// (\[hello.limits\]). Default: 1 GiB. A receiver allocates as bytes arrive, so raising it costs
    /// memory only for payloads that are really sent.
    pub max_payload_size: u32,
    /// Channels that each side may have open at once, counted per opener. Default: 16,384. Each
    /// costs about 200 bytes.
    pub max_channels: u32,
    /// Calls that may wait for their answers at once, for each direction. Default: 4,096. Each can
    /// hold a payload of up to `max_payload_size`.
    pub max_pending_calls: u32,
    /// What the peer may send on each stream or tunnel before this side has consumed any of it, in
    /// bytes (`rapace.window`, \[credit\]). Default: 1 MiB. Every unread stream can hold as much.
    pub window_bytes: u32,
    /// Violations of the peer that are answered before the session ends (\[violation\]).
    /// Default: 16.
    pub max_violations: u32,
    /// How long the peer may take to say Hello. Default: 10 s; at most 30 s (\[hello.fail\]).
    pub handshake_timeout: Duration,
    /// How long draining may take after a GoAway. Default: 30 s (\[goaway\]).
    pub grace: Duration,
    /// When the peer has been silent for this long, it is pinged (\[ping\]). Default: never: a dead
    /// process is seen by its link.
    pub ping_interval: Option<Duration>,
    /// How long a pinged peer may stay silent before it counts as dead. Default: 10 s.
    pub ping_timeout: Duration,
    /// What may lie unread on one stream or tunnel of a peer without credit flow control, in
    /// bytes; the channel is cancelled beyond it (\[credit\]). Default: 16 MiB.
    pub channel_buffer_bytes: u32,
    /// Queued bytes above which streams and new calls wait for the link. Default: 1 MiB. More
    /// only helps links that drain in bursts.
    pub send_queue_bytes: usize,
    /// Frames that answer what the peer sent (responses, Pongs, refusals, cancellations) and that
    /// it has not read; twice `max_pending_calls` if that is more. A peer that goes on sending
    /// beyond is cut off. Default: 65,536; each costs about 200 bytes beside its payload.
    pub max_queued_replies: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_payload_size: 1 << 30,
            max_channels: 16_384,
            max_pending_calls: 4_096,
            window_bytes: 1 << 20,
            max_violations: 16,
            handshake_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            ping_interval: None,
            ping_timeout: Duration::from_secs(10),
            channel_buffer_bytes: 16 << 20,
            send_queue_bytes: 1 << 20,
            max_queued_replies: 65_536,
        }
    }
}

/// What a receiver accepts before the Hellos have been exchanged, in bytes (PROTOCOL §1).
pub const PAYLOAD_BYTES_BEFORE_HELLO: u32 = 64 * 1024;
