//! The protocol, section by section, through two sessions in virtual time or one session and
//! frames made by hand. Tests name the rules of docs/protocol.md that they check.

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
