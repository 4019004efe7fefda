//! `nightferry convert`: a file → NDJSON, or a file in the mapping's output format; from the shell and without a ledger.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::json;

use super::Common;
use super::context::{Context, mapping, tell};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::domain::control::Previous;
use crate::domain::file::{RowCounts, shown_name};
use crate::domain::reject::{FileFault, Reject};
use crate::mapping::spec::{MappingSpec, OutputFormat};
use crate::pipeline::convert::{ConvertInput, Converted, Facts, Sinks, convert_to};
use crate::pipeline::gate;
use crate::pipeline::written::WrittenFile;
use crate::ports::Clock as _;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The mapping
    mapping: String,
    /// The file; `-` reads from stdin
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Where the records go: JSON one a line, other output formats as the mapping says [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the rejects go, as NDJSON
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Mapping threads; the result does not depend on it [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Rejects do not change the exit code
    #[arg(long)]
    rejects_ok: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let mapping = mapping(&context, &args.mapping, common)?;
    let (file, name) = open(&args.file).map_err(|error| failed(&args.file, &error))?;
    let size = file.metadata().map_err(|error| failed(&args.file, &error))?.len();
    let today = SystemClock.now().with_timezone(&Utc).date_naive();
    let facts = Facts { file_name: name.clone(), run: String::new(), business_date: today };
    let mut out = Output::new(args.out.as_deref(), &mapping.spec)
        .map_err(|error| failed(args.out.as_deref().unwrap_or(Path::new("stdout")), &error))?;
    let mut rejects = args.rejects.as_deref().map(RejectLines::new).transpose();
    let rejects = rejects.as_mut().map_err(|error| failed(args.rejects.as_deref().unwrap_or(Path::new("-")), error))?;
    let threads = args.threads.map_or_else(|| std::thread::available_parallelism().map_or(2, usize::from), usize::from);
    let input = ConvertInput {
        file,
        size,
        spec: &mapping.spec,
        facts: &facts,
        empty_file: None,
        threads,
        scratch: args.out.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()),
        previous: &Previous::default(),
        progress: &|_| {},
    };
    let sinks = Sinks {
        records: &mut out.records,
        index: &mut io::sink(),
        reject: &mut |reject| rejects.as_mut().map_or(Ok(()), |rejects| rejects.reject(&reject)),
        states: None,
    };
    let converted = convert_to(input, sinks).map_err(|error| failed(&args.file, &error))?;
    let fault = converted.fault.clone().or_else(|| gate::check(&converted, &mapping.spec.limits));
    finish(args, common, (&name, mapping.spec.output.format), converted, fault, out, rejects.take())
}

/// The file, and its name. What comes from stdin is kept in a file without a name: it may have to be read twice.
fn open(path: &Path) -> io::Result<(File, String)> {
    if path == Path::new("-") {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        file.rewind()?;
        return Ok((file, "stdin".to_owned()));
    }
    use std::os::unix::ffi::OsStrExt as _;
    let name = path.file_name().map(|name| shown_name(name.as_bytes())).unwrap_or_default();
    Ok((File::open(path)?, name))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display()))
}

fn finish(
    args: &Args,
    common: &Common,
    (name, format): (&str, OutputFormat),
    converted: Converted,
    fault: Option<FileFault>,
    out: Output,
    rejects: Option<RejectLines>,
) -> Result<Exit, Failure> {
    let RowCounts { read, skipped, rejected, used } = converted.rows;
    for warning in &converted.warnings {
        tell(common, &format!("warning: {name}: {warning}"));
    }
    if let Some(mut rejects) = rejects {
        for fault in fault.iter().chain(&converted.further_faults) {
            rejects.fault(fault).map_err(|error| failed(args.rejects.as_deref().unwrap_or(Path::new("-")), &error))?;
        }
        rejects.finish().map_err(|error| failed(args.rejects.as_deref().unwrap_or(Path::new("-")), &error))?;
    }
    if let Some(fault) = fault {
        let line = fault.row.map(|row| format!(":{row}")).unwrap_or_default();
        let message = format!("{name}{line}: {}", fault.message);
        return Err(Failure::new(Exit::FAILED, &fault.code.word(), message)
            .hint("the file is not whole or not good enough; nothing of it would be sent"));
    }
    let form = match format {
        OutputFormat::Json | OutputFormat::Jsonl => String::new(),
        format => format!(" as {}", format.word()),
    };
    out.keep().map_err(|error| failed(args.out.as_deref().unwrap_or(Path::new("stdout")), &error))?;
    tell(
        common,
        &format!(
            "{read} rows read = {skipped} skipped + {rejected} rejected + {used} used → {} records{form}",
            converted.made
        ),
    );
    Ok(if rejected > 0 && !args.rejects_ok { Exit::REJECTS } else { Exit::DONE })
}

/// Where records go. A named file appears whole, by rename, or not at all.
struct Output {
    records: WrittenFile<Box<dyn Write>>,
    named: Option<(tempfile::NamedTempFile, PathBuf)>,
}

impl Output {
    fn new(path: Option<&Path>, spec: &MappingSpec) -> io::Result<Self> {
        let (file, named): (Box<dyn Write>, _) = match path {
            None => (Box::new(io::stdout().lock()), None),
            // A device has no name to appear under.
            Some(path) if path.exists() && !path.is_file() => (Box::new(File::options().write(true).open(path)?), None),
            Some(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let file = tempfile::Builder::new().prefix(".nightferry-").tempfile_in(folder)?;
                (Box::new(file.reopen()?), Some((file, path.to_owned())))
            }
        };
        let file: Box<dyn Write> = Box::new(BufWriter::with_capacity(1 << 18, file));
        Ok(Self { records: WrittenFile::new(file, spec), named })
    }

    fn keep(self) -> io::Result<()> {
        self.records.into_inner().flush()?;
        match self.named {
            None => Ok(()),
            Some((file, path)) => file.persist(path).map(drop).map_err(|error| error.error),
        }
    }
}

/// Rejects as NDJSON, with the raw rows: only for the eyes of the one who asked.
struct RejectLines(BufWriter<File>);

impl RejectLines {
    fn new(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self(BufWriter::with_capacity(1 << 16, file)))
    }

    fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        let Reject { row, byte, column, code, message, raw, .. } = reject;
        let raw = String::from_utf8_lossy(raw);
        let line = json!({
            "row": row, "byte": byte, "column": column, "code": code.word(), "message": message, "raw": raw,
        });
        writeln!(self.0, "{line}")
    }

    fn fault(&mut self, fault: &FileFault) -> io::Result<()> {
        let FileFault { code, row, byte, column, message } = fault;
        let line = json!({
            "row": row, "byte": byte, "column": column, "code": code.word(), "message": message, "raw": null,
        });
        writeln!(self.0, "{line}")
    }

    fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
