//! A trial: a mapping and some text in, records and problems out. What `test`, `preview` and `diff` are made of; the engine is the
//! one that runs at night.

use std::fs::File;
use std::io::{self, Seek, Write};

use chrono::NaiveDate;

use super::convert::{ConvertInput, Converted, Facts, IndexEntry, RecordSink, Sinks, convert_to};
use crate::domain::control::Previous;
use crate::domain::job::EmptyFile;
use crate::domain::reject::Reject;
use crate::format::json_value::Json;
use crate::mapping::chunk::Mapped;
use crate::mapping::spec::MappingSpec;

/// A record that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Where its rows are.
    pub place: IndexEntry,
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
    let mut keep = Keep { made: Vec::new(), count: 0, most: input.most, line: input.line };
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
    Ok(Trial { records: keep.made, rejects, converted })
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
    count: u64,
    most: usize,
    line: Option<u64>,
}

impl RecordSink for Keep {
    fn separator(&self) -> Option<u8> {
        None
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        let mut start = 0;
        for (at, &end) in mapped.ends.iter().enumerate() {
            self.count += 1;
            let record = mapped.out.get(start..end).unwrap_or_default();
            start = end;
            if self.made.len() >= self.most {
                continue;
            }
            let place = IndexEntry::parse(mapped.index.get(at * IndexEntry::SIZE..).unwrap_or_default());
            if self.line.is_none_or(|line| place.row <= line) {
                let json = Json::parse(record).ok_or_else(|| io::Error::other("a record is no JSON"))?;
                if self.line.is_some() {
                    // The record of a line is the last that begins on it or before.
                    self.made.clear();
                }
                self.made.push(Made { place, json });
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        Ok(self.count)
    }
}
