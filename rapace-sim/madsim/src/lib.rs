//! Worlds in [madsim], for the shipping driver: one thread, virtual time, and a scheduler that picks
//! the next task at random.
//!
//! | module | owns |
//! |---|---|
//! | [`world`] | [`World`]: nodes that are killed, restarted, paused and cut off, and what must hold after it |
//! | [`worlds`] | the worlds themselves, by name |
//! | `net`, `socket` | madsim's network, and its TCP stream in a process that can be killed |
//! | [`book`], [`dialer`], [`host`], [`log`], [`plugin`] | the same sources as in the turmoil worlds |
//!
//! `rapace-session`, `rapace-stream` and `rapace-testbed` are the shipping sources, compiled against
//! `madsim-tokio` by the manifests in `shadow`. Nothing of them knows.
//!
//! [madsim]: https://docs.rs/madsim
#![forbid(unsafe_code)]

#[cfg(not(madsim))]
compile_error!(
    "the madsim worlds need `--cfg madsim`: run cargo inside rapace-sim/madsim, where \
     .cargo/config.toml sets it, and without RUSTFLAGS in the environment, which would replace it"
);

#[path = "../../turmoil/src/book.rs"]
pub mod book;
#[path = "../../turmoil/src/dialer.rs"]
pub mod dialer;
#[path = "../../turmoil/src/host.rs"]
pub mod host;
#[path = "../../turmoil/src/log.rs"]
pub mod log;
mod net;
#[path = "../../turmoil/src/plugin.rs"]
pub mod plugin;
mod socket;
pub mod world;
pub mod worlds;

pub use world::World;
