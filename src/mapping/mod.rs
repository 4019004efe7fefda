//! (see lib.rs)
pub mod spec;
