//! The tests of `plugins`, once more over frames on a stream socket.

#[path = "../plugins/calls.rs"]
mod calls;
#[path = "../plugins/chaos.rs"]
mod chaos;
#[path = "../plugins/death.rs"]
mod death;
#[path = "../plugins/host_death.rs"]
mod host_death;
#[path = "../plugins/lab.rs"]
mod lab;
#[path = "../plugins/lifecycle.rs"]
mod lifecycle;
