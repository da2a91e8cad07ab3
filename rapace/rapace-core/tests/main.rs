//! The protocol, section by section, through two sessions in virtual time or one session and
//! frames made by hand. Tests name the rules of docs/protocol.md that they check.
#![allow(
    clippy::format_push_string,
    clippy::unnecessary_wraps,
    clippy::default_trait_access,
    clippy::match_bool,
    reason = "style that costs the tests more lines than it makes clear"
)]

mod calls;
mod control;
mod credit;
mod deadlines;
mod goaway;
mod golden;
mod handshake;
mod pair;
mod ping;
mod random;
mod streams;
mod table;
mod violations;
