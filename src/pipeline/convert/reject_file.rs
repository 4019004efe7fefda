//! Rejects in a file, until the ledger has them.

use std::io::{self, Read, Write};

use crate::domain::reject::{Reject, RejectCode};

/// Writes a reject.
pub fn write_reject(output: &mut dyn Write, reject: &Reject) -> io::Result<()> {
    output.write_all(&reject.row.to_le_bytes())?;
    output.write_all(&reject.byte.to_le_bytes())?;
    write_part(output, reject.code.word().as_bytes())?;
    write_part(output, reject.message.as_bytes())?;
    write_part(output, &reject.raw)?;
    write_optional(output, reject.column.as_deref())?;
    write_optional(output, reject.masked.as_deref())
}

/// Reads a reject; `None` at the end of the file.
pub fn read_reject(input: &mut dyn Read) -> io::Result<Option<Reject>> {
    let Some(row) = read_first_number(input)? else { return Ok(None) };
    Ok(Some(Reject {
        row,
        byte: read_number(input)?,
        code: RejectCode::from_word(&read_text(input)?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?,
        message: read_text(input)?,
        raw: read_part(input)?,
        column: read_optional(input)?,
        masked: read_optional(input)?,
    }))
}

/// Writes bytes with their length.
pub fn write_part(output: &mut dyn Write, part: &[u8]) -> io::Result<()> {
    output.write_all(&(part.len() as u64).to_le_bytes())?;
    output.write_all(part)
}

fn write_optional(output: &mut dyn Write, text: Option<&str>) -> io::Result<()> {
    output.write_all(&[u8::from(text.is_some())])?;
    write_part(output, text.unwrap_or_default().as_bytes())
}

/// The first number of an entry; `None` at the end of the file.
pub fn read_first_number(input: &mut dyn Read) -> io::Result<Option<u64>> {
    let mut number = [0; 8];
    match input.read_exact(&mut number) {
        Ok(()) => Ok(Some(u64::from_le_bytes(number))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a number.
pub fn read_number(input: &mut dyn Read) -> io::Result<u64> {
    let mut number = [0; 8];
    input.read_exact(&mut number)?;
    Ok(u64::from_le_bytes(number))
}

/// Reads bytes with their length.
pub fn read_part(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut part = vec![0; read_number(input)? as usize];
    input.read_exact(&mut part)?;
    Ok(part)
}

/// Reads a text with its length.
pub fn read_text(input: &mut dyn Read) -> io::Result<String> {
    String::from_utf8(read_part(input)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn read_optional(input: &mut dyn Read) -> io::Result<Option<String>> {
    let mut has = [0];
    input.read_exact(&mut has)?;
    let text = read_text(input)?;
    Ok((has[0] == 1).then_some(text))
}
