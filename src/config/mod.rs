//! What people write: TOML files are read into a spanned tree, walked, and every mistake is collected with its place.
//!
//! `tree` reads tables, keys and values; `project`, `connections`, `job`, `mapping` and `lookup` know the language;
//! `diagnostic` and `render` say what is wrong; `secret` resolves references.

pub mod accept;
pub mod calendar;
pub mod catalogue;
pub mod columns;
mod condition;
mod connections;
pub mod diagnostic;
pub mod fix;
pub mod inline_test;
mod input;
mod job;
mod later;
pub mod layout;
mod layouts;
mod lookup;
mod mapping;
mod output;
pub mod places;
pub mod project;
pub mod propose;
mod recipe;
mod reconcile;
pub mod render;
mod request;
mod rules;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod source;
pub mod suggest;
mod template;
mod tree;
pub mod unit;
pub mod words;
mod wrapping;
