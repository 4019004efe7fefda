//! Scenarios against a real database file.

use std::os::unix::fs::PermissionsExt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

use super::rate::Ask;
use super::reject::RejectFilter;
use super::row::*;
use super::{Ledger, LedgerError};
use crate::domain::delivery::{BatchState, Fate, IdempotencyKey, SealedBatch};
use crate::domain::file::{ByteCounts, FileState, RecordCounts, RowCounts};
use crate::domain::name::{JobName, RunId, Sha256Hex};
use crate::domain::pace::{Health, Rate};
use crate::domain::reject::{FileFault, Reject, RejectCode};
use crate::domain::run::{RunKey, RunState, Trigger};

fn now() -> DateTime<Utc> {
    "2026-11-24T02:15:00Z".parse().unwrap()
}

fn key() -> RunKey {
    RunKey {
        job: JobName::new("orders"),
        business_date: NaiveDate::from_ymd_opt(2026, 11, 23).unwrap(),
        scheduled_for: None,
    }
}

/// A ledger in a folder that goes away with it.
struct Scene {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), now()).unwrap();
        Self { folder, ledger }
    }

    fn open_run(&self) -> RunLease {
        match self.ledger.open_run(&key(), Trigger::Manual, now()).unwrap() {
            Opened::New(lease) | Opened::Resumed(lease) => lease,
            Opened::Busy(run) => panic!("busy: {run}"),
        }
    }

    fn file(&self, lease: &RunLease) -> FileRow {
        self.ledger.files(&lease.run).unwrap().remove(0)
    }

    /// A file with `batches` batches of 10 records each, sealed.
    fn delivering(&self, lease: &RunLease, batches: u64) -> FileRow {
        let file = self.ledger.found(lease, "/out", b"a.csv", 100, Some(7), None).unwrap();
        assert!(self.ledger.landed(lease, file.id, 100, &Sha256Hex::new("aa")).unwrap().is_none());
        let rejects = [reject(3, 20), reject(3, 20), reject(4, 30)];
        self.ledger.mapped(lease, file.id, &mapped(batches * 10, 2), &mut rejects.into_iter().map(Ok)).unwrap();
        self.seal(lease, file.id, sealed(batches)).unwrap();
        self.file(lease)
    }

    fn seal(&self, lease: &RunLease, file: FileId, batches: Vec<SealedBatch>) -> Result<(), LedgerError> {
        self.ledger.seal(lease, file, &mut batches.into_iter().map(Ok))
    }

    fn unfinished(&self, file: FileId) -> Vec<BatchRow> {
        let all = self.ledger.unfinished_batches(file, 0, 1000).unwrap();
        assert_eq!(self.ledger.count_unfinished(file).unwrap(), all.len() as u64);
        all
    }

    fn start_all(&self, lease: &RunLease, file: FileId) -> Vec<BatchId> {
        let ids: Vec<BatchId> = self.unfinished(file).into_iter().map(|batch| batch.id).collect();
        self.ledger.advance(lease, &[], &ids, now()).unwrap();
        ids
    }

    fn finish(&self, lease: &RunLease, batch: BatchId, verdict: Verdict) {
        let finished = Finished {
            batch,
            finished_at: now(),
            status: Some(200),
            note: String::new(),
            verdict,
            portions: Vec::new(),
        };
        self.ledger.advance(lease, &[finished], &[], now()).unwrap();
    }
}

fn reject(row: u64, byte: u64) -> Reject {
    let (column, code) = (Some("Qty".to_owned()), RejectCode::BadNumber);
    Reject { row, byte, column, code, message: "`x` is not a number".into(), raw: b"x;\xe6".to_vec(), masked: None }
}

fn mapped(made: u64, rejected: u64) -> Mapped {
    Mapped {
        rows: RowCounts { read: made + rejected, skipped: 0, rejected, used: made },
        bytes: Some(ByteCounts { preamble: 0, header: 10, rows: 90, blank: 0, trailer: 0 }),
        unwrapped: None,
        made,
        warnings: vec!["a warning".into()],
        controls: Vec::new(),
        measures: Vec::new(),
        further_faults: Vec::new(),
    }
}

