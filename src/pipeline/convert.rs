//! Convert: a landed file → payload bodies on disk, rejects and counts. Nothing is sent here, and a repeat gives the same bytes.
//!
//! A splitter thread cuts the file into chunks, `threads` workers map them, and the caller's thread puts the results together
//! in the order of the file. Chunk `n` goes to worker `n % threads`, so the order needs no sorting; buffers go round, so memory
//! does not grow with the file; and a channel that closes ends every thread, so an error is never a hang.

use std::fs::File;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, ScopedJoinHandle};

use crate::domain::file::{ByteCounts, RowCounts};
use crate::domain::job::{BatchRule, EmptyFile};
use crate::domain::reject::{FileFault, Reject, RejectCode};
use crate::format::csv::Dialect;
use crate::format::csv::split::{Piece, Splitter};
pub use crate::mapping::Facts;
pub use crate::mapping::batch::SpooledBatch;
use crate::mapping::batch::{Batcher, is_alone};
use crate::mapping::chunk::{Load, LookupMisses, Worker};
use crate::mapping::plan::Plan;
use crate::mapping::spec::MappingSpec;

/// Usual size of a chunk in bytes: it and what is made of it stay in the caches.
const CHUNK: usize = 256 << 10;
/// More workers than this wait for the splitter.
const MOST_THREADS: usize = 16;

/// What is converted, and how.
pub struct ConvertInput<'a> {
    /// The landed file, open for reading.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// The rules.
    pub spec: &'a MappingSpec,
    /// What `auto` recipes know.
    pub facts: &'a Facts,
    /// How records become bodies.
    pub batch: &'a BatchRule,
    /// What a file without rows means.
    pub empty_file: Option<EmptyFile>,
    /// Number of mapping threads; the result does not depend on it.
    pub threads: usize,
    /// Called with the number of bytes done.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// What became of the rows (law 1).
    pub rows: RowCounts,
    /// Where the bytes went (law 3); `None` when the file was not read to its end.
    pub bytes: Option<ByteCounts>,
    /// Number of records.
    pub made: u64,
    /// The bodies in the spool, in order.
    pub batches: Vec<SpooledBatch>,
    /// A fault of the whole file: nothing of it may be sent, and what is in the spool and the index is waste.
    pub fault: Option<FileFault>,
    /// What people should know though the file is good.
    pub warnings: Vec<String>,
}

/// Where the row of a record is in the file. Entry `n` of the index file belongs to record `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Physical line the row starts on.
    pub row: u64,
    /// Offset of its start in the file.
    pub byte: u64,
    /// Its length in bytes without the line end.
    pub length: u64,
}

impl IndexEntry {
    /// Size of an entry in bytes: three little-endian `u64`.
    pub const SIZE: usize = 24;

    /// Reads the entry of a record (from 0).
    ///
    /// # Errors
    /// Those of the file; `UnexpectedEof` when there is no such record.
    pub fn read_at(file: &File, record: u64) -> io::Result<Self> {
        use std::os::unix::fs::FileExt as _;
        let mut words = [[0_u8; 8]; 3];
        file.read_exact_at(words.as_flattened_mut(), record * Self::SIZE as u64)?;
        let [row, byte, length] = words.map(u64::from_le_bytes);
        Ok(Self { row, byte, length })
    }
}

/// Converts a file: bodies into `spool`, an `IndexEntry` for each record into `index`, rejects in the order of the file into
/// `reject`. All batches are held in memory (about 150 bytes each); `convert_each` hands them out one by one.
///
/// # Errors
/// Those of reading, of writing and of `reject`. A bad file is no error but a `fault`.
pub fn convert(
    input: ConvertInput<'_>,
    spool: &mut dyn Write,
    index: &mut dyn Write,
    reject: &mut dyn FnMut(Reject) -> io::Result<()>,
) -> io::Result<Converted> {
    let mut batches = Vec::new();
    let mut keep = |batch: SpooledBatch| {
        batches.push(batch);
        Ok(())
    };
    let mut converted = convert_each(input, spool, index, reject, &mut keep)?;
    if converted.fault.is_none() {
        converted.batches = batches;
    }
    Ok(converted)
}

/// Like `convert`, but each batch is given to `batch` as soon as its body is written, and `batches` of the result is empty. When
/// the result has a fault, none of them counts.
///
/// # Errors
/// As for `convert`, and those of `batch`.
pub fn convert_each(
    input: ConvertInput<'_>,
    spool: &mut dyn Write,
    index: &mut dyn Write,
    reject: &mut dyn FnMut(Reject) -> io::Result<()>,
    batch: &mut dyn FnMut(SpooledBatch) -> io::Result<()>,
) -> io::Result<Converted> {
    let sinks = Sinks {
        batcher: Batcher::new(input.batch, spool, batch),
        index: io::BufWriter::with_capacity(64 << 10, index),
        reject,
    };
    convert_chunks(input, CHUNK, sinks)
}

