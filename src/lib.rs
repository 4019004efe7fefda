//! Nightferry carries the night's files and proves in the morning that everything arrived.
//!
//! The map, inner ring first; a module imports only from itself and from what stands above it:
//!
//! * [`domain`]: the words: job, run, file, reject, delivery, and the laws as arithmetic.
//! * [`schedule`]: the time zones, calendars, cron expressions and when they fire, what is due; pure.
//! * [`mod@format`]: bytes ↔ rows: the strict CSV reader.
//! * [`mapping`]: rows → payload bytes, by a compiled plan; bad data is a value.
//! * [`retry`]: the only place that decides whether a request is made again.
//! * [`config`]: what people write: TOML → diagnostics or jobs.
//! * [`ports`]: the traits between the pipeline and the world.
//! * [`adapters`]: SFTP, folder, HTTP, clock.
//! * [`ledger`]: the database; all SQL is here.
//! * [`pipeline`]: the story: collect, convert, gate, deliver, reconcile.
//! * [`report`]: what people and machines read about a run.
//! * [`serve`]: the scheduler loop: what is due, what may start, how it ends.
//! * `demo`: servers and samples for `nightferry demo` (feature `demo`).
//! * [`cli`]: one file per command; the only place that prints.

pub mod adapters;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod domain;
pub mod format;
pub mod ledger;
pub mod mapping;
pub mod pipeline;
pub mod ports;
pub mod report;
pub mod retry;
pub mod schedule;
pub mod serve;