fn sealed(batches: u64) -> Vec<SealedBatch> {
    let batch = |ordinal| SealedBatch {
        ordinal,
        first_record: ordinal * 10,
        records: 10,
        spool_offset: ordinal * 100,
        body_length: 100,
        body_sha256: Sha256Hex::new(format!("body {ordinal}")),
        request_sha256: (ordinal == 1).then(|| Sha256Hex::new("request")),
        key: IdempotencyKey(format!("key {ordinal}")),
        amounts: Vec::new(),
    };
    (0..batches).map(batch).collect()
}

fn counts(accepted: u64, refused: u64, unanswered: u64, pending: u64) -> RecordCounts {
    RecordCounts { made: accepted + refused + unanswered + pending, accepted, refused, unanswered, pending }
}

#[test]
fn folders_have_mode_0700_and_files_0600() {
    let scene = Scene::new();
    scene.open_run();
    let mode = |path: &str| scene.folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode("ledger.db"), mode("ledger.db-wal"), mode("ledger.db-shm"), mode("owners")],
        [0o600, 0o600, 0o600, 0o700]
    );
}

#[test]
fn a_newer_ledger_is_refused_and_a_missing_one_is_none() {
    let scene = Scene::new();
    scene.ledger.lock().pragma_update(None, "user_version", 99).unwrap();
    let refused = Ledger::open(scene.folder.path(), now()).err().unwrap();
    assert!(matches!(refused, LedgerError::Newer { found: 99, .. }));
    let empty = tempfile::tempdir().unwrap();
    assert!(Ledger::open_existing(empty.path()).unwrap().is_none());
}

#[test]
fn a_handle_that_only_reads_writes_nothing() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let reader = Ledger::open_existing(scene.folder.path()).unwrap().unwrap();
    assert_eq!(reader.runs(None, 10).unwrap().len(), 1);
    assert!(matches!(reader.renew(&lease, now()), Err(LedgerError::Sqlite { .. })));
}

#[test]
fn while_a_process_lives_its_job_is_busy_and_afterwards_the_run_goes_on() {
    let scene = Scene::new();
    let first = scene.open_run();
    let second = Ledger::open(scene.folder.path(), now()).unwrap();
    let Opened::Busy(run) = second.open_run(&key(), Trigger::Manual, now()).unwrap() else { panic!("two at once") };
    assert_eq!(run, first.run);

    let Scene { folder, ledger } = scene;
    drop(ledger);
    let Opened::Resumed(taken) = second.open_run(&key(), Trigger::Manual, now()).unwrap() else {
        panic!("not resumed")
    };
    assert_eq!(taken.run, first.run);
    assert_ne!(taken.lease, first.lease);
    assert!(matches!(second.renew(&first, now()), Err(LedgerError::Fenced(run)) if run == first.run));
    drop(folder);
}

