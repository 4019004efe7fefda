//! What people and machines read about a run, made from what the ledger says and from nothing else.

pub mod books;
pub mod document;
pub mod evidence;
pub mod page;
pub mod reconciliation;
pub mod reject_file;
pub mod rejects;
pub mod sheet;
pub mod summary;
pub mod text;
pub mod workbook;