/// Where results go.
struct Sinks<'a> {
    batcher: Batcher<'a>,
    index: io::BufWriter<&'a mut dyn Write>,
    reject: &'a mut dyn FnMut(Reject) -> io::Result<()>,
}

impl Converted {
    fn failed(rows: RowCounts, fault: FileFault, warnings: Vec<String>) -> Self {
        let rows = RowCounts { rejected: rows.read - rows.skipped, used: 0, ..rows };
        Self { rows, bytes: None, made: 0, batches: Vec::new(), fault: Some(fault), warnings }
    }
}

/// `convert_each` with chunks of about `chunk` bytes.
fn convert_chunks(input: ConvertInput<'_>, chunk: usize, mut sinks: Sinks<'_>) -> io::Result<Converted> {
    let (spec, size) = (input.spec, input.size);
    let begun = match begin(input.file, spec, input.facts, chunk)? {
        Ok(begun) => begun,
        Err(fault) => return Ok(Converted::failed(RowCounts::default(), fault, Vec::new())),
    };
    let Begun { splitter, plan, bytes, nothing, warning } = begun;
    let mut warnings: Vec<String> = warning.into_iter().collect();
    let mut sums = Sums { bytes, ..Sums::default() };
    if let Some(plan) = &plan {
        let threads = input.threads.clamp(1, MOST_THREADS);
        let misses = flow(splitter, plan, is_alone(input.batch), threads, &mut sinks, &mut sums, input.progress)?;
        warnings.extend(misses.warnings(plan));
    }
    let Sums { rows, bytes, fault } = sums;
    if let Some(fault) = fault {
        return Ok(Converted::failed(rows, fault, warnings));
    }
    if bytes.total() != size {
        let message = format!("the file has {} bytes, and {size} were expected", bytes.total());
        let fault = FileFault { code: RejectCode::SizeMismatch, row: None, byte: bytes.total(), column: None, message };
        return Ok(Converted::failed(rows, fault, warnings));
    }
    if rows.read == 0 {
        match without_rows(nothing, input.empty_file) {
            Ok(warning) => warnings.extend(warning),
            Err(fault) => return Ok(Converted::failed(rows, fault, warnings)),
        }
    }
    let made = sinks.batcher.finish()?;
    sinks.index.flush()?;
    Ok(Converted { rows, bytes: Some(bytes), made, batches: Vec::new(), fault: None, warnings })
}

/// A file whose first row has been read.
struct Begun {
    splitter: Splitter<File>,
    /// `None` when there are no rows, not even a header.
    plan: Option<Plan>,
    bytes: ByteCounts,
    /// The file has neither a header nor a row: for the message, what it has instead.
    nothing: Option<&'static str>,
    warning: Option<String>,
}

