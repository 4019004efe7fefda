//! stub
use super::json::{Summary, Unpacked};
use crate::domain::reject::FileFault;
use std::io::{self, Read};
pub fn read(
    _input: &mut dyn Read,
    _each: Option<&str>,
    _columns: &[String],
    _row: &mut dyn FnMut(Unpacked<'_>) -> io::Result<()>,
) -> io::Result<Result<Summary, FileFault>> {
    Ok(Ok(Summary::default()))
}