#[test]
fn an_ended_run_is_followed_by_the_next_number_and_cannot_be_resumed() {
    let scene = Scene::new();
    let first = scene.open_run();
    scene.ledger.close_run(&first, RunState::Done, None, now()).unwrap();
    let ended = scene.ledger.resume_run(&first.run, now()).err().unwrap();
    assert!(matches!(ended, LedgerError::RunIsFinal { state: RunState::Done, .. }));
    let second = scene.open_run();
    let rows = scene.ledger.runs(None, 10).unwrap();
    assert_eq!(rows.iter().map(|run| run.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(scene.ledger.find_run("orders@last").unwrap().unwrap().id, second.run);
    assert_eq!(scene.ledger.find_run(first.run.as_str()).unwrap().unwrap().id, first.run);
    assert_eq!(scene.ledger.find_run("orders@2026-11-23").unwrap().unwrap().number, 2);
    assert!(scene.ledger.find_run("orders@yesterday").unwrap().is_none());
    assert!(scene.ledger.resume_run(&RunId::new("none"), now()).unwrap().is_none());
}

#[test]
fn a_failed_run_goes_on_while_a_file_is_under_way_and_not_when_all_have_ended() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.ledger.found(&lease, "/out", b"a.csv", 1, None, None).unwrap();
    scene.ledger.close_run(&lease, RunState::Failed, None, now()).unwrap();
    let Opened::Resumed(again) = scene.ledger.open_run(&key(), Trigger::Manual, now()).unwrap() else { panic!("new") };
    assert_eq!(again.run, lease.run);
    let fault = FileFault { code: RejectCode::EmptyFile, row: None, byte: 0, column: None, message: "no bytes".into() };
    scene.ledger.fail_file(&again, file.id, &fault, None, &mut std::iter::empty()).unwrap();
    scene.ledger.close_run(&again, RunState::Failed, None, now()).unwrap();
    assert!(matches!(scene.ledger.open_run(&key(), Trigger::Manual, now()).unwrap(), Opened::New(_)));
}

#[test]
fn the_laws_are_checked_by_the_database_itself() {
    let scene = Scene::new();
    let lease = scene.open_run();
    scene.delivering(&lease, 1);
    for broken in [
        "UPDATE file SET rows_read = rows_read + 1",
        "UPDATE file SET accepted = accepted + 1",
        "UPDATE file SET bytes_blank = 1",
        "UPDATE batch SET pending = pending - 1",
        "UPDATE file SET state = 'settled'",
        "UPDATE file SET state = 'lost'",
    ] {
        let refused = scene.ledger.lock().execute(broken, []);
        assert!(refused.is_err(), "{broken}");
    }
}

#[test]
fn every_verdict_moves_each_record_to_exactly_one_fate() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 4);
    assert_eq!(file.records, counts(0, 0, 0, 40));
    let ids = scene.start_all(&lease, file.id);
    scene.finish(&lease, ids[0], Verdict::Answered(Answers::AllAccepted));
    assert_eq!(scene.file(&lease).records, counts(10, 0, 0, 30));

    let mut fates = vec![Fate::ACCEPTED; 8];
    fates.push(Fate::Refused { code: "BLOCKED".into(), message: "no".into() });
    fates.push(Fate::Unanswered);
    let kept = vec![RefusedRecord {
        position: 8,
        row: 9,
        byte: 90,
        code: "BLOCKED".into(),
        message: "no".into(),
        raw: b"r".to_vec(),
        masked: None,
    }];
    scene.finish(&lease, ids[1], Verdict::Answered(Answers::Each(fates, kept)));
    assert_eq!(scene.file(&lease).records, counts(18, 1, 1, 20));

    scene.finish(&lease, ids[2], Verdict::NotTaken(Some(now() + TimeDelta::seconds(5))));
    scene.finish(&lease, ids[3], Verdict::Unknown(None));
    assert_eq!(scene.file(&lease).records, counts(18, 1, 11, 10));
    let states: Vec<_> = scene.unfinished(file.id).iter().map(|batch| batch.state).collect();
    assert_eq!(states, [BatchState::Sealed, BatchState::Unanswered]);

    // A definite not-now after an unknown outcome leaves the records unanswered.
    scene.ledger.advance(&lease, &[], &[ids[3]], now()).unwrap();
    scene.finish(&lease, ids[3], Verdict::NotTaken(None));
    assert_eq!(scene.file(&lease).records, counts(18, 1, 11, 10));

    let unsettled = scene.ledger.settle(&lease, file.id, now(), None);
    assert!(matches!(unsettled, Err(LedgerError::WrongState { .. })));
    for id in [ids[2], ids[3]] {
        scene.ledger.advance(&lease, &[], &[id], now()).unwrap();
        scene.finish(&lease, id, Verdict::Answered(Answers::AllAccepted));
    }
    assert_eq!(scene.ledger.settle(&lease, file.id, now(), None).unwrap(), Ok(()));
    let file = scene.file(&lease);
    assert_eq!((file.state, file.records), (FileState::Settled, counts(38, 1, 1, 0)));

    let numbers: Vec<_> =
        scene.ledger.attempts(&lease.run, 100).unwrap().iter().map(|attempt| (attempt.batch, attempt.number)).collect();
    assert_eq!(numbers, [(0, 1), (1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]);
    assert_eq!(
        scene.ledger.reject_causes(&lease.run).unwrap(),
        [("bad-number".to_owned(), "mapping".to_owned(), 2), ("BLOCKED".to_owned(), "target".to_owned(), 1)]
    );
}

#[test]
fn an_attempt_that_a_crash_left_open_is_unanswered_and_numbers_go_on() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 2);
    let ids = scene.start_all(&lease, file.id);
    scene.finish(&lease, ids[0], Verdict::Answered(Answers::AllAccepted));
    assert_eq!(scene.ledger.recover_attempts(&lease, now()).unwrap(), 1);
    assert_eq!(scene.ledger.recover_attempts(&lease, now()).unwrap(), 0);
    assert_eq!(scene.file(&lease).records, counts(10, 0, 10, 0));
    let left = scene.unfinished(file.id);
    assert_eq!((left.len(), left[0].attempts, left[0].state), (1, 1, BatchState::Unanswered));
}