/// Opens the file, reads the header and compiles the plan.
fn begin(file: File, spec: &MappingSpec, facts: &Facts, chunk: usize) -> io::Result<Result<Begun, FileFault>> {
    let dialect = Dialect::new(spec.input.delimiter, spec.input.quote);
    let mut splitter = match Splitter::open(file, dialect, chunk)? {
        Ok(splitter) => splitter,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut bytes = ByteCounts { preamble: splitter.mark(), ..ByteCounts::default() };
    let first = match splitter.first_row(spec.input.header)? {
        Ok(first) => first,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(first) = first else {
        bytes.blank = splitter.blank();
        let nothing = match (bytes.blank, bytes.preamble) {
            (0, 0) => "the file is empty (0 bytes)",
            (0, _) => "the file is empty (a byte order mark and nothing else)",
            _ => "the file has blank lines only",
        };
        return Ok(Ok(Begun { splitter, plan: None, bytes, nothing: Some(nothing), warning: None }));
    };
    if spec.input.header {
        bytes.preamble += splitter.blank();
        bytes.header = first.length;
    } else {
        bytes.blank = splitter.blank();
    }
    Ok(Plan::new(spec, facts, Some(&first)).map(|(plan, warning)| Begun {
        splitter,
        plan: Some(plan),
        bytes,
        nothing: None,
        warning,
    }))
}

/// What a file without rows means: a warning, nothing, or a fault.
fn without_rows(nothing: Option<&'static str>, rule: Option<EmptyFile>) -> Result<Option<String>, FileFault> {
    let message = nothing.unwrap_or("the file has a header and no rows").to_owned();
    match (rule, nothing) {
        (Some(EmptyFile::Ok), _) => Ok(None),
        (Some(EmptyFile::Warn), _) | (None, None) => Ok(Some(message)),
        (Some(EmptyFile::Fail), _) | (None, Some(_)) => {
            Err(FileFault { code: RejectCode::EmptyFile, row: None, byte: 0, column: None, message })
        }
    }
}

/// What has been counted.
#[derive(Default)]
struct Sums {
    rows: RowCounts,
    bytes: ByteCounts,
    fault: Option<FileFault>,
}

/// Runs the threads to the end of the file.
fn flow(
    splitter: Splitter<File>,
    plan: &Plan,
    alone: bool,
    threads: usize,
    sinks: &mut Sinks<'_>,
    sums: &mut Sums,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<LookupMisses> {
    let dialect = splitter.dialect();
    thread::scope(|scope| {
        let (give_back, free) = mpsc::channel();
        let loads = 2 * threads + 2;
        let (mut to_workers, mut from_workers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..threads {
            let (to_worker, jobs) = mpsc::sync_channel::<Load>(2);
            let (results, from_worker) = mpsc::sync_channel::<Load>(2);
            let worker = Worker::new(plan, dialect, alone);
            workers.push(
                thread::Builder::new()
                    .name("map".to_owned())
                    .spawn_scoped(scope, move || work(worker, &jobs, &results))?,
            );
            to_workers.push(to_worker);
            from_workers.push(from_worker);
        }
        let reader = thread::Builder::new()
            .name("split".to_owned())
            .spawn_scoped(scope, move || split(splitter, loads, &to_workers, &free))?;
        let assembled = assemble(&from_workers, &give_back, sinks, sums, progress);
        // Whatever happened, the others end now: their channels are closed.
        drop((from_workers, give_back));
        let read = join(reader)?;
        let misses = workers.into_iter().map(join).collect::<io::Result<Vec<_>>>()?;
        assembled?;
        sums.fault = read?;
        let mut all = LookupMisses::default();
        misses.into_iter().for_each(|misses| all.add(misses));
        Ok(all)
    })
}

/// Waits for a thread. A panic in it becomes an error here.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> io::Result<T> {
    thread.join().map_err(|panic| match panic.downcast::<String>() {
        Ok(words) => io::Error::other(format!("a mapping thread stopped: {words}")),
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(words) => io::Error::other(format!("a mapping thread stopped: {words}")),
            Err(panic) => resume_unwind(panic),
        },
    })
}

/// The splitter thread: the result is a fault that ends the file early.
fn split(
    mut splitter: Splitter<File>,
    most: usize,
    workers: &[SyncSender<Load>],
    free: &Receiver<Load>,
) -> io::Result<Option<FileFault>> {
    let mut loads = Loads { idle: Vec::new(), made: 0, most, free };
    for worker in workers.iter().cycle() {
        let Some(mut load) = loads.take() else { break };
        match splitter.next(&mut load.data)? {
            Piece::Chunk(place) => (load.place, load.long) = (place, None),
            Piece::TooLong(long) => (load.place, load.long) = (long.place, Some(long)),
            Piece::Fault(fault) => return Ok(Some(fault)),
            Piece::End => break,
        }
        // A chunk with a very long row travels alone, so that memory holds one of its kind.
        let huge = load.data.len() > 4 * CHUNK;
        if (huge && !loads.await_others(1)) || worker.send(load).is_err() || (huge && !loads.await_others(0)) {
            break;
        }
    }
    Ok(None)
}

/// The loads of a file: a fixed number of them goes round.
struct Loads<'a> {
    idle: Vec<Load>,
    made: usize,
    most: usize,
    free: &'a Receiver<Load>,
}

impl Loads<'_> {
    /// An idle load, or a new one, or the next that comes back; `None` when none will.
    fn take(&mut self) -> Option<Load> {
        if let Some(load) = self.idle.pop().or_else(|| self.free.try_recv().ok()) {
            return Some(load);
        }
        if self.made < self.most {
            self.made += 1;
            return Some(Load::default());
        }
        self.free.recv().ok()
    }

    /// Waits until only `under_way` loads are not idle; `false` when they will not come back.
    fn await_others(&mut self, under_way: usize) -> bool {
        while self.idle.len() + under_way < self.made {
            match self.free.recv() {
                Ok(load) => self.idle.push(load),
                Err(_) => return false,
            }
        }
        true
    }
}

/// A worker thread.
fn work(mut worker: Worker<'_>, jobs: &Receiver<Load>, results: &SyncSender<Load>) -> LookupMisses {
    while let Ok(mut load) = jobs.recv() {
        worker.map(&mut load);
        if results.send(load).is_err() {
            break;
        }
    }
    worker.misses()
}

/// Takes the results in the order of the file until there are no more.
fn assemble(
    workers: &[Receiver<Load>],
    give_back: &Sender<Load>,
    sinks: &mut Sinks<'_>,
    sums: &mut Sums,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    for worker in workers.iter().cycle() {
        let Ok(mut load) = worker.recv() else { break };
        for reject in load.rejects() {
            (sinks.reject)(reject)?;
        }
        sinks.batcher.add(&load.mapped)?;
        sinks.index.write_all(&load.mapped.index)?;
        sums.rows += load.mapped.rows;
        sums.bytes.rows += load.mapped.row_bytes;
        sums.bytes.blank += load.mapped.blank_bytes;
        progress(load.end());
        load.shrink(2 * CHUNK);
        // The splitter may have ended already.
        let _ = give_back.send(load);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests;
