//! (see lib.rs)
pub mod row;