#[test]
fn sealing_is_repeatable_and_never_changes_what_is_sealed() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 3);
    scene.seal(&lease, file.id, sealed(3)).unwrap();
    let mut other = sealed(3);
    other[1].body_sha256 = Sha256Hex::new("another body");
    let refused = scene.seal(&lease, file.id, other);
    assert!(matches!(refused, Err(LedgerError::SealMismatch { ordinal: 1 })));
    let refused = scene.seal(&lease, file.id, sealed(2));
    assert!(matches!(refused, Err(LedgerError::SealIncomplete { sealed: 20, made: 30 })));
}

#[test]
fn content_that_was_delivered_before_is_known_again_under_another_name() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 0);
    assert_eq!(scene.ledger.settle(&lease, file.id, now(), None).unwrap(), Ok(()));
    let again = scene.ledger.found(&lease, "/out", b"b.csv", 100, Some(8), None).unwrap();
    let earlier = scene.ledger.landed(&lease, again.id, 100, &Sha256Hex::new("aa")).unwrap().unwrap();
    assert_eq!((earlier.name.as_slice(), earlier.pass, earlier.state), (&b"a.csv"[..], 0, FileState::Settled));
    scene.ledger.pass_over(&lease, again.id, &earlier, Some("renamed")).unwrap();
    let row = scene.ledger.files(&lease.run).unwrap().remove(1);
    assert_eq!((row.state, row.reason), (FileState::PassedOver, Some(RejectCode::SeenBefore)));
    assert_eq!(
        (row.rows, row.records, row.warnings),
        (RowCounts::default(), counts(0, 0, 0, 0), vec!["renamed".into()])
    );
    let job = JobName::new("orders");
    assert!(scene.ledger.earlier_same_stat(&job, "/out", b"b.csv", 100, Some(8)).unwrap().is_some());
    let young = now().timestamp();
    let racy = scene.ledger.found(&lease, "/out", b"c.csv", 100, Some(young), None).unwrap();
    scene.ledger.pass_over(&lease, racy.id, &earlier, None).unwrap();
    assert!(scene.ledger.earlier_same_stat(&job, "/out", b"c.csv", 100, Some(young)).unwrap().is_none());
    assert!(scene.ledger.earlier_same_stat(&job, "/out", b"b.csv", 100, Some(9)).unwrap().is_none());
}

#[test]
fn a_failed_file_keeps_its_rejects_and_its_own_fault() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.ledger.found(&lease, "/out", b"a.csv", 100, None, None).unwrap();
    scene.ledger.landed(&lease, file.id, 100, &Sha256Hex::new("aa")).unwrap();
    let fault = FileFault {
        code: RejectCode::UnclosedQuote,
        row: Some(17),
        byte: 50,
        column: None,
        message: "a quote opens and never closes".into(),
    };
    let counted = Mapped {
        rows: RowCounts { read: 5, skipped: 1, rejected: 4, used: 0 },
        bytes: None,
        unwrapped: None,
        made: 0,
        warnings: Vec::new(),
        controls: Vec::new(),
        measures: Vec::new(),
        further_faults: Vec::new(),
    };
    scene.ledger.fail_file(&lease, file.id, &fault, Some(&counted), &mut [reject(2, 10)].into_iter().map(Ok)).unwrap();
    let row = scene.file(&lease);
    assert_eq!((row.state, row.reason, row.rows), (FileState::Failed, Some(RejectCode::UnclosedQuote), counted.rows));
    let mut listed = Vec::new();
    let filter = RejectFilter { run: Some(lease.run.clone()), ..RejectFilter::default() };
    scene.ledger.each_reject(&filter, &mut |reject| listed.push((reject.row, reject.code, reject.raw))).unwrap();
    assert_eq!(
        listed,
        [(Some(2), "bad-number".to_owned(), b"x;\xe6".to_vec()), (Some(17), "unclosed-quote".to_owned(), vec![])]
    );
    let again = scene.ledger.fail_file(&lease, file.id, &fault, None, &mut std::iter::empty());
    assert!(matches!(again, Err(LedgerError::WrongState { .. })));
}

