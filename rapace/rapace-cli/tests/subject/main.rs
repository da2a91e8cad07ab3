//! `rapace subject` as an outside suite sees it: real processes, and a peer whose frames are made
//! by hand ([`peer`]).
//!
//! | module | checks |
//! |---|---|
//! | `command_line` | addresses, answers, exit codes, signals |
//! | `calls` | one subject against another: every method, both transports |
//! | `handshake` | every way in which two sides do not agree to talk |
//! | `acceptor`, `initiator` | frames of calls, with a peer of minimal features |
//! | `streams` | frames of streams and tunnels, with and without credit |
//! | `control` | violations, verbs, pings, GoAway |

mod acceptor;
mod calls;
mod command_line;
mod control;
mod handshake;
mod initiator;
mod peer;
mod process;
mod streams;
