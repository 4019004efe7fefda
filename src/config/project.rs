//! A project: the folder with `nightferry.toml`, and what one job uses of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::calendar;
use super::columns::SeenFile;
use super::connections::{self, ReadConnection};
use super::diagnostic::Problems;
use super::inline_test::{InlineTest, Sample};
use super::job::{self, ReadJob};
use super::mapping::{self, ReadMapping};
use super::reconcile;
use super::request;
use super::schedule::ReadSchedule;
use super::secret::{SecretSource, Secrets};
use super::source;
use super::suggest::nearest;
use super::tree::{At, Sink, Table};
use super::words::File;
use crate::domain::job::{Connection, ConnectionKind, Job, SecretRef};
use crate::domain::name::ConnectionName;
use crate::mapping::spec::{Auto, MappingSpec, Origin};
use crate::schedule::calendar::Calendar;
use crate::schedule::timetable::Timetable;
use crate::schedule::zone;

/// An installation, from `nightferry.toml`.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder with `nightferry.toml`.
    pub root: PathBuf,
    /// `[organisation] name`.
    pub organisation: String,
    /// `[organisation] timezone`.
    pub timezone: Option<String>,
    /// `[paths] data`, relative to the root or absolute.
    pub data: Option<PathBuf>,
    jobs: PathBuf,
    mappings: PathBuf,
    calendars: PathBuf,
}

/// A job that is valid, with everything it uses.
#[derive(Clone, Debug)]
pub struct LoadedJob {
    /// The job.
    pub job: Job,
    /// Its mapping.
    pub mapping: MappingSpec,
    /// The texts behind the mapping.
    pub pinned: Pinned,
    /// Its connections.
    pub connections: BTreeMap<ConnectionName, Connection>,
    /// When it is due.
    pub timetable: Timetable,
    /// What is worth a look.
    pub warnings: Problems,
}

/// A mapping that is valid.
#[derive(Clone, Debug)]
pub struct LoadedMapping {
    /// Stem of its file.
    pub name: String,
    /// Its file, relative to the project.
    pub path: String,
    /// The rules.
    pub spec: MappingSpec,
    /// `[sample]`.
    pub sample: Sample,
    /// `[[tests]]`.
    pub tests: Vec<InlineTest>,
    /// The texts that it was compiled from.
    pub pinned: Pinned,
}

/// Why a job cannot be loaded.
#[derive(Clone, Debug)]
pub enum LoadError {
    /// There is no such job.
    UnknownJob {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A file that it uses is not valid.
    Invalid(Problems),
}

/// The texts that a mapping was compiled from: enough to compile it again, whatever has become of the files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pinned {
    name: String,
    path: String,
    text: String,
    lookups: BTreeMap<String, String>,
}

/// Texts of the project by relative path: from disk, or from what a run pinned. Remembers what was read.
pub struct Texts<'a> {
    root: Option<&'a Path>,
    read: BTreeMap<String, String>,
}

impl Texts<'_> {
    /// The text at a path relative to the project.
    pub fn read(&mut self, path: &str) -> std::io::Result<String> {
        if let Some(text) = self.read.get(path) {
            return Ok(text.clone());
        }
        let root = self.root.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        let text = fs::read_to_string(root.join(path))?;
        self.read.insert(path.to_owned(), text.clone());
        Ok(text)
    }
}

impl Pinned {
    /// The text of the mapping.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its file, relative to the project.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Compiles the mapping as it was.
    pub fn compile(&self) -> Result<MappingSpec, Problems> {
        let mut texts = Texts { root: None, read: self.lookups.clone() };
        let (read, problems) = compile_mapping(&self.path, &self.text, &self.name, &mut texts, &|_| None);
        read.spec.filter(|_| problems.errors() == 0).ok_or(problems)
    }
}

/// Compiles the text of a mapping.
fn compile_mapping(
    path: &str,
    text: &str,
    name: &str,
    texts: &mut Texts<'_>,
    seen: &dyn Fn(&MappingSpec) -> Option<SeenFile>,
) -> (ReadMapping, Problems) {
    let sink = Sink::new(path, text);
    let tree = sink.parse();
    let mut read = mapping::read(&sink, Table::root(&sink, &tree, File::Mapping), name, texts, seen);
    read.spec = read.spec.filter(|_| sink.is_clean());
    (read, sink.finish())
}

impl Project {
    /// Walks up from `start` to the folder with `nightferry.toml`.
    pub fn find(start: &Path) -> Option<PathBuf> {
        start.ancestors().find(|folder| folder.join("nightferry.toml").is_file()).map(Path::to_owned)
    }

