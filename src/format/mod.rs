//! Bytes ↔ rows. Each format is strict: what it cannot read for certain is a reject or a fault, never a guess.

pub mod csv;
