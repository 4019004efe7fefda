//! Workbooks (XLSX), in constant memory: rows go to a file of the library, and the packed book is handed out at its end.
//!
//! A number is a number of the sheet where a float holds all its digits, and text where not; a day is a date of the sheet. A date
//! with a time is text: a sheet has no offsets. Text is never a formula.

use chrono::{Datelike as _, NaiveDate};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, XlsxError};

use super::style::{Cells, Column, Kind, Style};
use super::{RecordWriter, Refused};
use crate::domain::reject::RejectCode;

/// Most characters of a cell, and most rows of a sheet.
const MOST_CHARACTERS: usize = 32_767;
const MOST_ROWS: u32 = 1_048_576;
/// The digits that a float certainly keeps.
const MOST_DIGITS: usize = 15;

/// How a workbook is written.
#[derive(Clone, Debug)]
pub struct XlsxStyle {
    /// The name of the sheet.
    pub sheet: Option<String>,
    /// The first row names the columns.
    pub header: bool,
}

/// Writes a workbook with one sheet.
pub struct XlsxWriter {
    cells: Cells,
    style: XlsxStyle,
    book: Option<Workbook>,
    /// The row that is written next.
    row: u32,
    /// The first thing that went wrong, told at the end.
    failed: Option<String>,
}

impl XlsxWriter {
    /// A sheet with these columns.
    pub fn new(columns: Vec<Column>, style: XlsxStyle) -> Self {
        Self { cells: Cells::new(columns), style, book: None, row: 0, failed: None }
    }

    fn fail(&mut self, result: Result<(), XlsxError>) {
        if let Err(error) = result {
            self.failed.get_or_insert(format!("the workbook cannot be written: {error}"));
        }
    }

    fn head(&self, book: &mut Workbook) -> Result<(), XlsxError> {
        let sheet = book.add_worksheet_with_constant_memory()?;
        if let Some(name) = &self.style.sheet {
            sheet.set_name(name)?;
        }
        if self.style.header {
            for (at, column) in (0..).zip(self.cells.columns()) {
                sheet.write_string(0, at, &column.path)?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), XlsxError> {
        let Some(book) = &mut self.book else { return Ok(()) };
        let sheet = book.worksheet_from_index(0)?;
        for (column, kind, text) in self.cells.iter() {
            let at = u16::try_from(column).unwrap_or(u16::MAX);
            let style = self.cells.columns().get(column).map(|column| &column.style);
            match (kind, style) {
                (Kind::Nothing, _) => {}
                (Kind::Boolean, _) => drop(sheet.write_boolean(self.row, at, text == "true")?),
                (Kind::Number, _) => match number(text) {
                    Some((number, decimals)) => {
                        let format = Format::new().set_num_format(picture(decimals));
                        sheet.write_number_with_format(self.row, at, number, &format)?;
                    }
                    None => drop(sheet.write_string(self.row, at, text)?),
                },
                (Kind::Text, Some(Style::Date(None))) if day(text).is_some() => {
                    let format = Format::new().set_num_format("yyyy-mm-dd");
                    if let Some(day) = day(text) {
                        sheet.write_datetime_with_format(self.row, at, &day, &format)?;
                    }
                }
                (Kind::Text, _) => drop(sheet.write_string(self.row, at, text)?),
            }
        }
        Ok(())
    }
}

/// A number that a float holds exactly enough, and its decimals.
fn number(digits: &str) -> Option<(f64, usize)> {
    let significant = digits.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let number = digits.parse().ok().filter(|_| significant <= MOST_DIGITS)?;
    Some((number, decimals))
}

fn picture(decimals: usize) -> String {
    if decimals == 0 { "0".to_owned() } else { format!("0.{}", "0".repeat(decimals)) }
}

/// A day that a sheet has; before March 1900 its calendar is wrong.
fn day(text: &str) -> Option<ExcelDateTime> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let (year, month, of_month) = (u16::try_from(day.year()).ok()?, day.month() as u8, day.day() as u8);
    if year < 1901 {
        return None;
    }
    ExcelDateTime::from_ymd(year, month, of_month).ok()
}

/// What a cell of a sheet cannot hold.
fn fault(text: &str) -> Option<(RejectCode, String)> {
    let length = text.encode_utf16().count();
    if length > MOST_CHARACTERS {
        let message = format!("has {length} characters, and a cell of a sheet has {MOST_CHARACTERS}");
        return Some((RejectCode::TooLong, message));
    }
    let bad = |character: char| matches!(character, '\0'..='\u{8}' | '\u{B}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
    text.chars().any(bad).then(|| (RejectCode::BadCharacter, "holds a character that a sheet cannot".to_owned()))
}

impl RecordWriter for XlsxWriter {
    fn begin(&mut self, _out: &mut Vec<u8>) {
        let mut book = Workbook::new();
        let done = self.head(&mut book);
        self.row = u32::from(self.style.header);
        self.book = Some(book);
        self.failed = None;
        self.fail(done);
    }

    fn record(&mut self, record: &[u8], _out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        self.cells.read(record, refused);
        for (column, _, text) in self.cells.iter() {
            if let Some((code, message)) = fault(text) {
                refused.push(Refused { column, code, message });
            }
        }
        if !refused.is_empty() || self.book.is_none() {
            return;
        }
        if self.row >= MOST_ROWS {
            self.failed.get_or_insert(format!("a sheet holds {MOST_ROWS} rows, and there are more records"));
            return;
        }
        let done = self.write();
        self.fail(done);
        self.row += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let Some(mut book) = self.book.take() else { return Ok(()) };
        let bytes = book.save_to_buffer().map_err(|error| format!("the workbook cannot be written: {error}"))?;
        out.extend_from_slice(&bytes);
        Ok(())
    }

    fn tail(&self) -> usize {
        0
    }
}