    /// Reads `nightferry.toml`.
    pub fn open(root: &Path) -> Result<Self, Problems> {
        let (project, problems) = Self::read(root);
        if problems.errors() == 0 { Ok(project) } else { Err(problems) }
    }

    fn read(root: &Path) -> (Self, Problems) {
        let mut project = Self {
            root: root.to_owned(),
            organisation: String::new(),
            timezone: None,
            data: None,
            jobs: PathBuf::from("jobs"),
            mappings: PathBuf::from("mappings"),
            calendars: PathBuf::from("calendars"),
        };
        let problems = with_file(root, "nightferry.toml", File::Project, |sink, table| {
            if let Some(organisation) = table.table("organisation") {
                project.organisation = organisation.text("name").map(|name| name.value).unwrap_or_default();
                project.timezone = organisation.text("timezone").and_then(|name| known_zone(sink, name));
                organisation.end();
            }
            if let Some(paths) = table.table("paths") {
                project.data = paths.text("data").map(|path| PathBuf::from(path.value));
                let folder = |key: &str| paths.text(key).map(|path| PathBuf::from(path.value));
                project.jobs = folder("jobs").unwrap_or_else(|| project.jobs.clone());
                project.mappings = folder("mappings").unwrap_or_else(|| project.mappings.clone());
                project.calendars = folder("calendars").unwrap_or_else(|| project.calendars.clone());
                paths.end();
            }
            table.end();
        });
        (project, problems)
    }

    /// Names of the jobs, from their files.
    pub fn job_names(&self) -> Vec<String> {
        stems(&self.root.join(&self.jobs))
    }

    /// Names of the mappings, from their files.
    pub fn mapping_names(&self) -> Vec<String> {
        stems(&self.root.join(&self.mappings))
    }

    /// The jobs that name a mapping, whatever else is wrong with them.
    pub fn jobs_with(&self, mapping: &str) -> Vec<String> {
        let names = |job: &String| {
            let text = fs::read_to_string(self.root.join(self.job_path(job))).unwrap_or_default();
            let table = text.parse::<toml::Table>().ok();
            let named = table.as_ref().and_then(|table| table.get("job")?.get("mapping")?.as_str());
            named == Some(mapping)
        };
        self.job_names().into_iter().filter(names).collect()
    }

    /// Names of the calendars, from their files.
    pub fn calendar_names(&self) -> Vec<String> {
        let folder = self.root.join(&self.calendars);
        let mut names = [stems_of(&folder, "toml"), stems_of(&folder, "ics")].concat();
        names.sort();
        names.dedup();
        names
    }

    fn calendar_path(&self, name: &str, extension: &str) -> String {
        self.calendars.join(format!("{name}.{extension}")).display().to_string()
    }

    fn job_path(&self, name: &str) -> String {
        relative(&self.jobs, name)
    }

    fn mapping_path(&self, name: &str) -> String {
        relative(&self.mappings, name)
    }
}

fn relative(folder: &Path, name: &str) -> String {
    folder.join(format!("{name}.toml")).display().to_string()
}

fn known_zone(sink: &Sink<'_>, name: At<String>) -> Option<String> {
    if zone::exists(&name.value) {
        return Some(name.value);
    }
    let message = format!("`{}` is not a time zone", name.value);
    sink.error_help("NF402", &name.span, message, "", "a name of the IANA list, such as `Europe/Copenhagen`");
    None
}

/// Stems of the `.toml` files of a folder, sorted; a folder that is not there has none.
fn stems(folder: &Path) -> Vec<String> {
    stems_of(folder, "toml")
}

fn stems_of(folder: &Path, wanted: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut stems: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == wanted))
        .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
        .collect();
    stems.sort();
    stems
}

/// Reads one file of the project and walks it; a file that cannot be read is a problem too.
fn with_file(root: &Path, path: &str, file: File, walk: impl FnOnce(&Sink<'_>, Table<'_>)) -> Problems {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => {
            let sink = Sink::new(path, &text);
            let tree = sink.parse();
            walk(&sink, Table::root(&sink, &tree, file));
            sink.finish()
        }
        Err(error) => {
            let sink = Sink::new(path, "");
            sink.error("NF114", &(0..0), format!("`{path}` cannot be read: {error}"), "");
            sink.finish()
        }
    }
}

