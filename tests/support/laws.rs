//! What holds in every committed state of the ledger, together with the target's log.

use std::collections::HashMap;

use super::Stage;

/// Fails the test where it does not.
#[track_caller]
pub fn check(stage: &Stage) {
    let ledger = stage.ledger();
    let one = |sql: &str| -> i64 { ledger.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(one("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(
        one("SELECT count(*) FROM file WHERE rows_read <> rows_skipped + rows_rejected + rows_used"),
        0,
        "law 1"
    );
    assert_eq!(one("SELECT count(*) FROM file WHERE made <> accepted + refused + unanswered + pending"), 0, "law 2");
    assert_eq!(
        one("SELECT count(*) FROM file f WHERE state IN ('delivering', 'settled') AND
             (made, accepted, refused, unanswered, pending) <> (SELECT sum(records - moved), sum(accepted), sum(refused),
             sum(unanswered), sum(pending) FROM batch b WHERE b.file = f.id)"),
        0,
        "a file's counts are those of its batches"
    );
    assert_eq!(
        one("SELECT count(*) FROM batch p
             WHERE moved < (SELECT coalesce(sum(records), 0) FROM batch c WHERE c.parent = p.id)"),
        0,
        "what parts carry, their parent gave away"
    );
    assert_eq!(one("SELECT count(*) FROM batch WHERE attempts <> (SELECT count(*) FROM attempt WHERE batch = id)"), 0);
    assert_eq!(
        one("SELECT count(*) FROM file f WHERE refused <> (SELECT count(*) FROM reject WHERE file = f.id
             AND side = 'target' AND state <> 'replayed' AND carrier IS NULL)"),
        0,
        "every refused record is listed"
    );
    assert_eq!(
        one("SELECT count(*) FROM file f WHERE state IN ('delivering', 'settled') AND rows_rejected <>
             (SELECT count(DISTINCT byte) FROM reject WHERE file = f.id AND side = 'mapping' AND carrier IS NULL)"),
        0,
        "every rejected row is listed"
    );
    assert_eq!(
        one("SELECT count(*) FROM file_measure m WHERE counts = 0 AND (made, accepted, refused, unanswered) <>
             (SELECT coalesce(sum(d.amount - d.moved), 0), coalesce(sum(d.accepted), 0), coalesce(sum(d.refused), 0),
                     coalesce(sum(d.unanswered), 0)
                FROM batch b JOIN batch_measure d ON d.batch = b.id WHERE b.file = m.file AND d.slot = m.slot)"),
        0,
        "a file's sums are those of its batches"
    );
    let mut statement = ledger.prepare("SELECT key, state FROM batch").unwrap();
    let batches: HashMap<String, String> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for request in stage.target.log() {
        let known = request.key.as_ref().is_none_or(|key| batches.contains_key(key));
        assert!(known, "I5: the target saw a key that nobody had sealed");
    }
    assert_eq!(stage.target.mismatched(), Vec::<String>::new(), "I4: one body for each key");
}
