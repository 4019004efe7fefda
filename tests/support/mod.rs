//! A stage for scenarios: a project in a folder of its own, the real binary, a real sshd, a scriptable HTTP target.
#![allow(dead_code, reason = "every test file uses another part of the stage")]

pub mod dice;
pub mod hosts;
pub mod laws;
pub mod liar;
pub mod proxy;
pub mod sshd;
pub mod target;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use sshd::Sshd;
use target::Target;

/// What a run of the binary printed.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Where a job takes its files from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Sftp,
    Folder,
}

/// A project, its partner's folder, its target.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub target: Target,
    sshd: Option<Sshd>,
}

pub const TOKEN: &str = "token-that-nobody-may-see";

const JOB: &str = r#"
[job]
name    = "orders"
title   = "Orders"
mapping = "orders"

[source]
connection = "partner"
folder     = "FOLDER"
files      = "orders_{business_date:%Y%m%d}*.csv"
ready_when = "at_once"

[target]
connection  = "erp"
path        = "/in"
batch       = { records = 10 }
idempotency = { header = "Idempotency-Key" }
retry       = { attempts = 4, first_wait = "20ms", longest_wait = "100ms" }
"#;

const MAPPING: &str = r#"
[mapping]
name = "orders"

[fields]
"id"       = { from = "id", required = true }
"quantity" = { from = "qty", type = "integer", minimum = 1 }
"day"      = { from = "day", type = "date", format = "%d.%m.%Y" }
"#;

impl Stage {
    /// A job `orders` that takes `orders_20261123*.csv` and sends ten records a request to a target that accepts all.
    pub fn new(source: Source) -> Self {
        Self::with_target(source, Target::start())
    }

    pub fn with_target(source: Source, target: Target) -> Self {
        let folder = tempfile::Builder::new().prefix("nightferry-stage-").tempdir().unwrap();
        for inner in ["project/calendars", "project/jobs", "project/mappings", "remote", "secrets"] {
            fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        let sshd = (source == Source::Sftp).then(|| Sshd::start(&folder.path().join("sshd")));
        let stage = Self { folder, target, sshd };
        stage.write("project/nightferry.toml", "[organisation]\nname = \"Test\"\ntimezone = \"UTC\"\n");
        stage.write("project/connections.toml", stage.connections());
        let remote = stage.remote();
        let folder = if source == Source::Sftp { remote.to_str().unwrap() } else { "/" };
        stage.write("project/jobs/orders.toml", JOB.replace("FOLDER", folder));
        stage.write("project/mappings/orders.toml", MAPPING);
        stage
    }

    fn connections(&self) -> String {
        let partner = match &self.sshd {
            Some(sshd) => format!(
                "kind = \"sftp\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nkey = {{ secret = \"sftp-key\" }}\nhost_key = \"{}\"",
                sshd.port, sshd.user, sshd.host_key
            ),
            None => format!("kind = \"folder\"\npath = \"{}\"", self.remote().display()),
        };
        format!(
            "[partner]\n{partner}\n\n[erp]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{}\"\n\
             auth = {{ kind = \"bearer\", token = {{ secret = \"erp-token\" }} }}\ntimeout = \"5s\"\n",
            self.target.port
        )
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The partner's folder.
    pub fn remote(&self) -> PathBuf {
        self.path("remote")
    }

    pub fn sshd(&self) -> &Sshd {
        self.sshd.as_ref().expect("this stage has no sshd")
    }

    pub fn try_sshd(&self) -> Option<&Sshd> {
        self.sshd.as_ref()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(path), content).unwrap();
    }

    /// Replaces text in a file of the project; it must be there.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} does not hold {from:?}");
        self.write(path, text.replace(from, to));
    }

    /// Lays a file out at the partner's.
    pub fn deliver(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.remote().join(name), content).unwrap();
    }

    /// `count` good rows with ids from `first`.
    pub fn rows(first: u64, count: u64) -> String {
        let row = |id| format!("A-{id:06},{},23.11.2026\n", id % 9 + 1);
        "id,qty,day\n".to_owned() + &(first..first + count).map(row).collect::<String>()
    }

    /// The binary with the stage's project, data and secrets, and nothing else of the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightferry"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NIGHTFERRY_PROJECT", self.path("project"))
            .env("NIGHTFERRY_DATA", self.path("data"))
            .env("NIGHTFERRY_SECRET_ERP_TOKEN", TOKEN)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        if let Some(sshd) = &self.sshd {
            command.env("NIGHTFERRY_SECRET_SFTP_KEY_FILE", &sshd.client_key);
        }
        command
    }

    /// Takes from root what lets it read files that forbid it; others are held by the mode of a file anyway.
    pub fn run_where_modes_count(&self) -> Ended {
        let plain = self.command(&["run", "orders", "--date", "2026-11-23", "--json"]);
        let mut command = Command::new("setpriv");
        if rustix::process::getuid().is_root() {
            command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
        }
        command.arg(plain.get_program()).args(plain.get_args()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        ended(command)
    }

    /// Replaces the `files` of the job, and what follows it up to `ready_when`.
    #[track_caller]
    pub fn source(&self, lines: &str) {
        self.edit(
            "project/jobs/orders.toml",
            "files      = \"orders_{business_date:%Y%m%d}*.csv\"\n",
            &format!("{lines}\n"),
        );
    }

    /// Runs the binary to its end.
    pub fn nightferry(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments))
    }

    /// `nightferry run orders --date 2026-11-23`.
    pub fn run(&self) -> Ended {
        self.nightferry(&["run", "orders", "--date", "2026-11-23"])
    }

    /// `run_json` with further secrets: name and value.
    pub fn run_with(&self, secrets: &[(&str, &str)]) -> Ended {
        let mut command = self.command(&["run", "orders", "--date", "2026-11-23", "--json", "-vv"]);
        for (name, value) in secrets {
            let name = name.to_uppercase().replace('-', "_");
            command.env(format!("NIGHTFERRY_SECRET_{name}"), value);
        }
        ended(command)
    }

    /// The same with `--json`.
    pub fn run_json(&self) -> Ended {
        self.nightferry(&["run", "orders", "--date", "2026-11-23", "--json"])
    }

    /// Starts a run and leaves it to the test, in a process group of its own.
    pub fn spawn_run(&self) -> Child {
        let mut command = self.command(&["run", "orders", "--date", "2026-11-23", "--quiet"]);
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The ledger, read by the test itself.
    pub fn ledger(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("data/ledger.db")).unwrap()
    }

    /// Ids of all records that took effect at the target, sorted; a key takes effect once.
    pub fn delivered_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .target
            .effects()
            .iter()
            .flat_map(|body| match serde_json::from_slice(body).unwrap() {
                Value::Array(records) => records,
                record => vec![record],
            })
            .map(|record| record["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }
}

pub fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 output");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The ids that `Stage::rows` writes.
pub fn ids(first: u64, count: u64) -> Vec<String> {
    (first..first + count).map(|id| format!("A-{id:06}")).collect()
}

/// `{made, accepted, refused, unanswered, pending}` in one line.
pub fn records(document: &Value) -> [u64; 5] {
    ["made", "accepted", "refused", "unanswered", "pending"].map(|key| document["records"][key].as_u64().unwrap())
}

/// `{read, skipped, rejected, used}` in one line.
pub fn rows(document: &Value) -> [u64; 4] {
    ["read", "skipped", "rejected", "used"].map(|key| document["rows"][key].as_u64().unwrap())
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