fn ask<'a>(connection: &'a str, rate: &'a Rate, want: &'a [BatchId]) -> Ask<'a> {
    let seconds = std::time::Duration::from_secs;
    Ask {
        connection,
        rate,
        under_way: 0,
        ahead: 0,
        want,
        heard: &[],
        pause: None,
        horizon: seconds(0),
        probe_every: seconds(60),
    }
}

impl Ledger {
    /// Nothing stands between these batches and their target.
    fn advance(
        &self,
        lease: &RunLease,
        finished: &[Finished],
        start: &[BatchId],
        now: DateTime<Utc>,
    ) -> Result<(), LedgerError> {
        let rate = Rate { concurrency: 1000, ..Rate::default() };
        let admission = self.depart(lease, finished, &ask("free", &rate, start), now)?;
        assert_eq!(admission.departures.len(), start.len());
        Ok(())
    }
}

#[test]
fn the_pace_of_a_connection_is_shared_by_every_handle() {
    let scene = Scene::new();
    let other = Ledger::open(scene.folder.path(), now()).unwrap();
    let ms = |ms| now() + TimeDelta::milliseconds(ms);
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 9);
    let ids: Vec<BatchId> = scene.unfinished(file.id).into_iter().map(|batch| batch.id).collect();
    let ten = Rate { concurrency: 9, per_second: Some(10), ..Rate::default() };
    let first = scene.ledger.depart(&lease, &[], &ask("erp", &ten, &ids[..2]), now()).unwrap();
    assert_eq!((first.departures, first.look_again), (vec![0], Some(100_000)));
    let second = other.depart(&lease, &[], &ask("erp", &ten, &ids[1..2]), ms(40)).unwrap();
    assert_eq!((second.departures, second.look_again), (vec![], Some(60_000)));
    let pause = Some(std::time::Duration::from_secs(5));
    other.depart(&lease, &[], &Ask { pause, ..ask("erp", &ten, &[]) }, ms(100)).unwrap();
    let third = scene.ledger.depart(&lease, &[], &ask("erp", &ten, &ids[1..2]), ms(1100)).unwrap();
    assert_eq!((third.departures, third.look_again), (vec![], Some(4_000_000)));
    let elsewhere = scene.ledger.depart(&lease, &[], &ask("crm", &ten, &ids[1..2]), ms(1100)).unwrap();
    assert_eq!(elsewhere.departures, [0], "another connection is not concerned");
}

#[test]
fn e34_the_circuit_is_in_the_ledger_so_that_a_restart_does_not_forget_it() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 9);
    let ids: Vec<BatchId> = scene.unfinished(file.id).into_iter().map(|batch| batch.id).collect();
    let free = Rate { concurrency: 9, ..Rate::default() };
    let heard = &[Health::Failing; 5];
    scene.ledger.depart(&lease, &[], &Ask { heard, ..ask("erp", &free, &[]) }, now()).unwrap();
    let other = Ledger::open(scene.folder.path(), now()).unwrap();
    let shut = other.depart(&lease, &[], &ask("erp", &free, &ids), now()).unwrap();
    assert_eq!((shut.departures.len(), shut.look_again, shut.is_open), (0, Some(60_000_000), true));
    let later = now() + TimeDelta::seconds(60);
    assert_eq!(other.depart(&lease, &[], &ask("erp", &free, &ids), later).unwrap().departures, [0]);
    let second = scene.ledger.depart(&lease, &[], &ask("erp", &free, &ids[1..]), later).unwrap();
    assert_eq!(second.departures, [0_i64; 0], "one probe, whoever asks");
}

#[test]
fn the_seats_of_a_connection_are_counted_over_processes_and_those_of_the_dead_are_free() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 9);
    let ids: Vec<BatchId> = scene.unfinished(file.id).into_iter().map(|batch| batch.id).collect();
    let two = Rate { concurrency: 2, ..Rate::default() };
    assert_eq!(scene.ledger.depart(&lease, &[], &ask("erp", &two, &ids[..3]), now()).unwrap().departures.len(), 2);
    let sql = "INSERT INTO seat VALUES ('erp', 'another lease', ?1, 2, 0, 0)";
    let alive = scene.ledger.owner.as_ref().unwrap().id();
    scene.ledger.lock().execute("DELETE FROM seat", []).unwrap();
    scene.ledger.lock().execute(sql, [alive]).unwrap();
    let full = scene.ledger.depart(&lease, &[], &ask("erp", &two, &ids[2..3]), now()).unwrap();
    assert_eq!((full.departures.len(), full.look_again), (0, Some(250_000)));
    scene.ledger.lock().execute("UPDATE seat SET owner = 'gone' WHERE lease = 'another lease'", []).unwrap();
    assert_eq!(scene.ledger.depart(&lease, &[], &ask("erp", &two, &ids[2..3]), now()).unwrap().departures, [0]);
}

