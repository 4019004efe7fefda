//! `[output]`: which writer puts the records of a mapping into bytes.

use super::spec::{FieldSpec, FileOutput, MappingSpec, OutputFormat, TrailerPart, ValueKind};
use crate::format::encoding::Encoding;
use crate::format::write::csv::{CsvStyle, CsvWriter};
use crate::format::write::fixed::{FixedStyle, FixedWriter, Place};
use crate::format::write::form::FormWriter;
use crate::format::write::xlsx::{XlsxStyle, XlsxWriter};
use crate::format::write::xml::{XmlStyle, XmlWriter};
use crate::format::write::{self, Column, RecordWriter, Style, Trailer};

/// Where records stand in XML when the mapping does not say.
pub const XML_EACH: &str = "/records/record";

/// The writer of a mapping's output; `None` for JSON, which records are already. Its columns are the fields, in their order.
pub fn writer(spec: &MappingSpec) -> Option<Box<dyn RecordWriter>> {
    let file = &spec.output.file;
    let columns = columns(spec);
    let encoding = encoding(file);
    Some(match spec.output.format {
        OutputFormat::Json | OutputFormat::Jsonl => return None,
        OutputFormat::Form => Box::new(FormWriter::new(columns)),
        OutputFormat::Csv => {
            let FileOutput { delimiter, quote, crlf, header, .. } = *file;
            let style = CsvStyle { delimiter, quote, crlf, header, encoding, trailer: trailer(spec) };
            Box::new(CsvWriter::new(columns, style))
        }
        OutputFormat::Fixed => {
            let places: Vec<Place> = spec.fields.iter().filter_map(|field| place(field, file)).collect();
            let reach = places.iter().map(|place| place.to).max().unwrap_or(0);
            let line_length = file.line_length.unwrap_or(reach).max(reach);
            let style = FixedStyle { places, line_length, crlf: file.crlf, encoding, trailer: trailer(spec) };
            Box::new(FixedWriter::new(columns, style))
        }
        OutputFormat::Xlsx => {
            let style = XlsxStyle { sheet: file.sheet.clone(), header: file.header };
            Box::new(XlsxWriter::new(columns, style))
        }
        OutputFormat::Xml => {
            let each = file.each.as_deref().unwrap_or(XML_EACH);
            let style = XmlStyle::document(each, file.namespace.as_deref(), encoding);
            Box::new(XmlWriter::new(columns, style))
        }
    })
}

/// The encoding of the output.
pub fn encoding(file: &FileOutput) -> Encoding {
    Encoding::parse(&file.encoding).unwrap_or(Encoding::UTF_8)
}

/// The fields as columns.
pub fn columns(spec: &MappingSpec) -> Vec<Column> {
    let file = &spec.output.file;
    let style = |field: &FieldSpec| match field.kind {
        ValueKind::Date { .. } => Style::Date(file.date.clone()),
        ValueKind::Datetime { .. } => Style::Moment(file.datetime.clone()),
        _ if file.decimal_mark == '.' => Style::Plain,
        _ => Style::Number(file.decimal_mark),
    };
    spec.fields.iter().map(|field| Column { path: field.name(), style: style(field) }).collect()
}

/// Where a field stands in a line; numbers stand at the right end when nothing else is said.
fn place(field: &FieldSpec, file: &FileOutput) -> Option<Place> {
    let name = field.name();
    let column = file.columns.iter().find(|column| column.name == name)?;
    let is_number = matches!(field.kind, ValueKind::Integer | ValueKind::Number(_));
    Some(Place { from: column.from, to: column.to, right: column.right.unwrap_or(is_number), fill: column.fill })
}

fn trailer(spec: &MappingSpec) -> Option<Trailer> {
    let parts = spec.output.file.trailer.as_ref()?.iter().filter_map(|part| match part {
        TrailerPart::Text(text) => Some(write::TrailerPart::Text(text.clone())),
        TrailerPart::Count(width) => Some(write::TrailerPart::Count(*width)),
        TrailerPart::Sum(field, width) => {
            let at = spec.fields.iter().position(|known| known.name() == *field)?;
            Some(write::TrailerPart::Sum(at, *width))
        }
    });
    Some(Trailer::new(parts.collect(), spec.output.file.decimal_mark))
}
