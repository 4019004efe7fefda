//! What people and machines read about a run, made from what the ledger says and from nothing else.

pub mod document;
pub mod reconciliation;
pub mod rejects;
pub mod text;