#[test]
fn a_mapping_is_pinned_once() {
    let scene = Scene::new();
    let lease = scene.open_run();
    scene.ledger.pin(&lease, &Sha256Hex::new("v1"), "{}").unwrap();
    scene.ledger.pin(&lease, &Sha256Hex::new("v2"), "{2}").unwrap();
    let run = scene.ledger.run(&lease.run).unwrap().unwrap();
    assert_eq!((run.mapping_version, run.pinned), (Some(Sha256Hex::new("v1")), Some("{}".to_owned())));
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    let fate = prop_oneof![
        Just(Fate::ACCEPTED),
        Just(Fate::Refused { code: "NO".into(), message: String::new() }),
        Just(Fate::Unanswered)
    ];
    prop_oneof![
        Just(Verdict::Answered(Answers::AllAccepted)),
        Just(Verdict::NotTaken(None)),
        Just(Verdict::Unknown(None)),
        proptest::collection::vec(fate, 10).prop_map(|fates| Verdict::Answered(Answers::Each(fates, Vec::new()))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes back, in whatever order and with crashes between: the books balance and the file settles.
    #[test]
    fn any_sequence_of_verdicts_keeps_the_books_balanced(
        verdicts in proptest::collection::vec((0_usize..3, any_verdict(), any::<bool>()), 0..20)
    ) {
        let scene = Scene::new();
        let lease = scene.open_run();
        let file = scene.delivering(&lease, 3);
        let ids: Vec<_> = scene.unfinished(file.id).iter().map(|batch| batch.id).collect();
        for (at, verdict, crash) in verdicts {
            if scene.ledger.advance(&lease, &[], &[ids[at]], now()).is_err() {
                continue;
            }
            if crash {
                scene.ledger.recover_attempts(&lease, now()).unwrap();
            } else {
                scene.finish(&lease, ids[at], verdict);
            }
            prop_assert!(scene.file(&lease).records.balances());
        }
        for batch in scene.unfinished(file.id) {
            scene.ledger.advance(&lease, &[], &[batch.id], now()).unwrap();
            scene.finish(&lease, batch.id, Verdict::Answered(Answers::AllAccepted));
        }
        prop_assert_eq!(scene.ledger.settle(&lease, file.id, now(), None).unwrap(), Ok(()));
        let file = scene.file(&lease);
        prop_assert!(file.records.balances() && file.records.pending == 0);
    }
}

#[test]
fn a_size_that_no_file_has_is_stored_all_the_same() {
    let scene = Scene::new();
    let lease = scene.open_run();
    scene.ledger.found(&lease, "/out", b"a.csv", u64::MAX, Some(7), None).unwrap();
}

#[test]
fn a_file_with_a_sealed_batch_cannot_fail() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 2);
    scene
        .ledger
        .lock()
        .execute_batch("DELETE FROM batch WHERE ordinal = 1; UPDATE file SET state='mapped', batches=0")
        .unwrap();
    let fault =
        FileFault { code: RejectCode::TooManyRejects, row: None, byte: 0, column: None, message: String::new() };
    let failed = scene.ledger.fail_file(&lease, file.id, &fault, None, &mut std::iter::empty());
    assert!(failed.is_err(), "a file with a sealed batch was failed");
}

