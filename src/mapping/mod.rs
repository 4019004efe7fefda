//! Rows → payload bytes, by a compiled plan. Bad data is a value: a fault of a field, never an error of the program.

pub mod batch;
mod check;
pub mod chunk;
mod clean;
mod date;
mod facts;
mod header;
mod lookup;
mod number;
pub mod plan;
mod record;
pub mod spec;
mod text;
mod value;
mod version;
mod write;

pub use facts::{Facts, key_facts};
pub use version::version;
