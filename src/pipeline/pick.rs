//! Picks the records of a replay: the whole file is mapped anew, so that keys, groups and lookups see all of it, and only what
//! was rejected or refused goes on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;

use super::again::Tally;
use super::convert::{ConvertInput, Converted, IndexEntry, RecordSink, Sinks, convert_to};
use super::measuring::Measuring;
use crate::domain::control::Previous;
use crate::domain::job::BatchRule;
use crate::domain::reject::FileFault;
use crate::domain::source::EmptyFile;
use crate::format::write::RecordWriter;
use crate::ledger::row::{BatchId, OpenReject, RefusedBefore, ReplayedRecord};
use crate::mapping::Facts;
use crate::mapping::batch::{Batcher, SpooledBatch};
use crate::mapping::chunk::Mapped;
use crate::mapping::request::Encoder;
use crate::mapping::spec::MappingSpec;

/// What of a file is open, and what of that is wanted.
#[derive(Default)]
pub struct Wanted {
    /// Offsets of all rows that our mapping had rejected.
    rejected: HashSet<u64>,
    /// Offsets of those that are to be replayed.
    selected: HashSet<u64>,
    /// Offset of refused records that are to be replayed, with their length and where they were refused.
    refused: HashMap<u64, (u64, BatchId, u64)>,
}

impl Wanted {
    /// Adds an open reject; `selected` says whether it is to be replayed.
    pub fn add(&mut self, reject: &OpenReject, selected: bool) {
        if reject.of_target {
            if let (true, Some((batch, position))) = (selected, reject.refused) {
                self.refused.insert(reject.byte, (reject.length, batch, position));
            }
            return;
        }
        self.rejected.insert(reject.byte);
        if selected {
            self.selected.insert(reject.byte);
        }
    }

    /// Number of rows and records that are to be replayed.
    pub fn count(&self) -> u64 {
        (self.selected.len() + self.refused.len()) as u64
    }
}

/// What is mapped, and how.
pub struct PickOrder<'a> {
    /// The file as it came.
    pub landed: File,
    /// The rules as they are now.
    pub spec: &'a MappingSpec,
    /// What `auto` sends.
    pub facts: &'a Facts,
    /// The batches as they are now.
    pub batch: &'a BatchRule,
    /// Reads what records add to the measures of the file; `None` where nothing is added up.
    pub measuring: Option<&'a Measuring>,
}

/// A record that goes on.
pub struct Picked {
    /// Where its rows are.
    pub entry: IndexEntry,
    /// Its length in its body.
    pub size: u32,
    /// Its rows, and what it replaces.
    pub record: ReplayedRecord,
    /// What it adds to the measures of the file.
    pub amounts: Vec<(u32, i64)>,
}

/// What was picked; bodies are in the spool that was given.
pub struct Picks {
    /// In the order of the file.
    pub records: Vec<Picked>,
    /// Bodies of them.
    pub batches: Vec<SpooledBatch>,
    /// How many pass, and what still fails.
    pub tally: Tally,
    /// A fault of the whole file: nothing of it can go.
    pub fault: Option<FileFault>,
}

impl Picks {
    /// Nothing of the file can go.
    pub fn failed(fault: FileFault) -> Self {
        Self { records: Vec::new(), batches: Vec::new(), tally: Tally::default(), fault: Some(fault) }
    }
}