#[test]
fn content_whose_sealing_was_cut_short_is_known_again() {
    let scene = Scene::new();
    let lease = scene.open_run();
    scene.delivering(&lease, 2);
    scene
        .ledger
        .lock()
        .execute_batch("DELETE FROM batch WHERE ordinal = 1; UPDATE file SET state='mapped', batches=0")
        .unwrap();
    scene.ledger.close_run(&lease, RunState::Failed, None, now()).unwrap();
    let other = RunKey { business_date: NaiveDate::from_ymd_opt(2026, 11, 24).unwrap(), ..key() };
    let Opened::New(lease) = scene.ledger.open_run(&other, Trigger::Manual, now()).unwrap() else { panic!() };
    let file = scene.ledger.found(&lease, "/out", b"a.csv", 100, Some(7), None).unwrap();
    if scene.ledger.landed(&lease, file.id, 100, &Sha256Hex::new("aa")).unwrap().is_none() {
        scene.ledger.mapped(&lease, file.id, &mapped(20, 0), &mut std::iter::empty()).unwrap();
        scene.seal(&lease, file.id, sealed(2)).unwrap();
    }
}

#[test]
fn a_failed_file_made_no_records() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.ledger.found(&lease, "/out", b"a.csv", 100, Some(7), None).unwrap();
    scene.ledger.landed(&lease, file.id, 100, &Sha256Hex::new("aa")).unwrap();
    let fault =
        FileFault { code: RejectCode::TooManyRejects, row: None, byte: 0, column: None, message: String::new() };
    let _ = scene.ledger.fail_file(&lease, file.id, &fault, Some(&mapped(10, 2)), &mut std::iter::empty());
    assert_eq!(scene.file(&lease).records.made, 0, "a failed file made records");
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_a_connection() {
    let scene = Scene::new();
    let lease = scene.open_run();
    let file = scene.delivering(&lease, 2);
    let ids: Vec<BatchId> = scene.unfinished(file.id).into_iter().map(|batch| batch.id).collect();
    let slow = Rate { per_second: Some(1), ..Rate::default() };
    let ahead = now() + TimeDelta::days(30);
    scene.ledger.depart(&lease, &[], &ask("crm", &slow, &ids[..1]), ahead).unwrap();
    let set_back = scene.ledger.depart(&lease, &[], &ask("crm", &slow, &ids[1..]), now()).unwrap();
    assert_eq!(set_back.look_again, Some(1_000_000));
}

#[test]
fn an_owner_that_cannot_be_asked_counts_as_alive() {
    let scene = Scene::new();
    scene.open_run();
    // EMFILE, EACCES …: here the name leads to a loop.
    let owners = scene.folder.path().join("owners");
    let path = std::fs::read_dir(&owners).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&path, owners.join("kept")).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let second = scene.ledger.open_run(&key(), Trigger::Manual, now()).unwrap();
    assert!(matches!(second, Opened::Busy(_)), "a living run was taken over");
}

#[test]
fn a_ledger_of_the_second_schema_is_taken_over_with_its_batches_and_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join("ledger.db")).unwrap();
    old.execute_batch(concat!(
        include_str!("migrations/0001.sql"),
        include_str!("migrations/0002.sql"),
        "PRAGMA user_version = 2;
         INSERT INTO run (id, job, business_date, number, \"trigger\", state, started_at, finished_at)
              VALUES ('r', 'orders', '2026-11-23', 1, 'manual', 'break', 1, 2);
         INSERT INTO file (id, run, job, ordinal, folder, name, size, sha256, state, made, accepted, refused, batches, attempts)
              VALUES (1, 'r', 'orders', 0, '/out', x'61', 100, 'aa', 'settled', 10, 9, 1, 1, 1);
         INSERT INTO batch (id, file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, attempts,
                            first_attempt_at, accepted, refused, pending)
              VALUES (7, 1, 0, 0, 10, 0, 100, 'bb', 'key', 'answered', 1, 1, 9, 1, 0);
         INSERT INTO attempt (batch, number, lease, started_at, finished_at, status, outcome) VALUES (7, 1, 'l', 1, 2, 207, 'answered');
         INSERT INTO reject (file, row, byte, code, message, side, raw) VALUES (1, 3, 20, 'NO', 'no', 'target', x'61');"
    ))
    .unwrap();
    drop(old);
    let ledger = Ledger::open(folder.path(), now()).unwrap();
    let attempts = ledger.attempts(&RunId::new("r"), 10).unwrap();
    assert_eq!((attempts.len(), attempts[0].status), (1, Some(207)));
    assert_eq!(ledger.files(&RunId::new("r")).unwrap()[0].records, counts(9, 1, 0, 0));
    let broken: i64 =
        ledger.lock().query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
}
