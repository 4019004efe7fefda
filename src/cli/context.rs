//! What most commands begin with: the project, the data folder, the ledger, and where output goes.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use super::Common;
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::config::diagnostic::Problems;
use crate::config::project::{LoadedMapping, Project, load_mapping};
use crate::config::render;
use crate::config::suggest::nearest;
use crate::ledger::row::RunRow;
use crate::ledger::{Ledger, LedgerError};
use crate::ports::Clock as _;

/// The project a command works on.
pub struct Context {
    /// The project.
    pub project: Project,
    /// Its data folder.
    pub data: PathBuf,
}

impl Context {
    /// Finds and opens the project.
    pub fn open(common: &Common) -> Result<Self, Failure> {
        let root = root(common)?;
        let project = Project::open(&root).map_err(|problems| not_valid(&problems, common))?;
        let data = data_folder(common, &project);
        Ok(Self { project, data })
    }

    /// The ledger, to look at. `None`: nothing has run yet.
    pub fn ledger_to_read(&self) -> Result<Option<Ledger>, Failure> {
        Ledger::open_existing(&self.data).map_err(|error| ledger_failure(&error))
    }

    /// One run by id, `JOB@last` or `JOB@2026-11-23`.
    pub fn run(&self, reference: &str) -> Result<(Ledger, RunRow), Failure> {
        let missing = || {
            Failure::new(Exit::USAGE, "no-such-run", format!("there is no run `{reference}`"))
                .hint("`nightferry runs` lists them; `JOB@last` and `JOB@2026-11-23` work too")
        };
        let ledger = self.ledger_to_read()?.ok_or_else(missing)?;
        let row = ledger.find_run(reference).map_err(|error| ledger_failure(&error))?.ok_or_else(missing)?;
        Ok((ledger, row))
    }
}

/// Who does something: `NIGHTFERRY_USER`, or the login name.
pub fn who() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    named("NIGHTFERRY_USER")
        .or_else(|| named("SUDO_USER"))
        .or_else(|| named("USER"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Writes down what a person did, before it happens.
pub fn audit(context: &Context, action: &str, what: &str, reason: &str) -> Result<(), Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::new(Exit::USAGE, "no-reason", "a reason is needed, because it is written down"));
    }
    let now = SystemClock.now();
    let ledger = Ledger::open(&context.data, now).map_err(|error| ledger_failure(&error))?;
    ledger.audit(now, &who(), action, what, reason).map_err(|error| ledger_failure(&error))
}

/// A mapping of the project.
pub fn mapping(context: &Context, name: &str, common: &Common) -> Result<LoadedMapping, Failure> {
    match load_mapping(&context.project, name) {
        Ok((mapping, warnings)) => {
            print_problems(&warnings, common);
            Ok(mapping)
        }
        Err(Some(problems)) => Err(not_valid(&problems, common)),
        Err(None) => {
            let known = context.project.mapping_names();
            let near = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
            let hint = format!("{}there are {}", near.unwrap_or_default(), known.join(", "));
            Err(Failure::new(Exit::USAGE, "no-such-mapping", format!("there is no mapping `{name}`")).hint(hint))
        }
    }
}

/// The folder with `nightferry.toml`.
pub fn root(common: &Common) -> Result<PathBuf, Failure> {
    let no_project = |message: String| {
        Failure::new(Exit::NOT_VALID, "no-project", message)
            .hint("a project is the folder with `nightferry.toml`; name it with `--project DIR`")
    };
    match &common.project {
        Some(root) if root.join("nightferry.toml").is_file() => Ok(root.clone()),
        Some(root) => Err(no_project(format!("there is no `nightferry.toml` in {}", root.display()))),
        None => {
            let here = std::env::current_dir().map_err(|error| no_project(format!("the current folder: {error}")))?;
            Project::find(&here)
                .ok_or_else(|| no_project(format!("there is no `nightferry.toml` in {} or above", here.display())))
        }
    }
}

/// The first of `--data` (or `NIGHTFERRY_DATA`), `[paths] data`, `$STATE_DIRECTORY`, and `.nightferry/data`.
pub fn data_folder(common: &Common, project: &Project) -> PathBuf {
    let state_directory = || std::env::var_os("STATE_DIRECTORY").filter(|text| !text.is_empty()).map(PathBuf::from);
    let chosen = common.data.clone().or_else(|| project.data.as_ref().map(|data| project.root.join(data)));
    chosen.or_else(state_directory).unwrap_or_else(|| project.root.join(".nightferry/data"))
}

/// The failure of files that are not valid, told at once on stderr.
pub fn not_valid(problems: &Problems, common: &Common) -> Failure {
    print_problems(problems, common);
    let first = problems.diagnostics.iter().find(|diagnostic| diagnostic.is_error());
    let message = first.map_or_else(
        || "the project's files are not valid".to_owned(),
        |first| format!("{}:{}:{}: {}: {}", first.path, first.line, first.column, first.code, first.message),
    );
    Failure::new(Exit::NOT_VALID, first.map_or("not-valid", |first| first.code), message)
        .hint("`nightferry check` lists every mistake of every file")
}

/// Shows diagnostics on stderr.
pub fn print_problems(problems: &Problems, common: &Common) {
    if !problems.diagnostics.is_empty() {
        let text = render::render(problems, stderr_has_colour(common.color));
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

/// The failure of a ledger.
pub fn ledger_failure(error: &LedgerError) -> Failure {
    let code = if error.is_disk_full() { "disk" } else { "ledger" };
    Failure::new(Exit::FAILED, code, error.to_string())
}

/// Whether stdout takes colour: a terminal, and nobody said no.
pub fn stdout_has_colour(choice: clap::ColorChoice) -> bool {
    has_colour(choice, std::io::stdout().is_terminal())
}

/// Columns of the terminal, as far as they are known.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    said.filter(|width| *width >= 40).unwrap_or(140)
}

/// Whether stderr takes colour: a terminal, and nobody said no.
pub fn stderr_has_colour(choice: clap::ColorChoice) -> bool {
    has_colour(choice, std::io::stderr().is_terminal())
}

fn has_colour(choice: clap::ColorChoice, terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto if set("NO_COLOR") => false,
        clap::ColorChoice::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        clap::ColorChoice::Auto => terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// Prints a result. A reader that went away (`| head`) is not a fault.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints one JSON document.
pub fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(Exit::FAILED, "internal", format!("the result cannot be written: {error}")))?;
    print(&(text + "\n"));
    Ok(())
}

/// Tells something on stderr.
pub fn tell(common: &Common, text: &str) {
    if !common.quiet {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}
