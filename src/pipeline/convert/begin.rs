//! The beginning of a file: decoded, unpacked if it is no delimiter-separated text, its header read, the plan compiled.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};

use super::ConvertInput;
use super::sorter::scratch_file;
use crate::domain::file::ByteCounts;
use crate::domain::reject::{FileFault, RejectCode};
use crate::format::csv::Dialect;
use crate::format::csv::split::{FirstRow, Splitter};
use crate::format::encoding::{Encoding, Transcoder};
use crate::format::fixed::{self, FixedInput};
use crate::format::layout::{ColumnPlace, FoundLine, LayoutSpec, LineSign, Occurs};
use crate::format::{json, tape, workbook, xml};
use crate::mapping::chunk::TextOf;
use crate::mapping::plan::{Beginning, Plan};
use crate::mapping::spec::{Format, InputSpec, MappingSpec, Ragged, UnknownColumns};

/// A file whose beginning has been read.
pub(super) struct Begun<'a> {
    pub(super) splitter: Splitter<'a, File>,
    /// `None` when there are no rows, not even a header.
    pub(super) plan: Option<Plan>,
    pub(super) text_of: TextOf,
    pub(super) bytes: ByteCounts,
    /// The file has neither a header nor a row: for the message, what it has instead.
    pub(super) nothing: Option<&'static str>,
    pub(super) warnings: Vec<String>,
    /// Header lines, and for tapes trailers too.
    pub(super) lines: Vec<FoundLine>,
}

/// Opens the file, reads the header and compiles the plan.
pub(super) fn begin<'a>(input: &ConvertInput<'a>, chunk: usize) -> io::Result<Result<Begun<'a>, FileFault>> {
    let encoding = Encoding::parse(&input.spec.input.encoding).unwrap_or(Encoding::UTF_8);
    let file = input.file.try_clone()?;
    match input.spec.input.format {
        Format::Csv if encoding.is_utf8() => csv(file, TextOf::File, 0, input, chunk),
        Format::Csv => {
            let (text, mark) = decode(file, encoding, input)?;
            csv(text, TextOf::Decoded(encoding), mark, input, chunk)
        }
        _ => unpack(file, encoding, input, chunk),
    }
}

/// Decodes a file into another one; bytes that are no text stay bytes that are no text. Also the length of its mark.
fn decode(file: File, encoding: Encoding, input: &ConvertInput<'_>) -> io::Result<(File, u64)> {
    let mut transcoder = Transcoder::new(BufReader::with_capacity(1 << 18, file), encoding);
    let mut text = scratch_file(input.scratch)?;
    io::copy(&mut transcoder, &mut text)?;
    text.rewind()?;
    Ok((text, transcoder.mark_len()))
}

fn csv<'a>(
    file: File,
    text_of: TextOf,
    mark: u64,
    input: &ConvertInput<'a>,
    chunk: usize,
) -> io::Result<Result<Begun<'a>, FileFault>> {
    let spec = input.spec;
    let dialect = Dialect::new(spec.input.delimiter, spec.input.quote);
    let mut splitter = match Splitter::open(file, dialect, chunk)? {
        Ok(splitter) => splitter,
        Err(fault) => return Ok(Err(fault)),
    };
    splitter.measure(text_of_len(text_of), mark);
    let mut bytes = ByteCounts { preamble: splitter.mark() + mark, ..ByteCounts::default() };
    bytes.preamble += splitter.skip_lines(spec.input.skip_rows)?;
    let mut lines = Vec::new();
    for layout in spec.layouts.iter().filter(|layout| layout.occurs == Occurs::First) {
        match header_line(&mut splitter, layout, spec.input.delimiter)? {
            Ok((line, length)) => {
                bytes.header += length;
                lines.push(line);
            }
            Err(fault) => return Ok(Err(fault)),
        }
    }
    let first = match splitter.first_row(spec.input.header)? {
        Ok(first) => first,
        Err(fault) => return Ok(Err(fault)),
    };
    let blank = splitter.blank();
    let Some(first) = first else {
        bytes.blank = blank;
        let nothing = match (bytes.blank + bytes.header, bytes.preamble) {
            (0, 0) => "the file is empty (0 bytes)",
            (0, _) => "the file is empty (a byte order mark or a preamble, and nothing else)",
            _ => "the file has blank lines only",
        };
        let (plan, nothing) = (None, Some(nothing));
        return Ok(Ok(Begun { splitter, plan, text_of, bytes, nothing, warnings: Vec::new(), lines }));
    };
    if spec.input.header {
        bytes.preamble += blank;
        bytes.header += first.length;
    } else {
        bytes.blank = blank;
    }
    let begun = beginning(&spec.input, &first, declared(&lines));
    Ok(Plan::new(spec, input.facts, begun).map(|(plan, warning)| Begun {
        splitter,
        plan: Some(plan),
        text_of,
        bytes,
        nothing: None,
        warnings: warning.into_iter().collect(),
        lines,
    }))
}

