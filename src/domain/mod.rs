//! Ring 0, the words: plain types and arithmetic. No serde, tokio, SQL, clock, log, file system or network.

pub mod breaks;
pub mod control;
pub mod delivery;
pub mod file;
pub mod job;
pub mod measure;
pub mod name;
pub mod pace;
pub mod reconcile;
pub mod reference;
pub mod reject;
pub mod request;
pub mod run;
pub mod source;
pub mod wrapping;
