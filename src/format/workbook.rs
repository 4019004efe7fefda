//! Workbooks (XLSX). A sheet is held in memory. What looks like a number in one is a float there: its shortest form is what
//! people see, and what is read.

use std::io::{self, Read, Seek};

use calamine::{Data, DataType, Reader, Xlsx};

use crate::domain::reject::{FileFault, RejectCode};

/// Most bytes of a workbook when it is unpacked, and most of them for each byte of the file.
const MOST_BYTES: u64 = 1 << 30;
const MOST_RATIO: u64 = 100;

/// Called with the line, the cells and the fault of each row.
pub type EachSheetRow<'a> = dyn FnMut(u64, &[String], Option<&(RejectCode, String)>) -> io::Result<()> + 'a;

/// Reads every row of a sheet; the first one without a name.
///
/// # Errors
/// The outer error is that of `row`, the inner one a fault of the file (`bad-workbook`).
pub fn read(
    mut input: impl Read + Seek,
    sheet: Option<&str>,
    row: &mut EachSheetRow<'_>,
) -> io::Result<Result<(), FileFault>> {
    let fault =
        |message: String| FileFault { code: RejectCode::BadWorkbook, row: None, byte: 0, column: None, message };
    if let Err(message) = check_size(&mut input) {
        return Ok(Err(fault(message)));
    }
    let mut book = match Xlsx::new(&mut input) {
        Ok(book) => book,
        Err(error) => return Ok(Err(fault(format!("this is no workbook: {error}")))),
    };
    let names = book.sheet_names();
    let name = match sheet {
        Some(name) if names.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => {
            let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            return Ok(Err(fault(format!("there is no sheet `{name}`; the workbook has {}", known.join(", ")))));
        }
        None => match names.first() {
            Some(first) => first.clone(),
            None => return Ok(Err(fault("the workbook has no sheet".to_owned()))),
        },
    };
    let range = match book.worksheet_range(&name) {
        Ok(range) => range,
        Err(error) => return Ok(Err(fault(format!("the sheet `{name}` cannot be read: {error}")))),
    };
    let (first_row, first_column) = range.start().unwrap_or((0, 0));
    for (line, cells) in (u64::from(first_row) + 1..).zip(range.rows()) {
        let mut texts = vec![String::new(); first_column as usize];
        let mut bad = None;
        for (at, cell) in cells.iter().enumerate() {
            match text(cell) {
                Ok(text) => texts.push(text),
                Err(message) => {
                    let column = column_name(first_column as usize + at);
                    bad.get_or_insert((RejectCode::BadCharacter, format!("cell {column}{line} {message}")));
                    texts.push(String::new());
                }
            }
        }
        row(line, &texts, bad.as_ref())?;
    }
    Ok(Ok(()))
}

/// A workbook is an archive; one that unpacks to far more than it is was made to do harm.
fn check_size(input: &mut (impl Read + Seek)) -> Result<(), String> {
    let size = input.seek(io::SeekFrom::End(0)).map_err(|error| error.to_string())?;
    input.rewind().map_err(|error| error.to_string())?;
    let mut archive = zip::ZipArchive::new(&mut *input).map_err(|error| format!("this is no workbook: {error}"))?;
    let mut unpacked = 0_u64;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(|error| format!("this is no workbook: {error}"))?;
        if entry.encrypted() {
            return Err("the workbook is protected with a password".to_owned());
        }
        unpacked = unpacked.saturating_add(entry.size());
    }
    drop(archive);
    input.rewind().map_err(|error| error.to_string())?;
    if unpacked > MOST_BYTES || unpacked > size.saturating_mul(MOST_RATIO) {
        return Err(format!("the workbook unpacks from {size} to {unpacked} bytes, which no sheet of cells does"));
    }
    Ok(())
}

/// The text of a cell: dates and times in ISO, numbers in their shortest form without an exponent.
fn text(cell: &Data) -> Result<String, String> {
    Ok(match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Bool(value) => value.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::DateTime(value) => {
            let moment = cell.as_datetime().ok_or("holds a date that cannot be read")?;
            let serial = value.as_f64();
            let format = match (serial.fract() == 0.0, serial < 1.0) {
                (true, _) => "%Y-%m-%d",
                (false, true) => "%H:%M:%S%.f",
                (false, false) => "%Y-%m-%dT%H:%M:%S%.f",
            };
            moment.format(format).to_string()
        }
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(error) => return Err(format!("holds the error {error}")),
    })
}

/// `1e21` is `1000000000000000000000` here.
fn decimal(number: f64) -> String {
    let text = number.to_string();
    if text == "-0" { "0".to_owned() } else { text }
}

/// `A`, `Z`, `AA`.
fn column_name(at: usize) -> String {
    let mut name = Vec::new();
    let mut rest = at + 1;
    while rest > 0 {
        name.push(b'A' + ((rest - 1) % 26) as u8);
        rest = (rest - 1) / 26;
    }
    name.iter().rev().map(|byte| char::from(*byte)).collect()
}

/// A workbook with one sheet of text cells. Texts stay texts, so leading zeros stay.
///
/// # Errors
/// More rows or columns than a sheet has, or a name that a sheet cannot have.
pub fn write(sheet: Option<&str>, rows: &[Vec<String>]) -> Result<Vec<u8>, String> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let page = book.add_worksheet();
    if let Some(name) = sheet {
        page.set_name(name).map_err(|error| error.to_string())?;
    }
    for (line, row) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(row).filter(|(_, cell)| !cell.is_empty()) {
            page.write_string(line, column, cell).map_err(|error| error.to_string())?;
        }
    }
    book.save_to_buffer().map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn rows(book: Vec<u8>, sheet: Option<&str>) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let read = read(Cursor::new(book), sheet, &mut |line, cells, fault| {
            let fault = fault.map(|(code, message)| format!(" {code}: {message}")).unwrap_or_default();
            found.push(format!("{line} {}{fault}", cells.join("|")));
            Ok(())
        });
        read.unwrap().map(|()| found).map_err(|fault| fault.message)
    }

    #[test]
    fn cells_are_read_as_people_see_them() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let page = book.add_worksheet().set_name("Orders").unwrap();
        let date = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
        let moment = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd hh:mm");
        page.write_string(0, 0, "0017").unwrap();
        page.write_number(0, 1, 12.5).unwrap();
        page.write_number(0, 2, 3.0).unwrap();
        page.write_number_with_format(0, 3, 46349.0, &date).unwrap();
        page.write_number_with_format(0, 4, 46349.5, &moment).unwrap();
        page.write_boolean(0, 5, true).unwrap();
        page.write_number(2, 0, 1e21).unwrap();
        let bytes = book.save_to_buffer().unwrap();
        assert_eq!(
            rows(bytes.clone(), None).unwrap(),
            ["1 0017|12.5|3|2026-11-23|2026-11-23T12:00:00|true", "2 |||||", "3 1000000000000000000000|||||"]
        );
        assert_eq!(rows(bytes, Some("Order")), Err("there is no sheet `Order`; the workbook has `Orders`".to_owned()));
    }

    #[test]
    fn what_is_no_workbook_says_so() {
        assert!(rows(b"id,qty\n1,2\n".to_vec(), None).unwrap_err().starts_with("this is no workbook"));
        assert_eq!([column_name(0), column_name(25), column_name(26), column_name(701)], ["A", "Z", "AA", "ZZ"]);
    }
}