fn text_of_len(text_of: TextOf) -> Option<Encoding> {
    match text_of {
        TextOf::Decoded(encoding) => Some(encoding),
        TextOf::File | TextOf::Tape => None,
    }
}

/// `LAYOUT.COLUMN` of header lines, with the cell.
fn declared(lines: &[FoundLine]) -> BTreeMap<String, String> {
    let first = lines.iter().filter(|line| line.occurs == Occurs::First);
    first
        .flat_map(|line| line.cells.iter().map(|(name, cell)| (format!("{}.{name}", line.layout), cell.clone())))
        .collect()
}

/// The columns of the file.
fn beginning(input: &InputSpec, first: &FirstRow, declared: BTreeMap<String, String>) -> Beginning {
    let (names, width) = if input.header {
        (first.cells.clone(), first.cells.len())
    } else if input.columns.is_empty() {
        (Vec::new(), first.cells.len())
    } else {
        (input.columns.clone(), input.columns.len())
    };
    Beginning { names, width, place: first.place, from_file: input.header, offset: 0, declared }
}

/// A line before the header.
fn header_line(
    splitter: &mut Splitter<'_, File>,
    layout: &LayoutSpec,
    delimiter: u8,
) -> io::Result<Result<(FoundLine, u64), FileFault>> {
    let first = match splitter.first_row(true)? {
        Ok(first) => first,
        Err(fault) => return Ok(Err(fault)),
    };
    let fault = |row, byte| {
        let message = format!("the file does not begin with a line of `{}`", layout.name);
        FileFault { code: RejectCode::BadLayout, row, byte, column: None, message }
    };
    let Some(first) = first else { return Ok(Err(fault(None, 0))) };
    let line = first.cells.join(&char::from(delimiter).to_string());
    if !LineSign::new(&layout.sign).is_some_and(|sign| sign.is(&line)) {
        return Ok(Err(fault(Some(first.place.line), first.place.byte)));
    }
    let cells = layout.columns.iter().filter_map(|column| match column.place {
        ColumnPlace::Cell(at) => {
            let cell = first.cells.get((at as usize).checked_sub(1)?).cloned().unwrap_or_default();
            Some((column.name.clone(), cell.trim().to_owned()))
        }
        ColumnPlace::Characters(..) => None,
    });
    let (layout, occurs) = (layout.name.clone(), layout.occurs);
    let found = FoundLine { layout, occurs, line: first.place.line, byte: first.place.byte, cells: cells.collect() };
    Ok(Ok((found, first.length)))
}

/// What unpacking found beside the rows.
struct Unpacked {
    bytes: ByteCounts,
    rows: u64,
    names: Vec<String>,
    lines: Vec<FoundLine>,
    /// Paths that nothing is mapped from.
    unknown: Vec<String>,
    from_file: bool,
}