/// Loads a job. Only the files that it uses must be valid, so that one typo elsewhere does not stop payments.
pub fn load_job(project: &Project, name: &str) -> Result<LoadedJob, LoadError> {
    let known = project.job_names();
    if !known.iter().any(|job| job == name) {
        return Err(LoadError::UnknownJob { name: name.to_owned(), known });
    }
    let mut loading = Loading::new(project);
    let loaded = loading.job(name);
    let mut problems = loading.problems;
    problems.sort();
    match loaded {
        Some(Parts { job, timetable, mapping, pinned, connections }) if problems.errors() == 0 => {
            Ok(LoadedJob { job, mapping, pinned, connections, timetable, warnings: problems })
        }
        _ => Err(LoadError::Invalid(problems)),
    }
}

/// Loads a mapping; warnings come with it.
///
/// # Errors
/// `Err(None)` when there is no such mapping, otherwise what is wrong with it.
pub fn load_mapping(project: &Project, name: &str) -> Result<(LoadedMapping, Problems), Option<Problems>> {
    if !project.mapping_names().iter().any(|known| known == name) {
        return Err(None);
    }
    let mut loading = Loading::new(project);
    let loaded = loading.mapping(name);
    let mut problems = loading.problems;
    problems.sort();
    match loaded {
        Some(loaded) if problems.errors() == 0 => Ok((loaded, problems)),
        _ => Err(Some(problems)),
    }
}

/// Compiles another text of a mapping, such as that of an earlier revision. `lookups` reads a file of that revision.
///
/// # Errors
/// What is wrong with it.
pub fn compile_text(
    name: &str,
    path: &str,
    text: &str,
    lookups: &dyn Fn(&str) -> Option<String>,
    root: &Path,
) -> Result<LoadedMapping, Problems> {
    // Which files it reads is known only from reading it.
    let named = |line: &str| line.split('"').nth(1).map(str::to_owned);
    let files = text.lines().filter(|line| line.trim_start().starts_with("file")).filter_map(named);
    let read = files.filter_map(|file| lookups(&file).map(|text| (file, text))).collect();
    let mut texts = Texts { root: Some(root), read };
    let (read, problems) = compile_mapping(path, text, name, &mut texts, &|_| None);
    let pinned = Pinned { name: name.to_owned(), path: path.to_owned(), text: text.to_owned(), lookups: texts.read };
    let ReadMapping { spec, sample, tests } = read;
    match spec {
        Some(spec) if problems.errors() == 0 => {
            Ok(LoadedMapping { name: name.to_owned(), path: path.to_owned(), spec, sample, tests, pinned })
        }
        _ => Err(problems),
    }
}

/// Every connection of the project, for the commands that work with one.
pub fn load_connections(project: &Project) -> Result<BTreeMap<ConnectionName, Connection>, Problems> {
    let mut loading = Loading::new(project);
    let read = loading.connections(None);
    if loading.problems.errors() > 0 {
        return Err(loading.problems);
    }
    let named = read.into_iter().filter(|(name, _)| name != source::HERE);
    Ok(named.filter_map(|(name, read)| Some((ConnectionName::new(name), read.connection?))).collect())
}

/// The header of the file that a mapping was last used on, by the mapping's name.
pub type Seen<'a> = dyn Fn(&str, &MappingSpec) -> Option<SeenFile> + 'a;

/// Every mistake of every file, at once. With `paths` only what stands in those files. Columns are compared with what `seen` gives.
pub fn check(root: &Path, paths: &[PathBuf], secrets: &Secrets, secrets_are_errors: bool, seen: &Seen<'_>) -> Problems {
    let (project, problems) = Project::read(root);
    let mut loading = Loading { project: &project, problems, seen };
    let read = loading.connections(None);
    let mut used = BTreeSet::new();
    for name in project.job_names() {
        used.extend(loading.job(&name).map(|parts| parts.job.mapping.as_str().to_owned()));
    }
    for name in project.mapping_names() {
        if !used.contains(&name) {
            loading.mapping(&name);
        }
    }
    loading.secrets(&read, secrets, secrets_are_errors);
    let mut problems = loading.problems;
    if !paths.is_empty() {
        let wanted: Vec<PathBuf> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
        problems.diagnostics.retain(|diagnostic| {
            root.join(&diagnostic.path)
                .canonicalize()
                .is_ok_and(|path| wanted.iter().any(|wanted| path.starts_with(wanted)))
        });
    }
    problems.sort();
    problems
}

/// A job with everything it uses.
struct Parts {
    job: Job,
    timetable: Timetable,
    mapping: MappingSpec,
    pinned: Pinned,
    connections: BTreeMap<ConnectionName, Connection>,
}

