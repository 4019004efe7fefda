//! The header of a file, for those who look at a mapping before the next file comes.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use crate::config::columns::SeenFile;
use crate::format::csv::Dialect;
use crate::format::csv::split::Splitter;
use crate::format::encoding::{Encoding, Transcoder};
use crate::format::layout::Occurs;
use crate::format::workbook;
use crate::mapping::spec::{Format, MappingSpec};

use super::trial::file_of;

/// How much of a file is looked at.
const LOOK: u64 = 1 << 20;

/// The header of a file that the mapping reads; `None` when such files have none, or it cannot be read.
///
/// # Errors
/// Those of reading and of a scratch file.
pub fn header(file: File, name: &str, role: &'static str, spec: &MappingSpec) -> io::Result<Option<SeenFile>> {
    if !spec.input.header {
        return Ok(None);
    }
    let found = match spec.input.format {
        Format::Csv => of_text(file, spec)?,
        Format::Xlsx => of_workbook(file, spec)?,
        Format::Fixed | Format::Json | Format::Jsonl | Format::Xml => None,
    };
    Ok(found.map(|(columns, text)| SeenFile { name: name.to_owned(), role, columns, text }))
}

fn of_text(mut file: File, spec: &MappingSpec) -> io::Result<Option<(Vec<String>, String)>> {
    file.rewind()?;
    let encoding = Encoding::parse(&spec.input.encoding).unwrap_or(Encoding::UTF_8);
    let mut bytes = Vec::new();
    let read = Transcoder::new(BufReader::new(file), encoding).take(LOOK).read_to_end(&mut bytes);
    if read.is_err() {
        return Ok(None);
    }
    let Ok(mut splitter) =
        Splitter::open(file_of(&bytes)?, Dialect::new(spec.input.delimiter, spec.input.quote), 1 << 16)?
    else {
        return Ok(None);
    };
    splitter.skip_lines(spec.input.skip_rows)?;
    for _ in spec.layouts.iter().filter(|layout| layout.occurs == Occurs::First) {
        let _ = splitter.first_row(true)?;
    }
    let Ok(Some(first)) = splitter.first_row(true)? else { return Ok(None) };
    // What stands before the header keeps its lines, so that the number beside the header is right.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = usize::try_from(first.place.line).unwrap_or(1);
    let end: usize = text.split_inclusive(['\n']).take(line).map(str::len).sum();
    let text = text.get(..end).unwrap_or_default().trim_start_matches('\u{feff}').to_owned();
    Ok(Some((first.cells, text)))
}

fn of_workbook(file: File, spec: &MappingSpec) -> io::Result<Option<(Vec<String>, String)>> {
    let mut columns: Option<Vec<String>> = None;
    let read = workbook::read(BufReader::new(file), spec.input.sheet.as_deref(), &mut |line, cells, _| {
        let wanted = line > u64::from(spec.input.skip_rows) && cells.iter().any(|cell| !cell.is_empty());
        if wanted && columns.is_none() {
            columns = Some(cells.iter().filter(|cell| !cell.is_empty()).cloned().collect());
        }
        Ok(())
    })?;
    Ok(read.ok().and(columns).map(|columns| (columns.clone(), columns.join(";") + "\n")))
}
