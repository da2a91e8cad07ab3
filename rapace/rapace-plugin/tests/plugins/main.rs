//! Plugins as real processes.
//!
//! The test executable is its own plugin and, for the tests of a host's death, its own host: it
//! starts itself with the name of an ignored test, so that plugin and test are always of the same
//! build.

mod calls;
mod chaos;
mod death;
mod host_death;
mod lab;
mod lifecycle;
