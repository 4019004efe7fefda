//! What people write: TOML files are read into a spanned tree, walked, and every mistake is collected with its place.
//!
//! `tree` reads tables, keys and values; `project`, `connections`, `job`, `mapping` and `lookup` know the language;
//! `diagnostic` and `render` say what is wrong; `secret` resolves references.

mod connections;
pub mod diagnostic;
mod job;
mod later;
mod lookup;
mod mapping;
pub mod project;
mod recipe;
pub mod render;
pub mod secret;
mod template;
mod tree;
mod unit;
