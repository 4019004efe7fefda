//! The threads of a file, and the assembly of what they make.
//!
//! Chunk `n` goes to worker `n % threads`, so the order needs no sorting; buffers go round, so memory does not grow with the
//! file; and a channel that closes ends every thread, so an error is never a hang.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, ScopedJoinHandle};

use super::begin::read_raw;
use super::stage::{Stage, Staged};
use super::verdict::{Court, NO_RECORD};
use super::{CHUNK, ChangeCounts, ConvertInput, KnownStates, RecordSink, Sinks};
use crate::domain::file::{ByteCounts, RowCounts};
use crate::domain::reject::{FileFault, Reject};
use crate::format::csv::split::{Piece, Splitter};
use crate::format::layout::FoundLine;
use crate::mapping::chunk::{Load, RowWarning, TextOf, Warnings, Worker};
use crate::mapping::plan::Plan;
use crate::mapping::spec::MappingSpec;
use crate::mapping::tally::Tally;
use crate::mapping::writable::Writable;

/// More workers than this wait for the splitter.
const MOST_THREADS: usize = 16;

/// Everything that is put together in the order of the file.
pub(super) struct Assembly<'a> {
    records: &'a mut dyn RecordSink,
    index: BufWriter<&'a mut dyn Write>,
    reject: &'a mut dyn FnMut(Reject) -> io::Result<()>,
    states: Option<&'a mut dyn KnownStates>,
    only_changed: bool,
    file: File,
    scratch: Option<std::path::PathBuf>,
    /// Where records wait that only the end of the file can judge.
    waiting: Option<(Stage, Court)>,
    /// The record before the chunk at hand belongs to a group that a broken row may have cut.
    strike_next: bool,
    /// The key of the last group, when keys are promised to ascend.
    last_key: Option<String>,
    last_made: bool,
    made: u64,
    pub(super) rows: RowCounts,
    pub(super) bytes: ByteCounts,
    pub(super) rejected_records: u64,
    pub(super) tallies: Vec<Tally>,
    /// Lines that are no rows.
    pub(super) lines: Vec<FoundLine>,
    /// The last line on which a row begins, as far as trailers were seen.
    pub(super) last_row: u64,
    pub(super) fault: Option<FileFault>,
    pub(super) changes: Option<ChangeCounts>,
    pub(super) row_warnings: Vec<RowWarning>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        sinks: Sinks<'a>,
        spec: &MappingSpec,
        bytes: ByteCounts,
        lines: Vec<FoundLine>,
        input: &ConvertInput<'_>,
    ) -> io::Result<Self> {
        let Sinks { records, index, reject, states } = sinks;
        Ok(Self {
            records,
            index: BufWriter::with_capacity(64 << 10, index),
            reject,
            states,
            only_changed: spec.changes.as_ref().is_some_and(|changes| changes.only_changed),
            file: input.file.try_clone()?,
            scratch: input.scratch.map(std::path::Path::to_owned),
            waiting: None,
            strike_next: false,
            last_key: None,
            last_made: false,
            made: 0,
            rows: RowCounts::default(),
            bytes,
            rejected_records: 0,
            tallies: vec![Tally::default(); spec.controls.len()],
            lines,
            last_row: 0,
            fault: None,
            changes: None,
            row_warnings: Vec::new(),
        })
    }

    /// Takes one chunk.
    fn take(&mut self, load: &Load, raw_in_file: bool) -> io::Result<()> {
        let file = &self.file;
        let read = |byte, length| read_raw(file, byte, length);
        let raw: Option<&dyn Fn(u64, u64) -> io::Result<Vec<u8>>> = if raw_in_file { Some(&read) } else { None };
        for reject in load.rejects(raw) {
            let reject = reject?;
            match &mut self.waiting {
                Some((stage, _)) => stage.reject(&reject)?,
                None => (self.reject)(reject)?,
            }
        }
        let mapped = &load.mapped;
        self.records.skipped(&mapped.skipped);
        self.lines.extend(mapped.specials.iter().cloned());
        if mapped.rows.read > 0 && !self.lines.is_empty() {
            self.last_row = self.last_row.max(mapped.last_row);
        }
        if let Some((stage, court)) = &mut self.waiting {
            if mapped.breaks_before && self.last_made && self.made > 0 {
                court.strike_neighbour(self.made - 1);
            }
            if std::mem::take(&mut self.strike_next) && mapped.edges_made.0 && mapped.made() > 0 {
                court.strike_neighbour(self.made);
            }
            if let Some((first, last)) = &mapped.edge_keys {
                let ascends = self.last_key.as_ref().is_none_or(|before| before < first);
                if !ascends && mapped.edges_made.0 && mapped.made() > 0 {
                    court.strike_unsorted(self.made);
                }
                self.last_key = Some(last.clone());
            }
            self.strike_next = mapped.breaks_after;
            self.last_made = mapped.edges_made.1;
            for (record, claim) in &mapped.claims {
                let record = if *record == u32::MAX { NO_RECORD } else { self.made + u64::from(*record) };
                court.claim(record, claim)?;
            }
            stage.add(mapped)?;
        } else {
            self.records.add(mapped)?;
            self.index.write_all(&mapped.index)?;
        }
        self.made += mapped.made();
        self.rows += mapped.rows;
        self.rejected_records += mapped.rejected_records;
        self.bytes.rows += mapped.row_bytes;
        self.bytes.blank += mapped.blank_bytes;
        self.bytes.trailer += mapped.trailer_bytes;
        for (sum, part) in self.tallies.iter_mut().zip(&mapped.tallies) {
            sum.add(part);
        }
        Ok(())
    }

    /// Judges what waits: records go on, or become rejects or skipped rows.
    pub(super) fn judge(&mut self, plan: &Plan) -> io::Result<()> {
        let Some((stage, court)) = self.waiting.take() else { return Ok(()) };
        if self.fault.is_some() {
            // Nothing of the file is sent; what was rejected so far is still of use.
            return stage.rejects_only(self.reject);
        }
        let verdict = court.judge()?;
        let mut staged = Staged {
            plan,
            file: &self.file,
            strikes: verdict.records,
            loose: verdict.loose,
            records: &mut *self.records,
            index: &mut self.index,
            reject: &mut *self.reject,
            states: self.states.as_deref_mut(),
            only_changed: self.only_changed,
            rows: &mut self.rows,
            rejected_records: &mut self.rejected_records,
            changes: None,
        };
        staged.run(stage)?;
        self.changes = staged.changes;
        Ok(())
    }

    /// Ends the sinks; the number of records.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        self.index.flush()?;
        self.records.finish()
    }
}