/// Puts the rows of another format on a tape.
fn unpack<'a>(
    file: File,
    encoding: Encoding,
    input: &ConvertInput<'a>,
    chunk: usize,
) -> io::Result<Result<Begun<'a>, FileFault>> {
    let mut tape = scratch_file(input.scratch)?;
    let mut out = BufWriter::with_capacity(1 << 18, &tape);
    let unpacked = match input.spec.input.format {
        Format::Fixed => unpack_fixed(file, encoding, input, &mut out)?,
        Format::Xlsx => unpack_workbook(file, input, &mut out)?,
        _ => unpack_tree(file, encoding, input, &mut out)?,
    };
    out.flush()?;
    drop(out);
    tape.rewind()?;
    let unpacked = match unpacked {
        Ok(unpacked) => unpacked,
        Err(fault) => return Ok(Err(fault)),
    };
    let Unpacked { bytes, rows, names, lines, unknown, from_file } = unpacked;
    let warnings = match unknown_columns(&unknown, input.spec) {
        Ok(warning) => warning.into_iter().collect::<Vec<_>>(),
        Err(fault) => return Ok(Err(fault)),
    };
    let splitter = match Splitter::open(tape, tape::DIALECT, chunk)? {
        Ok(splitter) => splitter,
        Err(fault) => return Ok(Err(fault)),
    };
    let nothing = match (rows, input.size) {
        (0, 0) => Some("the file is empty (0 bytes)"),
        (0, _) => Some("the file has no records"),
        _ => None,
    };
    let width = names.len();
    let begun =
        Beginning { names, width, from_file, offset: tape::OFFSET, declared: declared(&lines), ..Beginning::default() };
    Ok(Plan::new(input.spec, input.facts, begun).map(|(plan, warning)| Begun {
        splitter,
        plan: (rows > 0).then_some(plan),
        text_of: TextOf::Tape,
        bytes,
        nothing,
        warnings: warnings.into_iter().chain(warning).collect(),
        lines,
    }))
}

fn unknown_columns(unknown: &[String], spec: &MappingSpec) -> Result<Option<String>, FileFault> {
    if unknown.is_empty() || spec.input.unknown_columns == UnknownColumns::Ignore {
        return Ok(None);
    }
    let named: Vec<String> = unknown.iter().take(40).map(|path| format!("`{path}`")).collect();
    let message = format!("the file has {} values that nothing is mapped from: {}", unknown.len(), named.join(", "));
    match spec.input.unknown_columns {
        UnknownColumns::RejectFile => Err(FileFault {
            code: RejectCode::UnknownColumn,
            row: None,
            byte: 0,
            column: unknown.first().cloned(),
            message,
        }),
        _ => Ok(Some(message)),
    }
}

fn unpack_fixed(
    file: File,
    encoding: Encoding,
    input: &ConvertInput<'_>,
    out: &mut dyn Write,
) -> io::Result<Result<Unpacked, FileFault>> {
    let spec = &input.spec.input;
    let mut reader = BufReader::with_capacity(1 << 18, Transcoder::new(file, encoding));
    let offset = {
        use std::io::BufRead as _;
        reader.fill_buf()?;
        reader.get_ref().mark_len()
    };
    let how = FixedInput {
        layouts: &input.spec.layouts,
        line_length: spec.line_length,
        skip_lines: spec.skip_rows,
        pad: spec.ragged == Ragged::Pad,
        truncate: spec.ragged == Ragged::Truncate,
        encoding,
        offset,
    };
    let record = input.spec.layouts.iter().find(|layout| layout.is_record);
    let names: Vec<String> =
        record.map(|record| record.columns.iter().map(|column| column.name.clone()).collect()).unwrap_or_default();
    let read = fixed::read(&mut reader, &how, &mut |row| {
        tape::write(out, row.place, row.fault.as_ref(), row.cells.into_iter())
    })?;
    Ok(read.map(|summary| {
        let [preamble, header, rows, blank, trailer] = summary.bytes;
        let bytes = ByteCounts { preamble: preamble + offset, header, rows: 0, blank, trailer };
        let _ = rows;
        Unpacked { bytes, rows: summary.rows, names, lines: summary.lines, unknown: Vec::new(), from_file: false }
    }))
}

