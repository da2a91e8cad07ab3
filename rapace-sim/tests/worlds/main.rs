//! Whole worlds, through the public API.

mod basics;