/// Maps the file anew and picks what is wanted.
///
/// # Errors
/// Those of reading, and of the spool.
pub fn pick(order: PickOrder<'_>, wanted: &Wanted, spool: &mut File) -> io::Result<Picks> {
    let (mut batches, mut still) = (Vec::new(), BTreeMap::<String, HashSet<u64>>::new());
    let mut keep = |batch: SpooledBatch| {
        batches.push(batch);
        Ok(())
    };
    let batcher = Batcher::new(order.batch, order.spec.output.format, spool, &mut keep);
    let batcher = batcher.with_requests(Encoder::new(order.spec, order.batch));
    let mut sink = Picker { batcher, wanted, measuring: order.measuring, picked: Vec::new(), unmeasured: 0 };
    let size = order.landed.metadata()?.len();
    let converted = convert_to(
        ConvertInput {
            file: order.landed,
            size,
            spec: order.spec,
            facts: order.facts,
            empty_file: Some(EmptyFile::Ok),
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            scratch: None,
            previous: &Previous::default(),
            progress: &|_| {},
        },
        Sinks {
            records: &mut sink,
            index: &mut io::sink(),
            reject: &mut |reject| {
                if wanted.selected.contains(&reject.byte) || wanted.refused.contains_key(&reject.byte) {
                    still.entry(reject.code.word().into_owned()).or_default().insert(reject.byte);
                }
                Ok(())
            },
            states: None,
        },
    )?;
    let (records, unmeasured) = (std::mem::take(&mut sink.picked), sink.unmeasured);
    drop(sink);
    let Converted { fault, .. } = converted;
    let mut tally = Tally {
        selected: wanted.count(),
        passes: records.len() as u64,
        rows: records.iter().map(|picked| picked.record.rows.len() as u64).sum(),
        ..Tally::default()
    };
    let failing: HashSet<u64> = still.values().flatten().copied().collect();
    let passing: HashSet<u64> =
        records.iter().flat_map(|picked| picked.record.rows.iter().map(|(_, byte)| *byte)).collect();
    let wanted_rows = wanted.selected.iter().chain(wanted.refused.keys());
    let left = wanted_rows.filter(|byte| !failing.contains(*byte) && !passing.contains(*byte)).count() as u64;
    let left = left.saturating_sub(unmeasured);
    let mut list: Vec<(String, u64)> = still.into_iter().map(|(code, rows)| (code, rows.len() as u64)).collect();
    if left > 0 {
        // Skipped by a rule now, or together in a record with rows that were sent before.
        list.push(("not-by-itself".to_owned(), left));
    }
    if unmeasured > 0 {
        list.push(("not-measured".to_owned(), unmeasured));
    }
    list.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), code.clone()));
    tally.still = list;
    Ok(Picks { records, batches, tally, fault })
}

struct Picker<'a> {
    batcher: Batcher<'a>,
    wanted: &'a Wanted,
    measuring: Option<&'a Measuring>,
    picked: Vec<Picked>,
    /// Wanted rows whose records have a unit, or more decimals, than the books of the file can take.
    unmeasured: u64,
}

impl Picker<'_> {
    /// What a record of these rows replaces; `None`: nothing that is wanted.
    fn replaces(&self, entry: IndexEntry, rows: Vec<(u64, u64)>) -> Option<ReplayedRecord> {
        let wanted = self.wanted;
        let rejected = rows.iter().all(|(_, byte)| wanted.rejected.contains(byte))
            && rows.iter().any(|(_, byte)| wanted.selected.contains(byte));
        if rejected {
            return Some(ReplayedRecord { rows, refused: None });
        }
        let (length, batch, position) = *wanted.refused.get(&entry.byte)?;
        // What it added before is looked up where it lies, when it is sealed.
        let before = RefusedBefore { batch, position, amounts: Vec::new() };
        (length == entry.length).then_some(ReplayedRecord { rows, refused: Some(before) })
    }
}

impl Picker<'_> {
    fn wanted_rows(&self, record: &ReplayedRecord) -> u64 {
        let selected = record.rows.iter().filter(|(_, byte)| self.wanted.selected.contains(byte)).count() as u64;
        if record.refused.is_some() { 1 } else { selected }
    }
}

impl RecordSink for Picker<'_> {
    fn separator(&self) -> Option<u8> {
        self.batcher.separator()
    }

    fn writer(&self, spec: &MappingSpec) -> Option<Box<dyn RecordWriter>> {
        self.batcher.writer(spec)
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        let separator = self.batcher.separator();
        let mut some = Mapped::default();
        let (mut start, mut spot) = (0, 0);
        for (at, &end) in mapped.ends.iter().enumerate() {
            let entry = IndexEntry::parse(mapped.index.get(at * IndexEntry::SIZE..).unwrap_or_default());
            let rows = match mapped.used_rows.get(at) {
                Some(&count) if !mapped.spots.is_empty() => {
                    let places = (spot..spot + count as usize).map(|row| {
                        let place = mapped.spots.get(row * IndexEntry::SIZE..).unwrap_or_default();
                        let place = IndexEntry::parse(place);
                        (place.row, place.byte)
                    });
                    spot += count as usize;
                    places.collect()
                }
                _ => vec![(entry.row, entry.byte)],
            };
            if let Some(record) = self.replaces(entry, rows) {
                let bytes = mapped.out.get(start..end).unwrap_or_default();
                match self.measuring.map_or(Some(Vec::new()), |measuring| measuring.exact(bytes)) {
                    Some(amounts) => {
                        some.out.extend_from_slice(bytes);
                        some.ends.push(some.out.len());
                        some.out.extend(separator);
                        self.picked.push(Picked { entry, size: bytes.len() as u32, record, amounts });
                    }
                    None => self.unmeasured += self.wanted_rows(&record),
                }
            }
            start = end + usize::from(separator.is_some());
        }
        self.batcher.add(&some)
    }

    fn finish(&mut self) -> io::Result<u64> {
        self.batcher.finish()
    }
}
