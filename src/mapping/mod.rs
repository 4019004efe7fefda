//! Rows → payload bytes, by a compiled plan. Bad data is a value: a fault of a field, never an error of the program.

pub mod batch;
pub mod chunk;
pub mod claim;
mod clean;
pub mod condition;
mod date;
pub mod envelope;
mod facts;
pub mod gauge;
pub mod group;
pub mod header;
mod kept;
mod limits;
mod lookup;
pub mod mask;
pub mod moment;
mod number;
pub mod output;
pub mod plan;
mod quick;
mod record;
mod rule;
mod shape;
pub mod spec;
mod special;
mod stamp;
pub mod tally;
mod text;
mod text_format;
mod value;
mod version;
mod warned;
pub mod writable;
mod write;

pub use facts::{Facts, key_facts};
pub use version::version;
