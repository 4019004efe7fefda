//! stub
use crate::domain::reject::{FileFault, RejectCode};
use std::io::{self, Read, Seek};
pub fn read(
    _input: impl Read + Seek,
    _sheet: Option<&str>,
    _row: &mut dyn FnMut(u64, &[String], Option<&(RejectCode, String)>) -> io::Result<()>,
) -> io::Result<Result<(), FileFault>> {
    Ok(Ok(()))
}
pub fn write(_sheet: Option<&str>, _rows: &[Vec<String>]) -> Vec<u8> {
    Vec::new()
}
