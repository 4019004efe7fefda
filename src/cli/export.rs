//! `rejects --export` and `--original`: the open rows as a file of their own, to be repaired or sent back to whoever wrote them.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Common;
use super::context::{Context, ledger_failure, mapping, tell};
use super::exit::{Exit, Failure};
use super::given::landed;
use crate::config::project::load_job;
use crate::domain::name::RunId;
use crate::format::encoding::Encoding;
use crate::ledger::Ledger;
use crate::ledger::reject::RejectFilter;
use crate::ledger::row::RejectRow;
use crate::mapping::spec::{Format, InputSpec};
use crate::report::reject_file::{ExportedRow, RejectFile};
use crate::report::text::counted;

/// Writes the rejects that the filter lets through to `path`, or as they came to stdout.
pub fn execute(
    context: &Context,
    ledger: &Ledger,
    filter: &RejectFilter,
    path: Option<&Path>,
    open: bool,
    common: &Common,
) -> Result<Exit, Failure> {
    let mut rows: Vec<ExportedRow> = Vec::new();
    let mut hidden = false;
    let mut first: Option<RejectRow> = None;
    let mut files: Vec<(String, u32, Option<u64>)> = Vec::new();
    ledger
        .each_reject(filter, &mut |reject| {
            hidden |= reject.masked.is_some();
            let file = (reject.run.as_str().to_owned(), reject.ordinal, reject.head);
            if !reject.raw.is_empty() {
                ExportedRow::add(&mut rows, files.last() == Some(&file), &reject);
                if files.last() != Some(&file) {
                    files.push(file);
                }
            }
            if first.is_none() {
                first = Some(reject);
            }
        })
        .map_err(|error| ledger_failure(&error))?;
    let Some(first) = first else {
        tell(common, "nothing is open");
        return Ok(Exit::DONE);
    };
    if hidden && !open {
        let message = "these rows hold personal data, and an export shows it as it is";
        return Err(Failure::new(Exit::USAGE, "personal-data", message)
            .hint("add `--show-personal-data REASON`; the reason is written down"));
    }
    let input = input_of(context, &first, common)?;
    let heads = files.iter().map(|(run, ordinal, head)| head_of(context, ledger, run, *ordinal, *head));
    let heads = heads.collect::<Result<Vec<_>, _>>()?;
    if heads.windows(2).any(|pair| pair.first() != pair.last()) {
        let message = "the open rejects come from files with different headers";
        return Err(Failure::new(Exit::FAILED, "headers", message).hint("export one run at a time, with `--run RUN`"));
    }
    let head = heads.into_iter().next().unwrap_or_default();
    let encoding = Encoding::parse(&input.encoding).unwrap_or(Encoding::UTF_8);
    let file = RejectFile { head, rows: &rows, delimiter: input.delimiter, quote: input.quote, encoding };
    match path {
        None => {
            let mut stdout = std::io::stdout().lock();
            let _ = stdout.write_all(&file.original()).and_then(|()| stdout.flush());
        }
        Some(path) => {
            if input.format != Format::Csv || !input.header {
                let message = "only files of delimiter-separated text with a header take further columns";
                return Err(
                    Failure::new(Exit::FAILED, "format", message).hint("`--original` gives the rows as they came")
                );
            }
            write(path, &file.with_causes())?;
            let count = counted(rows.len() as u64, "row");
            tell(
                common,
                &format!("{count} in {}; `nightferry run {} --file` takes it back", path.display(), first.job),
            );
        }
    }
    Ok(Exit::DONE)
}

fn input_of(context: &Context, reject: &RejectRow, common: &Common) -> Result<InputSpec, Failure> {
    let missing = |_| {
        Failure::new(Exit::NOT_VALID, "not-valid", format!("the job `{}` is not valid or not there", reject.job))
            .hint("`nightferry check` says what is wrong")
    };
    let job = load_job(&context.project, reject.job.as_str()).map_err(missing)?;
    Ok(mapping(context, job.job.mapping.as_str(), common)?.spec.input)
}

/// What stands before the rows of a landed file.
fn head_of(context: &Context, ledger: &Ledger, run: &str, ordinal: u32, head: Option<u64>) -> Result<Vec<u8>, Failure> {
    let gone = |reason: String| {
        let message = format!("file {ordinal} of run {run} cannot be read as it came: {reason}");
        Failure::new(Exit::FAILED, "file", message)
    };
    let files = ledger.files(&RunId::new(run)).map_err(|error| ledger_failure(&error))?;
    let file = files.into_iter().find(|file| file.ordinal == ordinal).ok_or_else(|| gone("no such file".to_owned()))?;
    let wrapping = || load_job(&context.project, file.job.as_str()).ok().and_then(|loaded| loaded.job.wrapping);
    let most = head.unwrap_or(0);
    let open = landed(&context.data, ledger, &file, wrapping, most);
    let open = open.ok_or_else(|| gone("it is no longer in the data folder".to_owned()))?;
    let mut bytes = Vec::new();
    open.take(most).read_to_end(&mut bytes).map_err(|error| gone(error.to_string()))?;
    Ok(bytes)
}

/// Whole, by rename, for the owner alone: rows are personal data more often than not.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display()));
    let draft = path.with_extension("part");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)
}
