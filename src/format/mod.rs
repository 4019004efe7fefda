//! Bytes ↔ rows. Each format is strict: what it cannot read for certain is a reject or a fault, never a guess.

pub mod csv;
pub mod encoding;
pub mod fixed;
pub mod json;
pub mod json_value;
pub mod layout;
pub mod tape;
pub mod workbook;
pub mod write;
pub mod xml;
pub mod xml_value;
