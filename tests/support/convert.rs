//! A bench for files without a ledger: a project in a folder of its own, `nightferry convert`, and everything that came of it.
#![allow(dead_code, reason = "every test file uses another part of the bench")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

pub struct Bench {
    folder: tempfile::TempDir,
}

/// What a conversion left behind.
#[derive(Debug)]
pub struct Converted {
    pub code: Option<i32>,
    /// The NDJSON; `None` when there is no file.
    pub out: Option<String>,
    /// The same as bytes, for outputs that are no UTF-8.
    pub bytes: Option<Vec<u8>>,
    /// Each as `ROW COLUMN CODE`, with `-` for what is not there.
    pub rejects: Vec<String>,
    pub messages: Vec<String>,
    pub stderr: String,
    /// Peak resident memory in KiB, as it was last seen.
    pub memory: u64,
}

impl Converted {
    /// Fails the test unless it ended with `code` and exactly these rejects.
    #[track_caller]
    pub fn ends(self, code: i32, rejects: &[&str]) -> Self {
        assert_eq!(
            (self.code, &self.rejects),
            (Some(code), &rejects.iter().map(|line| (*line).into()).collect()),
            "{}",
            self.stderr
        );
        assert_eq!(self.out.is_some(), code != 1, "`--out` appears whole or not at all");
        if code == 1 {
            let message = self.messages.last().expect("a fault");
            let first = message.split(['`', ';', '(']).next().unwrap_or_default();
            assert!(self.stderr.contains(first.trim()), "{message:?} is not on stderr: {}", self.stderr);
        }
        self
    }

    /// The records, in the order of the file.
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let out = self.out.as_deref().expect("an output");
        assert!(out.is_empty() || out.ends_with('\n'), "the last record has no line end");
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The lines, which must be exactly these.
    #[track_caller]
    pub fn made(self, lines: &[&str]) -> Self {
        assert_eq!(self.out.as_deref().expect("an output").lines().collect::<Vec<_>>(), lines);
        self
    }
}

impl Bench {
    /// A project with one mapping, `m`.
    pub fn new(mapping: &str) -> Self {
        let bench = Self { folder: tempfile::Builder::new().prefix("nightferry-convert-").tempdir().unwrap() };
        fs::create_dir(bench.path("mappings")).unwrap();
        bench.write("nightferry.toml", "[organisation]\nname = \"Test\"\ntimezone = \"UTC\"\n");
        bench.write("mappings/m.toml", mapping);
        bench
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(path), content).unwrap();
    }

    /// `nightferry convert m --file …`, once with one thread and once with two: they must not differ.
    #[track_caller]
    pub fn convert(&self, content: impl AsRef<[u8]>) -> Converted {
        self.write("in.dat", content);
        let (one, two) = (self.run("1"), self.run("2"));
        let parts = |ended: &Converted| (ended.code, ended.out.clone(), ended.rejects.clone(), ended.messages.clone());
        assert_eq!(parts(&one), parts(&two), "with one thread and with two");
        two
    }

    fn run(&self, threads: &str) -> Converted {
        let [out, rejects, stderr] = ["out.ndjson", "rejects.ndjson", "stderr"].map(|name| self.path(name));
        for old in [&out, &rejects] {
            let _ = fs::remove_file(old);
        }
        let binary = std::env::var_os("NF_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_nightferry").into());
        let mut child = Command::new(binary)
            .args(["convert", "m", "--threads", threads, "--project"])
            .arg(self.folder.path())
            .args(["--file".as_ref(), self.path("in.dat").as_os_str(), "--out".as_ref(), out.as_os_str()])
            .args(["--rejects".as_ref(), rejects.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut memory = 0;
        let ended = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let peak =
                text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            memory = peak.unwrap_or(memory);
            match child.try_wait().unwrap() {
                Some(ended) => break ended,
                None => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        };
        let entries: Vec<Value> = fs::read_to_string(&rejects)
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        let word = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for entry in &entries {
            let keys: Vec<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["byte", "code", "column", "message", "raw", "row"], "the keys of a reject");
        }
        let line =
            |entry: &Value| format!("{} {} {}", word(&entry["row"]), word(&entry["column"]), word(&entry["code"]));
        Converted {
            code: ended.code(),
            out: fs::read(&out).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            bytes: fs::read(&out).ok(),
            rejects: entries.iter().map(line).collect(),
            messages: entries.iter().map(|entry| word(&entry["message"])).collect(),
            stderr: fs::read_to_string(&stderr).unwrap(),
            memory,
        }
    }
}
