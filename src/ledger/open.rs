//! Opening a ledger: folder and file modes, pragmas, migrations.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::owner::Owner;
use super::{Ledger, LedgerError, Result};

/// Never remove or change an entry: ledgers in the field count on it.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
];

/// The first SQLite without the write-ahead-log fault.
const OLDEST_SQLITE: i32 = 3_051_003;

impl Ledger {
    /// Opens the ledger of a data folder, making both where they are missing. Folders get mode 0700, files 0600.
    pub fn open(data: &Path, now: DateTime<Utc>) -> Result<Self> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(LedgerError::OldSqlite(rusqlite::version()));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| LedgerError::Folder { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(at(data))?;
        let path = data.join("ledger.db");
        // Turning a new database into one with a write-ahead log is refused at once while another process does the same, whatever
        // the busy timeout: one at a time. The lock ends with `_turn`.
        let _turn = turn(data).map_err(at(data))?;
        if !path.exists() {
            // SQLite gives its side files the mode of the database file. A file that is there is not opened: closing it would
            // end the locks that another handle of this process has on it.
            fs::File::options().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(at(&path))?;
        }
        let owner = Owner::new(data).map_err(at(data))?;
        let sqlite = |source| LedgerError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        configure(&connection).map_err(sqlite)?;
        migrate(&mut connection, &path, now)?;
        Ok(Self::new(connection, path, Some(owner), data))
    }

    /// Opens a ledger to look at. Never recovers or changes anything; `None` when there is none yet.
    pub fn open_existing(data: &Path) -> Result<Option<Self>> {
        let path = data.join("ledger.db");
        if !path.is_file() {
            return Ok(None);
        }
        let sqlite = |source| LedgerError::Sqlite { path: path.clone(), source };
        // Read-write flags, because a reader of a WAL database after a crash must be able to build its index;
        // `query_only` then keeps every statement from writing.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(sqlite)?;
        connection.pragma_update(None, "query_only", true).map_err(sqlite)?;
        match version(&connection).map_err(sqlite)? {
            0 => Ok(None),
            found if found > MIGRATIONS.len() as i64 => Err(newer(&path, found)),
            _ => Ok(Some(Self::new(connection, path, None, data))),
        }
    }

    fn new(connection: Connection, path: PathBuf, owner: Option<Owner>, data: &Path) -> Self {
        let connection = Mutex::new(connection);
        Self {
            connection,
            path,
            owner,
            data: data.to_owned(),
            commits: AtomicU64::new(0),
            seen_version: AtomicI64::new(-1),
        }
    }
}

/// A turn among the processes that open the ledger of a data folder.
fn turn(data: &Path) -> std::io::Result<fs::File> {
    let folder = fs::File::open(data)?;
    folder.lock()?;
    Ok(folder)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn newer(path: &Path, found: i64) -> LedgerError {
    LedgerError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() as i64 }
}

/// All missing migrations in one transaction: the old schema or the new one, never half. A repeat finds nothing to do.
fn migrate(connection: &mut Connection, path: &Path, now: DateTime<Utc>) -> Result<()> {
    let sqlite = |source| LedgerError::Sqlite { path: path.to_owned(), source };
    let known = MIGRATIONS.len() as i64;
    let found = version(connection).map_err(sqlite)?;
    if found > known {
        return Err(newer(path, found));
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        back_up(connection, path, found, now).map_err(sqlite)?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    // Another process may have been first while we waited for the lock.
    let found = version(&transaction).map_err(sqlite)?;
    for migration in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        transaction.execute_batch(migration).map_err(sqlite)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// A copy beside the ledger, so that a migration can be taken back.
fn back_up(connection: &Connection, path: &Path, found: i64, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let copy = path.with_file_name(format!("ledger-schema-{found}-{}.db", now.format("%Y%m%dT%H%M%SZ")));
    let mut target = Connection::open(copy)?;
    rusqlite::backup::Backup::new(connection, &mut target)?.run_to_completion(1000, Duration::ZERO, None)
}
