//! stub
use std::io::{self, Write};
use std::fs::File;
use crate::domain::file::*; use crate::domain::job::*; use crate::domain::name::*; use crate::domain::reject::*;
use crate::mapping::spec::MappingSpec;
use crate::mapping::Facts;
pub struct ConvertInput<'a> { pub file: std::fs::File, pub size: u64, pub spec: &'a MappingSpec, pub facts: &'a Facts, pub batch: &'a BatchRule, pub empty_file: Option<EmptyFile>, pub threads: usize, pub progress: &'a (dyn Fn(u64) + Sync) }
pub struct SpooledBatch { pub first_record: u64, pub records: u64, pub spool_offset: u64, pub body_length: u64, pub body_sha256: Sha256Hex }
pub struct Converted { pub rows: RowCounts, pub bytes: Option<ByteCounts>, pub made: u64, pub batches: Vec<SpooledBatch>, pub fault: Option<FileFault>, pub warnings: Vec<String> }
pub fn convert(_input: ConvertInput<'_>, _spool: &mut dyn Write, _index: &mut dyn Write, _reject: &mut dyn FnMut(Reject) -> io::Result<()>) -> io::Result<Converted> { Err(io::Error::other("stub")) }
pub struct IndexEntry { pub row: u64, pub byte: u64, pub length: u64 }
impl IndexEntry { pub const SIZE: u64 = 24; pub fn read_at(_file:&File, _record:u64)->io::Result<Self> { Err(io::Error::other("stub")) } }