/// Runs the threads to the end of the file.
pub(super) fn flow(
    mut splitter: Splitter<'_, File>,
    plan: &Plan,
    text_of: TextOf,
    assembly: &mut Assembly<'_>,
    input: &ConvertInput<'_>,
) -> io::Result<Warnings> {
    let (threads, progress) = (input.threads.clamp(1, MOST_THREADS), input.progress);
    let dialect = splitter.dialect();
    let tape = matches!(text_of, TextOf::Tape);
    let raw_in_file = !matches!(text_of, TextOf::File);
    if plan.waits_for_the_end() {
        let scratch = assembly.scratch.clone();
        let separator = assembly.records.separator();
        assembly.waiting = Some((Stage::new(scratch.as_deref(), separator)?, Court::new(scratch.as_deref())));
    }
    let separator = assembly.records.separator();
    thread::scope(|scope| {
        let (give_back, free) = mpsc::channel();
        let loads = 2 * threads + 2;
        let (mut to_workers, mut from_workers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..threads {
            let (to_worker, jobs) = mpsc::sync_channel::<Load>(2);
            let (results, from_worker) = mpsc::sync_channel::<Load>(2);
            let worker = Worker::new(plan, dialect, text_of, separator);
            let writable = assembly.records.writer(input.spec).map(|writer| Writable::new(plan, writer, separator));
            workers.push(
                thread::Builder::new()
                    .name("map".to_owned())
                    .spawn_scoped(scope, move || work(worker, writable, &jobs, &results))?,
            );
            to_workers.push(to_worker);
            from_workers.push(from_worker);
        }
        let reader = thread::Builder::new().name("split".to_owned()).spawn_scoped(scope, move || {
            if plan.groups() {
                splitter.keep_together(Box::new(move |rows, place| plan.last_group_start(rows, place, dialect, tape)));
            }
            split(splitter, loads, &to_workers, &free)
        })?;
        let assembled = assemble(&from_workers, &give_back, assembly, raw_in_file, progress);
        // Whatever happened, the others end now: their channels are closed.
        drop((from_workers, give_back));
        let read = join(reader)?;
        let warned = workers.into_iter().map(join).collect::<io::Result<Vec<_>>>()?;
        assembled?;
        assembly.fault = read?;
        let mut all = Warnings::default();
        warned.into_iter().for_each(|warned| all.add(warned));
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
    mut splitter: Splitter<'_, File>,
    most: usize,
    workers: &[SyncSender<Load>],
    free: &Receiver<Load>,
) -> io::Result<Option<FileFault>> {
    let mut loads = Loads { idle: Vec::new(), made: 0, most, free };
    for worker in workers.iter().cycle() {
        let Some(mut load) = loads.take() else { break };
        match splitter.next(&mut load.data)? {
            Piece::Chunk { place, origin } => (load.place, load.origin, load.long) = (place, origin, None),
            Piece::TooLong(long) => (load.place, load.origin, load.long) = (long.place, long.place.byte, Some(long)),
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
fn work(
    mut worker: Worker<'_>,
    mut writable: Option<Writable<'_>>,
    jobs: &Receiver<Load>,
    results: &SyncSender<Load>,
) -> Warnings {
    while let Ok(mut load) = jobs.recv() {
        worker.map(&mut load);
        if let Some(writable) = &mut writable {
            writable.strike(&mut load);
        }
        if results.send(load).is_err() {
            break;
        }
    }
    worker.warned()
}

/// Takes the results in the order of the file until there are no more.
fn assemble(
    workers: &[Receiver<Load>],
    give_back: &Sender<Load>,
    assembly: &mut Assembly<'_>,
    raw_in_file: bool,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    for worker in workers.iter().cycle() {
        let Ok(mut load) = worker.recv() else { break };
        assembly.take(&load, raw_in_file)?;
        progress(load.end());
        load.shrink(2 * CHUNK);
        // The splitter may have ended already.
        let _ = give_back.send(load);
    }
    Ok(())
}