/// JSON, JSON lines and XML: columns are paths.
fn unpack_tree(
    file: File,
    encoding: Encoding,
    input: &ConvertInput<'_>,
    out: &mut dyn Write,
) -> io::Result<Result<Unpacked, FileFault>> {
    let spec = &input.spec.input;
    let names = Plan::column_names(input.spec);
    let mut reader = BufReader::with_capacity(1 << 18, Transcoder::new(file, encoding));
    let mark = {
        use std::io::BufRead as _;
        reader.fill_buf()?;
        reader.get_ref().mark_len()
    };
    let mut count = 0;
    let mut row = |row: json::Unpacked<'_>| {
        count += 1;
        let place = tape::TapePlace { line: row.line, byte: row.byte, length: row.length };
        tape::write(out, place, row.fault.as_ref(), row.cells.iter().map(Option::as_deref))
    };
    let read = match spec.format {
        Format::Xml => {
            // A JSONPath of names says the same as a path of elements.
            let elements = spec.each.as_deref().and_then(json::Each::parse).map(|each| each.elements());
            let each = elements.as_deref().or(spec.each.as_deref());
            let how = xml::XmlInput { each, encoding, offset: mark };
            xml::read(&mut reader, &how, &names, &mut row)?
        }
        format => {
            let each = spec.each.as_deref().and_then(json::Each::parse).unwrap_or_default();
            let how = json::JsonInput { lines: format == Format::Jsonl, each, encoding, offset: mark };
            json::read(&mut reader, &how, &names, &mut row)?
        }
    };
    Ok(read.map(|summary| {
        let blank = input.size.saturating_sub(mark + summary.rows);
        let bytes = ByteCounts { preamble: mark, blank, ..ByteCounts::default() };
        let unknown = summary.unknown.into_iter().collect();
        Unpacked { bytes, rows: count, names, lines: Vec::new(), unknown, from_file: false }
    }))
}

fn unpack_workbook(
    file: File,
    input: &ConvertInput<'_>,
    out: &mut dyn Write,
) -> io::Result<Result<Unpacked, FileFault>> {
    let spec = &input.spec.input;
    let mut names: Vec<String> = spec.columns.clone();
    let (mut header, mut width, mut count) = (spec.header, names.len(), 0);
    let read = workbook::read(BufReader::new(file), spec.sheet.as_deref(), &mut |line, cells, fault| {
        if line <= u64::from(spec.skip_rows) || cells.iter().all(String::is_empty) {
            return Ok(());
        }
        if header {
            header = false;
            names = cells.to_vec();
            while names.last().is_some_and(String::is_empty) {
                names.pop();
            }
            width = names.len();
            return Ok(());
        }
        if width == 0 {
            width = cells.len();
        }
        count += 1;
        let place = tape::TapePlace { line, byte: 0, length: 0 };
        // A sheet is as wide as its widest row: empty cells behind the last column are none.
        let used = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        let filled = (0..width.max(used)).map(|at| Some(cells.get(at).map_or("", String::as_str)));
        tape::write(out, place, fault, filled)
    })?;
    Ok(read.map(|()| {
        if names.is_empty() {
            names = (1..=width).map(|at| format!("column {at}")).collect();
        }
        let lines = Vec::new();
        Unpacked {
            bytes: ByteCounts::default(),
            rows: count,
            names,
            lines,
            unknown: Vec::new(),
            from_file: spec.header,
        }
    }))
}

/// Bytes of the file as it came.
pub(super) fn read_raw(file: &File, byte: u64, length: u64) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let mut raw = vec![0; usize::try_from(length).unwrap_or(0).min(16 << 20)];
    file.read_exact_at(&mut raw, byte)?;
    while matches!(raw.last(), Some(b'\n' | b'\r')) {
        raw.pop();
    }
    Ok(raw)
}
