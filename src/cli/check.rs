//! `nightferry check`: every mistake of every file, at once.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Common;
use super::context::{data_folder, print, print_json, print_problems, root, tell};
use super::exit::{Exit, Failure};
use super::given::{ENOUGH_FOR_A_HEADER, last_accepted};
use crate::config::columns::SeenFile;
use crate::config::diagnostic::Problems;
use crate::config::fix::mend;
use crate::config::project::{self, Project};
use crate::config::render;
use crate::config::secret::Secrets;
use crate::domain::file::shown_name;
use crate::ledger::Ledger;
use crate::mapping::spec::MappingSpec;
use crate::pipeline::seen;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what is wrong in these files [default: all]
    paths: Vec<PathBuf>,
    /// A missing secret is an error, not a warning
    #[arg(long)]
    secrets: bool,
    /// How mistakes are shown
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Full)]
    message_format: MessageFormat,
    /// Mend what can be mended without a decision; comments stay
    #[arg(long)]
    fix: bool,
    /// Compare the columns of the mapping in PATHS with this file [default: the last accepted one, or else the sample]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Check again whenever a file of the project is saved, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// One JSON document (as `--message-format json`)
    #[arg(long)]
    json: bool,
}

/// How mistakes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MessageFormat {
    /// With the line, a caret and what to do
    Full,
    /// One line each: `path:line:column: error[NF101]: …`
    Concise,
    /// One JSON document
    Json,
    /// Annotations of GitHub's workflows
    Github,
}

/// How often `--watch` looks whether something was saved.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let root = root(common)?;
    if !args.watch {
        return once(&root, args, common);
    }
    let mut before = saved(&root);
    once(&root, args, common)?;
    loop {
        std::thread::sleep(LOOK_AGAIN);
        let now = saved(&root);
        if now != before {
            before = now;
            if std::io::stdout().is_terminal() {
                // A clean screen, so that what was mended is gone.
                print("\x1b[H\x1b[2J");
            }
            once(&root, args, common)?;
        }
    }
}

/// Path, size and time of every file that `check` reads.
fn saved(root: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.metadata() {
                Ok(about) if about.is_dir() && !hidden => folders.push(path),
                Ok(about)
                    if about.is_file() && path.extension().is_some_and(|kind| kind == "toml" || kind == "csv") =>
                {
                    files.push((path, about.len(), about.modified().ok()));
                }
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// Checks once, and says so.
fn once(root: &Path, args: &Args, common: &Common) -> Result<Exit, Failure> {
    let against = args.against.as_deref().map(|path| against(root, args, path)).transpose()?;
    let known = Known::open(root, common);
    let seen = |name: &str, spec: &MappingSpec| match &against {
        Some((mapping, path)) if mapping == name => header_of(File::open(path).ok()?, path, spec),
        Some(_) => None,
        None => known.as_ref()?.header(name, spec),
    };
    let all = || project::check(root, &args.paths, &Secrets::from_environment(), args.secrets, &seen);
    let mut problems = all();
    if args.fix {
        let fixed = fix(root, &problems)?;
        if !fixed.is_empty() {
            tell(common, &format!("mended: {}", fixed.join(", ")));
            problems = all();
        }
    }
    let (errors, warnings) = (problems.errors(), problems.warnings());
    if args.json || args.message_format == MessageFormat::Json {
        print_json(&render::to_json(&problems))?;
    } else {
        match args.message_format {
            MessageFormat::Concise => print(&render::concise(&problems)),
            MessageFormat::Github => print(&render::github(&problems)),
            MessageFormat::Full | MessageFormat::Json => print_problems(&problems, common),
        }
        let verdict = match (errors, warnings) {
            (0, 0) => "all files are valid\n".to_owned(),
            (errors, warnings) => {
                format!("{}, {}\n", counted(errors as u64, "error"), counted(warnings as u64, "warning"))
            }
        };
        print(&verdict);
    }
    Ok(if errors == 0 { Exit::DONE } else { Exit::NOT_VALID })
}

/// What the ledger knows of the files that mappings were used on. A project or a ledger that cannot be opened knows nothing.
struct Known {
    project: Project,
    data: PathBuf,
    ledger: Ledger,
}

impl Known {
    fn open(root: &Path, common: &Common) -> Option<Self> {
        let project = Project::open(root).ok()?;
        let data = data_folder(common, &project);
        let ledger = Ledger::open_existing(&data).ok()??;
        Some(Self { project, data, ledger })
    }

    fn header(&self, mapping: &str, spec: &MappingSpec) -> Option<SeenFile> {
        let given = last_accepted(&self.project, &self.data, &self.ledger, mapping, ENOUGH_FOR_A_HEADER).ok()??;
        seen::header(given.again().ok()?, &given.name, "the last accepted file", spec).ok()?
    }
}

/// The one mapping among the paths, or of the project, and the file to compare it with.
fn against(root: &Path, args: &Args, path: &Path) -> Result<(String, PathBuf), Failure> {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let named: Vec<String> = match args.paths.as_slice() {
        [] => Project::open(root).map(|project| project.mapping_names()).unwrap_or_default(),
        paths => paths.iter().filter_map(|path| stem(path)).collect(),
    };
    let [mapping] = named.as_slice() else {
        let message = format!("`--against` compares one mapping with a file, and there are {}", named.len());
        return Err(Failure::new(Exit::USAGE, "against", message)
            .hint("name it: `nightferry check mappings/NAME.toml --against FILE`"));
    };
    if !path.is_file() {
        return Err(Failure::new(Exit::FAILED, "file", format!("{}: there is no such file", path.display())));
    }
    Ok((mapping.clone(), path.to_owned()))
}

fn header_of(file: File, path: &Path, spec: &MappingSpec) -> Option<SeenFile> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = path.file_name().map(|name| shown_name(name.as_bytes())).unwrap_or_default();
    seen::header(file, &name, "the file", spec).ok()?
}

/// Mends every file that has something to mend; what was mended.
fn fix(root: &Path, problems: &Problems) -> Result<Vec<String>, Failure> {
    let mut mended = Vec::new();
    for (path, text) in &problems.sources {
        let (new, count) = mend(text, problems.diagnostics.iter().filter(|diagnostic| diagnostic.path == *path));
        if count > 0 {
            std::fs::write(root.join(path), new)
                .map_err(|error| Failure::new(Exit::FAILED, "file", format!("{path}: {error}")))?;
            mended.push(format!("{path} ({})", counted(count, "place")));
        }
    }
    Ok(mended)
}