/// Reads files and collects what is wrong with them.
struct Loading<'p> {
    project: &'p Project,
    problems: Problems,
    seen: &'p Seen<'p>,
}

impl<'p> Loading<'p> {
    fn new(project: &'p Project) -> Self {
        // A run compares with the file itself, and what an analyst prepares for tomorrow stops nothing today.
        Self { project, problems: Problems::default(), seen: &|_, _| None }
    }

    fn connections(&mut self, only: Option<&[&str]>) -> BTreeMap<String, ReadConnection> {
        let mut read = BTreeMap::new();
        let found = with_file(&self.project.root, "connections.toml", File::Connections, |sink, root| {
            read = connections::read(sink, &root, only);
        });
        self.problems.merge(found);
        for connection in read.values_mut().filter_map(|read| read.connection.as_mut()) {
            // Relative to the project, wherever the command is called from.
            for path in connection.kind.paths() {
                *path = self.project.root.join(&*path);
            }
        }
        // A source without a connection has its `folder` in the project, unless that is absolute.
        let path = self.project.root.clone();
        let (name, kind) = (ConnectionName::new(source::HERE), ConnectionKind::Folder { path });
        let here = Connection { name, kind };
        let kind = Some("folder".to_owned());
        read.insert(source::HERE.to_owned(), ReadConnection { connection: Some(here), kind, secrets: Vec::new() });
        read
    }

    fn mapping(&mut self, name: &str) -> Option<LoadedMapping> {
        let path = self.project.mapping_path(name);
        let text = match fs::read_to_string(self.project.root.join(&path)) {
            Ok(text) => text,
            Err(error) => {
                let sink = Sink::new(&path, "");
                sink.error("NF114", &(0..0), format!("`{path}` cannot be read: {error}"), "");
                self.problems.merge(sink.finish());
                return None;
            }
        };
        let mut texts = Texts { root: Some(&self.project.root), read: BTreeMap::new() };
        let (read, problems) = compile_mapping(&path, &text, name, &mut texts, &|spec| (self.seen)(name, spec));
        self.problems.merge(problems);
        let pinned = Pinned { name: name.to_owned(), path, text, lookups: texts.read };
        let ReadMapping { spec, sample, tests } = read;
        Some(LoadedMapping { name: name.to_owned(), path: pinned.path.clone(), spec: spec?, sample, tests, pinned })
    }

    fn job(&mut self, name: &str) -> Option<Parts> {
        let path = self.project.job_path(name);
        let (root, timezone) = (self.project.root.clone(), self.project.timezone.clone());
        let mut parts = None;
        let found = with_file(&root, &path, File::Job, |sink, table| {
            let read = job::read(sink, table, name, timezone.as_deref());
            parts = self.resolve(sink, read);
        });
        self.problems.merge(found);
        parts
    }

    /// Follows the references of a job; what is missing is shown where it is named.
    fn resolve(&mut self, sink: &Sink<'_>, read: ReadJob) -> Option<Parts> {
        let mapping = read.mapping.and_then(|named| {
            if !self.project.mapping_names().contains(&named.value) {
                let message = format!("there is no mapping `{}`", named.value);
                sink.error(
                    "NF127",
                    &named.span,
                    message,
                    &format!("no file {}", self.project.mapping_path(&named.value)),
                );
                return None;
            }
            self.mapping(&named.value)
        });
        let names: Vec<&str> = [&read.source, &read.target].into_iter().flatten().map(|at| at.value.as_str()).collect();
        let connections = self.connections(Some(&names));
        let mut source = find(sink, &connections, read.source.as_ref(), &["sftp", "folder"]);
        let is_absolute =
            read.job.as_ref().is_some_and(|job| job.source.folder.fill(Default::default(), "").starts_with('/'));
        if let (Some(here), true) = (source.as_mut().filter(|source| source.name.as_str() == source::HERE), is_absolute)
        {
            here.kind = ConnectionKind::Folder { path: PathBuf::from("/") };
        }
        let target = find(sink, &connections, read.target.as_ref(), &["http"]);
        let timetable = read.schedule.and_then(|schedule| self.timetable(sink, schedule));
        let (mut job, LoadedMapping { spec, pinned, .. }) = (read.job?, mapping?);
        reconcile::check(sink, &spec, &read.reconcile, &read.measures);
        request::settle(sink, &mut job.target, &spec, &read.request);
        if let Some(idempotency) = &job.target.idempotency {
            check_run_in_key(sink, &spec, &idempotency.header, read.target.as_ref());
        }
        let connections = [source?, target?].into_iter().map(|one| (one.name.clone(), one)).collect();
        Some(Parts { job, timetable: timetable?, mapping: spec, pinned, connections })
    }

