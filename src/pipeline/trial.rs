//! A trial: a mapping and some text in, records and problems out. What `test`, `preview` and `diff` are made of; the engine is the
//! one that runs at night.

use std::fs::File;
use std::io::{self, Seek, Write};

use chrono::NaiveDate;

use super::convert::{ConvertInput, Converted, Facts, IndexEntry, RecordSink, Sinks, convert_to};
use crate::domain::control::Previous;
use crate::domain::reject::Reject;
use crate::domain::source::EmptyFile;
use crate::format::json_value::Json;
use crate::mapping::chunk::Mapped;
use crate::mapping::spec::MappingSpec;

/// A record that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Lines of its rows.
    pub rows: Vec<u64>,
    /// The record as it is sent.
    pub json: Json,
}

/// What came of a trial.
#[derive(Debug, Default)]
pub struct Trial {
    /// Records in the order of the file, at most as many as were asked for.
    pub records: Vec<Made>,
    /// Rejects in the order of the file.
    pub rejects: Vec<Reject>,
    /// Lines of skipped rows.
    pub skipped: Vec<u64>,
    /// Counts, faults and warnings.
    pub converted: Converted,
}

/// What is tried.
pub struct TrialInput<'a> {
    /// The file.
    pub file: File,
    /// The rules.
    pub spec: &'a MappingSpec,
    /// Its name, as `auto = "file.name"` gives it.
    pub name: &'a str,
    /// The day it is.
    pub business_date: NaiveDate,
    /// Most records that are kept.
    pub most: usize,
    /// Only the record and the rejects of this line are kept.
    pub line: Option<u64>,
}

/// Tries a file out.
///
/// # Errors
/// Those of reading.
pub fn run(input: TrialInput<'_>) -> io::Result<Trial> {
    let facts = Facts { file_name: input.name.to_owned(), run: "test".to_owned(), business_date: input.business_date };
    let mut keep = Keep { made: Vec::new(), skipped: Vec::new(), count: 0, most: input.most, line: input.line };
    let mut rejects = Vec::new();
    let size = input.file.metadata()?.len();
    let converted = convert_to(
        ConvertInput {
            file: input.file,
            size,
            spec: input.spec,
            facts: &facts,
            empty_file: Some(EmptyFile::Warn),
            threads: 1,
            scratch: None,
            previous: &Previous::default(),
            progress: &|_| {},
        },
        Sinks {
            records: &mut keep,
            index: &mut io::sink(),
            reject: &mut |reject| {
                if rejects.len() < input.most && input.line.is_none_or(|line| line == reject.row) {
                    rejects.push(reject);
                }
                Ok(())
            },
            states: None,
        },
    )?;
    Ok(Trial { records: keep.made, rejects, skipped: keep.skipped, converted })
}

/// A file with this content and no name.
///
/// # Errors
/// Those of writing.
pub fn file_of(content: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// Keeps records.
struct Keep {
    made: Vec<Made>,
    skipped: Vec<u64>,
    count: u64,
    most: usize,
    line: Option<u64>,
}

impl RecordSink for Keep {
    fn separator(&self) -> Option<u8> {
        None
    }

    fn skipped(&mut self, lines: &[u64]) {
        let wanted = lines.iter().filter(|line| self.line.is_none_or(|wanted| wanted == **line));
        self.skipped.extend(wanted.take(self.most.saturating_sub(self.skipped.len())));
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        for (rows, record) in records_of(mapped) {
            self.count += 1;
            let wanted = self.line.is_none_or(|line| rows.contains(&line));
            if wanted && self.made.len() < self.most {
                let json = Json::parse(record).ok_or_else(|| io::Error::other("a record is no JSON"))?;
                self.made.push(Made { rows, json });
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        Ok(self.count)
    }
}

/// Each record of a chunk without separators, with the lines of its rows.
pub(super) fn records_of(mapped: &Mapped) -> impl Iterator<Item = (Vec<u64>, &[u8])> {
    let (mut start, mut spot) = (0, 0);
    mapped.ends.iter().enumerate().map(move |(at, &end)| {
        let record = mapped.out.get(start..end).unwrap_or_default();
        start = end;
        let line_at =
            |bytes: &[u8], at: usize| IndexEntry::parse(bytes.get(at * IndexEntry::SIZE..).unwrap_or_default()).row;
        let rows = match mapped.used_rows.get(at) {
            Some(&rows) if !mapped.spots.is_empty() => {
                let rows = (spot..spot + rows as usize).map(|row| line_at(&mapped.spots, row)).collect::<Vec<_>>();
                spot += rows.len();
                rows
            }
            _ => vec![line_at(&mapped.index, at)],
        };
        (rows, record)
    })
}
