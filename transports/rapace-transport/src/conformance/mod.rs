//! The suite that every transport passes: each promise of the traits in [`link`](crate::link) as
//! one case.
//!
//! | module | cases about |
//! |---|---|
//! | `delivery` | order, sizes, descriptors, inline payloads, chains, loans, both directions |
//! | `pressure` | backpressure, bounded buffering, sends dropped half way |
//! | `ending` | close, peer close, lost links, sticky errors, the payload limit |
//! | `wakers` | which waker is woken, and that an idle link wakes none |
//! | [`traffic`] | frames whose content can be checked, and the futures that carry them |
//!
//! The suite brings no runtime, clock or thread. A case is an async function over a pair factory;
//! [`conformance_suite!`](crate::conformance_suite) makes each one a `#[test]` of its own, run by
//! the function that the transport's tests name. That function should put a time limit on a case,
//! and fail a case that takes as long as the limit: a lost wake-up shows as a case that never ends,
//! or ends only when the timer makes its task look again.
//!
//! ```ignore
//! async fn pair(config: PairConfig) -> Pair { /* two connected ends */ }
//! fn run(case: impl Future<Output = ()>) { runtime().block_on(with_time_limit(case)) }
//!
//! rapace_transport::conformance_suite!(run: run, pair: pair);
//! ```
//!
//! A case panics with a sentence that names the broken promise.

mod delivery;
mod ending;
mod pressure;
pub mod traffic;
mod wakers;

pub use delivery::*;
pub use ending::*;
pub use pressure::*;
pub use wakers::*;

use crate::Transport;

/// The two ends of one link.
pub type Pair = (Box<dyn Transport>, Box<dyn Transport>);

/// What a case asks of the pair factory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PairConfig {
    /// Make every buffer that the transport has as small as it can be, so that frames are split
    /// and senders wait often.
    pub small_buffers: bool,
}

impl PairConfig {
    /// Buffers as users get them.
    pub const USUAL: PairConfig = PairConfig {
        small_buffers: false,
    };
    /// The smallest buffers there are.
    pub const SMALL: PairConfig = PairConfig {
        small_buffers: true,
    };
}

/// Makes every case of the suite a `#[test]`.
///
/// `run` is a function that drives `impl Future<Output = ()>` to its end, `pair` an
/// `async fn(PairConfig) -> Pair`.
#[macro_export]
macro_rules! conformance_suite {
    (run: $run:path, pair: $pair:path $(,)?) => {
        $crate::conformance_suite! { @cases $run, $pair;
            order_is_kept,
            every_payload_size_arrives_whole,
            every_payload_size_arrives_whole_through_small_buffers,
            row_17_a_payload_of_17_mib_arrives,
            short_payloads_are_inline,
            descriptors_arrive_unchanged,
            chains_arrive_as_one_run,
            loans_arrive_like_other_payloads,
            both_directions_at_once,
            payloads_outlive_the_link,
            backpressure_bounds_what_is_buffered,
            backpressure_bounds_what_is_buffered_in_small_buffers,
            row_05_a_dropped_send_tears_no_frame,
            flushing_nothing_is_ready,
            row_07_close_wakes_a_blocked_receive,
            close_flushes_first,
            close_is_idempotent,
            a_closed_sink_takes_no_frames,
            peer_close_is_closed_and_stays_closed,
            a_dropped_peer_is_seen_by_both_halves,
            payload_limit_is_64_kib_before_it_is_raised,
            payload_limit_holds_after_it_is_raised,
            receive_wakes_the_last_task,
            ready_wakes_the_last_task,
            an_idle_link_wakes_nobody,
        }
    };
    (@cases $run:path, $pair:path; $($case:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                $run($crate::conformance::$case($pair));
            }
        )*
    };
}