    /// The timetable with its calendars, and every job it runs behind known to be there.
    fn timetable(&mut self, sink: &Sink<'_>, read: ReadSchedule) -> Option<Timetable> {
        let ReadSchedule { mut timetable, calendars, after_jobs } = read;
        let read: Vec<Option<Calendar>> = calendars.iter().map(|named| self.calendar(sink, named)).collect();
        if let Some(calendar) = read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().reduce(Calendar::and) {
            timetable.calendar = calendar;
        }
        let jobs = self.project.job_names();
        for named in after_jobs.iter().filter(|named| !jobs.contains(&named.value)) {
            told_missing(sink, "job", named, &jobs, &self.project.job_path(&named.value));
        }
        Some(timetable)
    }

    fn calendar(&mut self, sink: &Sink<'_>, named: &At<String>) -> Option<Calendar> {
        let (ours, imported) =
            (self.project.calendar_path(&named.value, "toml"), self.project.calendar_path(&named.value, "ics"));
        let root = self.project.root.clone();
        if root.join(&ours).is_file() {
            let mut calendar = None;
            self.problems.merge(with_file(&root, &ours, File::Calendar, |sink, table| {
                calendar = Some(calendar::read(sink, &table, &named.value)).filter(|_| sink.is_clean());
                table.end();
            }));
            return calendar;
        }
        let Ok(text) = fs::read_to_string(root.join(&imported)) else {
            told_missing(sink, "calendar", named, &self.project.calendar_names(), &ours);
            return None;
        };
        let sink = Sink::new(&imported, &text);
        let calendar = Some(calendar::import(&sink, &text, &named.value)).filter(|_| sink.is_clean());
        self.problems.merge(sink.finish());
        calendar
    }

    fn secrets(&mut self, read: &BTreeMap<String, ReadConnection>, secrets: &Secrets, as_errors: bool) {
        let found = with_file(&self.project.root, "connections.toml", File::Connections, |sink, _| {
            for named in read.values().flat_map(|connection| &connection.secrets) {
                if let Err(message) = secrets.secret(&SecretRef(named.value.clone())) {
                    let help = "systemd: `LoadCredentialEncrypted=`; containers: a mounted file and `…_FILE`";
                    if as_errors {
                        sink.error_help("NF502", &named.span, message, "", help);
                    } else {
                        sink.warn("NF502", &named.span, message, help);
                    }
                }
            }
        });
        self.problems.merge(found);
    }
}

/// A reference to a file that is not there.
fn told_missing(sink: &Sink<'_>, what: &str, named: &At<String>, known: &[String], path: &str) {
    let message = format!("there is no {what} `{}`", named.value);
    let label = format!("no file {path}");
    match nearest(&named.value, known.iter().map(String::as_str)) {
        Some(near) => sink.error_help("NF127", &named.span, message, &label, format!("did you mean `{near}`?")),
        None => sink.error("NF127", &named.span, message, &label),
    }
}

fn find(
    sink: &Sink<'_>,
    connections: &BTreeMap<String, ReadConnection>,
    named: Option<&At<String>>,
    kinds: &[&str],
) -> Option<Connection> {
    let named = named?;
    let Some(read) = connections.get(&named.value) else {
        let message = format!("there is no connection `{}`", named.value);
        sink.error("NF127", &named.span, message, "no table of this name in connections.toml");
        return None;
    };
    if read.kind.as_deref().is_some_and(|kind| !kinds.contains(&kind)) {
        let is = read.kind.as_deref().unwrap_or_default();
        let wanted = kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
        sink.error(
            "NF128",
            &named.span,
            format!("`{}` is of kind `{is}`", named.value),
            &format!("{wanted} is needed here"),
        );
        return None;
    }
    read.connection.clone()
}

/// With `auto = "run"` every run would send another body under another key: nothing would ever be recognised again.
fn check_run_in_key(sink: &Sink<'_>, spec: &MappingSpec, header: &str, target: Option<&At<String>>) {
    let field = spec.fields.iter().find(|field| matches!(field.origin, Origin::Auto(Auto::Run)));
    if let (Some(field), Some(target)) = (field, target) {
        let message = format!(
            "the mapping sends the run's id (`{}`), so `{header}` could never recognise a batch again",
            field.target.join(".")
        );
        sink.error_help("NF129", &target.span, message, "", "leave the field out, or use `auto = \"file.name\"`");
    }
}
