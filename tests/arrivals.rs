//! Files arrive: which are chosen, when they are taken, and what is told when they are not there.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nightferry::adapters::folder::FolderRemote;
use nightferry::domain::reject::RejectCode;
use nightferry::pipeline::land::{self, LandFault, Landed};
use nightferry::pipeline::remote_thread::RemoteThread;
use nightferry::ports::{Remote, RemoteError, RemoteFile};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Source, Stage, ids};

/// Name, state and reason of each file of a run.
fn files(document: &Value) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let files = document["files"].as_array().unwrap().iter();
    files.map(|file| (text(&file["name"]).unwrap(), text(&file["state"]).unwrap(), text(&file["reason"]))).collect()
}

fn names(document: &Value) -> Vec<String> {
    files(document).into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn files_are_chosen_by_several_patterns() {
    let stage = Stage::new(Source::Folder);
    stage.source("files = [\"a_{business_date:%d.%m.%Y}.csv\", \"b_*.csv\"]");
    for (at, name) in (0..).zip(["a_23.11.2026.csv", "b_1.csv", "a_22.11.2026.csv", "b_1.csv.tmp"]) {
        stage.deliver(name, Stage::rows(at * 10, 3));
    }
    let document = stage.run_json().exits(0).json();
    assert_eq!(names(&document), ["a_23.11.2026.csv", "b_1.csv"]);
}

#[test]
fn files_are_chosen_by_a_regular_expression_with_a_date_and_a_number() {
    let stage = Stage::new(Source::Sftp);
    stage.source("regex = '(?<date>\\d{4}-\\d\\d-\\d\\d)_(?<sequence>\\d+)\\.csv'\norder = \"sequence\"");
    for (at, name) in (0..).zip(["2026-11-23_10.csv", "2026-11-23_9.csv", "2026-11-22_8.csv", "2026-11-23_x.csv"]) {
        stage.deliver(name, Stage::rows(at * 10, 3));
    }
    let document = stage.run_json().exits(0).json();
    assert_eq!(names(&document), ["2026-11-23_9.csv", "2026-11-23_10.csv"], "by number, not by name");
}

#[test]
fn a_run_takes_the_oldest_files_and_leaves_the_rest_to_the_next() {
    let stage = Stage::new(Source::Folder);
    stage.source("files = \"*.csv\"\norder = \"oldest\"\nat_most = 2");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for (age, name) in [(10, "a.csv"), (30, "b.csv"), (20, "c.csv"), (0, "d.csv"), (5, "e.csv")] {
        stage.deliver(name, Stage::rows(age * 10, 3));
        let file = fs::File::options().write(true).open(stage.remote().join(name)).unwrap();
        file.set_modified(hour_ago - Duration::from_secs(age * 60)).unwrap();
    }
    let first = stage.run_json().exits(0);
    assert_eq!(names(&first.json()), ["b.csv", "c.csv"]);
    assert_eq!(
        first.stderr,
        "orders: 3 more files match, and `at_most` is 2: the next run takes `a.csv`, `e.csv`, `d.csv`\n"
    );
    let second = stage.run_json().exits(0).json();
    let fresh: Vec<_> = files(&second).into_iter().filter(|(_, state, _)| state == "settled").collect();
    assert_eq!(fresh.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["a.csv", "e.csv"]);
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids().len(), 15);
}

#[test]
fn f35_a_gap_in_the_numbers_is_named_and_what_is_behind_it_waits_for_it() {
    let stage = Stage::new(Source::Folder);
    stage.source("files = \"ord_{sequence:04}_*.csv\"\nsequence = { on_gap = \"wait\" }");
    for number in [40, 41, 43] {
        stage.deliver(&format!("ord_{number:04}_x.csv"), Stage::rows(number * 10, 3));
    }
    let waiting = stage.run_json().exits(7);
    assert_eq!(names(&waiting.json()), ["ord_0040_x.csv", "ord_0041_x.csv"]);
    let gap = "orders: number 42 is missing before `ord_0043_x.csv`; 1 file behind it waits\n";
    assert_eq!(waiting.stderr, gap);
    assert_eq!(stage.run_json().exits(7).stderr, gap, "the ledger knows the last number");

    stage.deliver("ord_0042_y.csv", Stage::rows(420, 3));
    let document = stage.run_json().exits(0).json();
    assert_eq!(document["run"], waiting.json()["run"], "the waiting run goes on");
    assert_eq!(names(&document)[2..], ["ord_0042_y.csv", "ord_0043_x.csv"]);

    // The next day begins behind 43.
    stage.deliver("ord_0045_x.csv", Stage::rows(450, 3));
    let next = stage.nightferry(&["run", "orders", "--date", "2026-11-24"]).exits(7);
    assert!(next.stderr.contains("number 44 is missing before `ord_0045_x.csv`"), "{}", next.stderr);
}

#[test]
fn f35_a_gap_may_fail_the_run_or_be_a_warning_and_numbers_may_restart_each_day() {
    let stage = Stage::new(Source::Folder);
    stage.source("files = \"{sequence}.csv\"\nsequence = { on_gap = \"fail\", first = 1, restarts = \"daily\" }");
    stage.deliver("2.csv", Stage::rows(1, 3));
    let document = stage.run_json().exits(1).json();
    assert_eq!((&document["state"], &document["error"]["code"]), (&json!("failed"), &json!("sequence-gap")));
    let message = "orders: number 1 is missing before `2.csv`; 1 file behind it waits";
    assert_eq!((&document["error"]["message"], names(&document).len()), (&json!(message), 0));

    stage.edit("project/jobs/orders.toml", "\"fail\"", "\"warn\"");
    let warned = stage.run_json().exits(0);
    assert_eq!(warned.stderr, "orders: number 1 is missing before `2.csv`\n");
    stage.deliver("1.csv", Stage::rows(11, 3));
    let next = stage.nightferry(&["run", "orders", "--date", "2026-11-24", "--json"]).exits(0);
    assert_eq!((next.stderr.as_str(), names(&next.json())), ("", vec!["1.csv".to_owned(), "2.csv".to_owned()]));
}

#[test]
fn f35_too_few_files_wait_and_say_how_many_are_there() {
    let stage = Stage::new(Source::Folder);
    stage.source("files = \"*.csv\"\nat_least = 3");
    stage.deliver("a.csv", Stage::rows(1, 3));
    stage.deliver("b.csv", Stage::rows(11, 3));
    let waiting = stage.run_json().exits(7);
    assert_eq!(waiting.stderr, "orders: 2 of at least 3 files match `/*.csv`; no other file is there\n");
    assert!(stage.target.log().is_empty());
}

#[test]
fn nothing_there_nothing_expected_and_a_listing_that_fails_are_three_outcomes() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261122.csv", "");
    stage.deliver("readme\x1b.txt", "");
    let what = "orders: no file matches `/orders_20261123*.csv`; nearest names there: `orders_20261122.csv`, `readme\\x1b.txt`";
    let waiting = stage.run_json().exits(7);
    assert_eq!((waiting.stderr.trim(), &waiting.json()["state"]), (what, &json!("waiting")));

    stage.edit("project/jobs/orders.toml", "[target]", "if_none = \"succeed\"\n[target]");
    let none = stage.run_json().exits(0);
    let expected = format!("{what}; none was expected (`if_none = \"succeed\"`)");
    assert_eq!((none.stderr.trim(), &none.json()["state"]), (expected.as_str(), &json!("done")));

    stage.edit("project/jobs/orders.toml", "\"succeed\"", "\"fail\"");
    let failed = stage.run_json().exits(1).json();
    assert_eq!((&failed["error"]["code"], &failed["error"]["message"]), (&json!("no-file"), &json!(what)));

    stage.edit("project/jobs/orders.toml", "folder     = \"/\"", "folder     = \"/nowhere\"");
    let unlisted = stage.run_json().exits(8).json();
    assert_eq!((&unlisted["state"], &unlisted["error"]["code"]), (&json!("failed"), &json!("refused-by-source")));
    let message = unlisted["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("/remote/nowhere: No such file or directory (os error 2)"), "{message}");
}

#[test]
fn a_run_that_waits_looks_again_until_the_file_is_there() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "[target]", "look_every = \"50ms\"\n[target]");
    let remote = stage.remote();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        fs::write(remote.join(".part"), Stage::rows(1, 3)).unwrap();
        fs::rename(remote.join(".part"), remote.join("orders_20261123.csv")).unwrap();
    });
    stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--wait"]).exits(0);
    writer.join().unwrap();
    assert_eq!(stage.delivered_ids(), ids(1, 3));
    let waited = stage.nightferry(&["run", "orders", "--date", "2026-11-24", "--wait=150ms", "--json"]).exits(7);
    assert_eq!(waited.json()["state"], "waiting");
    let wrong = stage.nightferry(&["run", "orders", "--wait=soon"]).exits(2);
    assert!(wrong.stderr.contains("a number and a unit"), "{}", wrong.stderr);
}

#[test]
fn f01_a_file_that_grows_is_not_taken_and_nothing_of_it_is_delivered() {
    let stage = Stage::new(Source::Sftp);
    stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ unchanged_for = \"1500ms\" }");
    let path = stage.remote().join("orders_20261123.csv");
    fs::write(&path, Stage::rows(1, 3)).unwrap();
    let grown = path.clone();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        fs::write(grown, Stage::rows(1, 6)).unwrap();
    });
    let waiting = stage.run().exits(7);
    writer.join().unwrap();
    assert!(waiting.stderr.contains("not ready yet: `orders_20261123.csv`"), "{}", waiting.stderr);
    assert!(stage.target.log().is_empty());
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 6));
}

#[test]
fn f05_permission_denied_on_one_of_100_files_fails_that_one_alone() {
    let stage = Stage::new(Source::Folder);
    for number in 0..100 {
        stage.deliver(&format!("orders_20261123_{number:03}.csv"), Stage::rows(number * 10, 2));
    }
    let denied = stage.remote().join("orders_20261123_042.csv");
    fs::set_permissions(&denied, fs::Permissions::from_mode(0o000)).unwrap();
    let document = stage.run_where_modes_count().exits(1).json();
    let (failed, others): (Vec<_>, Vec<_>) = files(&document).into_iter().partition(|(_, state, _)| state == "failed");
    let unreadable = ("orders_20261123_042.csv".to_owned(), "failed".to_owned(), Some("unreadable".to_owned()));
    assert_eq!((failed, others.len()), (vec![unreadable], 99));
    assert!(others.iter().all(|(_, state, _)| state == "settled"));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("orders_20261123_042.csv") && message.contains("Permission denied"), "{message}");
    assert_eq!(stage.delivered_ids().len(), 198);

    fs::set_permissions(&denied, fs::Permissions::from_mode(0o600)).unwrap();
    stage.run_where_modes_count().exits(0);
    assert_eq!(stage.delivered_ids().len(), 200);
}

#[test]
fn f06_permission_denied_on_the_folder_fails_the_run() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    fs::set_permissions(stage.remote(), fs::Permissions::from_mode(0o000)).unwrap();
    let document = stage.run_where_modes_count().exits(8).json();
    fs::set_permissions(stage.remote(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((&document["state"], &document["error"]["code"]), (&json!("failed"), &json!("refused-by-source")));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("/remote/: Permission denied"), "{message}");
}

#[test]
fn f12_f13_links_are_not_followed_not_even_in_a_circle() {
    for source in [Source::Folder, Source::Sftp] {
        let stage = Stage::new(source);
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(to, stage.remote().join(from)).unwrap();
        link("orders_20261123_a.csv", "orders_20261123_b.csv");
        link("orders_20261123_b.csv", "orders_20261123_a.csv");
        link("orders_20261123_passwd.csv", "/etc/passwd");
        stage.deliver("orders_20261123_real.csv", Stage::rows(1, 3));
        let document = stage.run_json().exits(0).json();
        assert_eq!(names(&document), ["orders_20261123_real.csv"]);
        assert_eq!(stage.delivered_ids(), ids(1, 3));
    }
}

#[test]
fn f15_f16_names_are_carried_byte_by_byte_and_never_reach_a_terminal_or_our_own_disk() {
    let mut names: Vec<Vec<u8>> = [
        "a\nb.csv",
        "c\x1b[2Jd.csv",
        "%s%n.csv",
        "\"'`.csv",
        "<script>alert(1)</script>.csv",
        "\u{202e}vsc.csv",
        "$(id).csv",
        "-rf.csv",
        "..\\x.csv",
        "\u{feff}.csv",
        "con.csv",
        "日本.csv",
    ]
    .map(|name| name.replace('/', "∕").into_bytes())
    .to_vec();
    names.push(b"\xe6\xff.csv".to_vec());
    names.push([vec![b'x'; 251], b".csv".to_vec()].concat());
    for source in [Source::Folder, Source::Sftp] {
        let stage = Stage::new(source);
        stage.source("files = \"*.csv\"");
        stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
        for (at, name) in (0..).zip(&names) {
            fs::write(stage.remote().join(std::ffi::OsStr::from_bytes(name)), Stage::rows(at * 10, 2)).unwrap();
        }
        let ended = stage.run_json().exits(0);
        assert_eq!(ended.json()["files"].as_array().unwrap().len(), names.len());
        let text = stage.nightferry(&["show", "orders@last"]).exits(0).stdout;
        for shown in [&ended.stdout, &ended.stderr, &text] {
            let commands = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
            assert!(!shown.contains(commands), "{shown}");
        }
        assert_eq!(fs::read_dir(stage.remote()).unwrap().count(), 0, "each was deleted by its own bytes");
        for run in fs::read_dir(stage.path("data/files")).unwrap() {
            for name in support::names(&run.unwrap().path()) {
                let (ordinal, ending) = name.split_once('.').unwrap();
                assert!(ordinal.parse::<u32>().is_ok() && ending == "landed", "{name}");
            }
        }
    }
}

#[test]
fn f17_case_twins_are_both_noted_and_the_second_is_a_conflict() {
    let stage = Stage::new(Source::Sftp);
    stage.source("files = \"*.csv\"");
    stage.deliver("Orders.csv", Stage::rows(1, 3));
    stage.deliver("orders.csv", Stage::rows(11, 3));
    let document = stage.run_json().exits(1).json();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        files(&document),
        [
            (text("orders.csv"), text("failed"), Some(text("name-conflict"))),
            (text("Orders.csv"), text("settled"), None)
        ]
    );
    let message =
        "orders: orders.csv: `Orders.csv` and `orders.csv` differ only in large and small letters; the first is taken";
    assert_eq!(document["error"]["message"], message);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn a_file_is_ready_with_its_checksum_and_one_that_differs_is_taken_again_once_it_is_mended() {
    let stage = Stage::new(Source::Sftp);
    stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ checksum = \"{file}.sha256\" }");
    let content = Stage::rows(1, 3);
    stage.deliver("orders_20261123.csv", &content[..content.len() - 10]);
    let waiting = stage.run().exits(7);
    assert!(waiting.stderr.contains("not ready yet: `orders_20261123.csv`"), "{}", waiting.stderr);

    let hash: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    stage.deliver("orders_20261123.csv.sha256", format!("{hash}  orders_20261123.csv\n"));
    let document = stage.run_json().exits(1).json();
    assert_eq!(document["files"][0]["reason"], "checksum");
    let message = document["error"]["message"].as_str().unwrap();
    let begin = format!("orders: orders_20261123.csv: `orders_20261123.csv.sha256` says sha256 {hash}, but that of ");
    assert!(message.starts_with(&begin), "{message}");
    assert!(stage.target.log().is_empty());

    stage.deliver("orders_20261123.csv", &content);
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn f03_an_upload_that_paused_is_caught_by_its_checksum_of_any_kind() {
    for (ending, digits) in [("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128)] {
        let stage = Stage::new(Source::Folder);
        let rule = format!("{{ checksum = \"{{file}}.{ending}\" }}");
        stage.edit("project/jobs/orders.toml", "\"at_once\"", &rule);
        stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
        stage.deliver(&format!("orders_20261123.csv.{ending}"), "0".repeat(digits));
        let document = stage.run_json().exits(1).json();
        assert_eq!(document["files"][0]["reason"], "checksum");
        stage.deliver(&format!("orders_20261123.csv.{ending}"), "what is this?");
        let document = stage.run_json().exits(1).json();
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.ends_with(&format!("holds no {ending} checksum of `orders_20261123.csv`")), "{message}");
        let tool = std::process::Command::new(format!("{ending}sum"))
            .arg("orders_20261123.csv")
            .current_dir(stage.remote())
            .output()
            .unwrap();
        stage.deliver(&format!("orders_20261123.csv.{ending}"), tool.stdout);
        stage.run().exits(0);
        assert_eq!(stage.delivered_ids(), ids(1, 3));
    }
}

#[test]
fn f34_a_run_that_waits_beyond_its_deadline_is_late_until_it_is_balanced() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "[source]", "[schedule]\nexpected_by = \"+1s\"\n\n[source]");
    assert_eq!(stage.run_json().exits(7).json()["late"], false);
    std::thread::sleep(Duration::from_millis(1200));
    let shown = stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json();
    assert_eq!((&shown["state"], &shown["late"]), (&json!("waiting"), &json!(true)));
    let listed = stage.nightferry(&["runs"]).exits(0).stdout;
    assert!(listed.contains("waiting, late"), "{listed}");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    assert_eq!(stage.run_json().exits(0).json()["late"], true, "it was balanced too late");

    let next = stage.nightferry(&["run", "orders", "--date", "2026-11-24", "--json"]).exits(7).json();
    assert_eq!(next["late"], false);
    stage.deliver("orders_20261124.csv", Stage::rows(11, 3));
    stage.nightferry(&["run", "orders", "--date", "2026-11-24"]).exits(0);
    std::thread::sleep(Duration::from_millis(1200));
    let shown = stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json();
    assert_eq!(shown["late"], false, "it was balanced in time");
}

/// A folder of this machine where something happens while a file is copied.
struct Changing {
    folder: FolderRemote,
    /// Called once, before the first byte (`true`) and after the last (`false`).
    happens: Box<dyn FnMut(bool) + Send>,
}

impl Remote for Changing {
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
        self.folder.list(folder)
    }

    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError> {
        self.folder.stat(folder, name)
    }

    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError> {
        (self.happens)(true);
        let copied = self.folder.copy(folder, name, start, sink);
        (self.happens)(false);
        copied
    }

    fn piece(&mut self, folder: &str, name: &[u8], start: u64, length: usize) -> Result<Vec<u8>, RemoteError> {
        self.folder.piece(folder, name, start, length)
    }

    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError> {
        self.folder.delete(folder, name)
    }

    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError> {
        self.folder.rename(folder, name, to, new_name)
    }

    fn try_write(&mut self, folder: &str, name: &str) -> Result<(), RemoteError> {
        self.folder.try_write(folder, name)
    }

    fn at_once(&self) -> usize {
        1
    }

    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError> {
        self.folder.another()
    }
}

/// Lands `a.csv` while `happens` does something to it; the names in our own folder afterwards.
fn landing(happens: impl Fn(&Path, bool) + Send + 'static) -> (Result<Landed, LandFault>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (there, ours) = (folder.path().join("there"), folder.path().join("ours"));
    fs::create_dir(&there).unwrap();
    fs::create_dir(&ours).unwrap();
    fs::write(there.join("a.csv"), Stage::rows(1, 100)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (root, target) = (there.clone(), ours.join("0.landed"));
    let landed = runtime.block_on(async move {
        let changing = Changing {
            folder: FolderRemote::new(root),
            happens: Box::new(move |before| happens(&there.join("a.csv"), before)),
        };
        let remote = RemoteThread::open("test", move || Ok(Box::new(changing) as Box<dyn Remote>)).await.unwrap();
        let listed = remote.call(|remote| remote.list("/")).await.unwrap();
        land::land(&remote, "/", &listed[0], &target, |_| {}).await
    });
    (landed, support::names(&ours))
}

#[track_caller]
fn is_thrown_away(outcome: (Result<Landed, LandFault>, Vec<String>), message: &str) {
    let Err(LandFault::File(fault)) = outcome.0 else { panic!("{:?}", outcome.0) };
    assert_eq!(fault.code, RejectCode::ChangedWhileReading);
    assert_eq!((fault.message.as_str(), outcome.1.len()), (message, 0), "nothing of it is kept");
}

const CHANGED: &str = "`a.csv` changed while it was read; the copy was thrown away and a later run takes it";

#[test]
fn f01_a_file_that_grows_while_it_is_copied_is_thrown_away() {
    let append = |path: &Path| {
        fs::File::options().append(true).open(path).unwrap().write_all(b"A-x,1,23.11.2026\n").unwrap();
    };
    is_thrown_away(
        landing(move |path, before| {
            if before {
                append(path)
            }
        }),
        CHANGED,
    );
    is_thrown_away(
        landing(move |path, before| {
            if !before {
                append(path)
            }
        }),
        CHANGED,
    );
}

#[test]
fn f02_a_file_that_is_replaced_while_it_is_copied_is_thrown_away() {
    let replaced = landing(|path, before| {
        if before {
            // The same size, another time: what was listed is gone.
            let other = path.with_extension("new");
            fs::write(&other, Stage::rows(2, 100)).unwrap();
            fs::File::options().write(true).open(&other).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            fs::rename(&other, path).unwrap();
        }
    });
    is_thrown_away(replaced, CHANGED);
}

#[test]
fn f04_a_file_that_vanishes_is_noted_and_nothing_is_claimed() {
    let vanished = landing(|path, before| {
        if !before {
            fs::remove_file(path).unwrap();
        }
    });
    assert!(matches!(vanished.0, Err(LandFault::Vanished)), "{:?}", vanished.0);
    assert_eq!(vanished.1.len(), 0);

    // In a whole run: it vanishes between two listings.
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ unchanged_for = \"400ms\" }");
    stage.edit("project/jobs/orders.toml", "[target]", "if_none = \"succeed\"\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let path = stage.remote().join("orders_20261123.csv");
    let remover = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        fs::remove_file(path).unwrap();
    });
    let document = stage.run_json().exits(0).json();
    remover.join().unwrap();
    assert_eq!((&document["state"], names(&document).len()), (&json!("done"), 0));
}

#[test]
fn f28_a_clean_up_that_fails_never_delivers_again_and_is_tried_alone_by_the_next_run() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = { move_to = \"/done\" }\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    fs::create_dir(stage.remote().join("done")).unwrap();
    fs::set_permissions(stage.remote(), fs::Permissions::from_mode(0o500)).unwrap();
    let document = stage.run_where_modes_count().exits(0).json();
    let file = &document["files"][0];
    assert_eq!((&document["state"], &file["state"]), (&json!("done"), &json!("settled")), "accepted stays accepted");
    let warning = file["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("it was delivered, but `afterwards` failed: ") && warning.contains("Permission denied")
    );
    assert_eq!(stage.target.log().len(), 1);

    let again = stage.run_where_modes_count().exits(0).json();
    assert_eq!(files(&again)[0].1, "passed_over");
    fs::set_permissions(stage.remote(), fs::Permissions::from_mode(0o700)).unwrap();
    stage.run().exits(0);
    assert_eq!(support::names(&stage.remote()), ["done"]);
    assert_eq!(support::names(&stage.remote().join("done")), ["orders_20261123.csv"]);
    assert_eq!(stage.target.log().len(), 1, "it was never sent again");
}

#[test]
fn f28_a_target_that_exists_a_folder_that_is_missing_and_another_volume_are_no_obstacle() {
    let elsewhere = tempfile::Builder::new().prefix("nightferry-").tempdir_in("/dev/shm").unwrap();
    let stage = Stage::new(Source::Folder);
    let inbox = stage.remote();
    let source = format!("kind = \"folder\"\nfolder     = \"{}\"", inbox.display());
    stage.edit("project/jobs/orders.toml", "connection = \"partner\"\nfolder     = \"/\"", &source);
    let done = elsewhere.path().join("a/b");
    let rule = format!("afterwards = {{ move_to = \"{}\" }}\n[target]", done.display());
    stage.edit("project/jobs/orders.toml", "[target]", &rule);
    for first in [1, 11] {
        stage.deliver("orders_20261123.csv", Stage::rows(first, 3));
        let document = stage.run_json().exits(0).json();
        assert_eq!(document["files"][0]["warnings"], json!([]), "{document}");
    }
    assert_eq!(support::names(&inbox), [""; 0]);
    let moved = support::names(&done);
    assert_eq!((moved.len(), moved[0].as_str()), (2, "orders_20261123.csv"));
    assert!(moved[1].starts_with("orders_20261123.csv."), "{moved:?}");
    assert_eq!(fs::read_to_string(done.join("orders_20261123.csv")).unwrap(), Stage::rows(1, 3));
}

#[test]
fn a_done_file_goes_the_way_of_its_file() {
    for (rule, left) in [("\"delete\"", vec![]), ("{ move_to = \"/done\" }", vec!["done"])] {
        let stage = Stage::new(Source::Sftp);
        let rule = rule.replace("/done", stage.remote().join("done").to_str().unwrap());
        stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ done_file = \"{file}.done\" }");
        stage.edit("project/jobs/orders.toml", "[target]", &format!("afterwards = {rule}\n[target]"));
        stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
        stage.deliver("orders_20261123.csv.done", "");
        stage.run().exits(0);
        assert_eq!(support::names(&stage.remote()), left);
    }
}

/// Passes bytes on between a client and a server until `ends` is true; then what the server still says is lost.
fn cutting_proxy(server: u16, ends: impl Fn() -> bool + Send + Sync + 'static) -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let ends = std::sync::Arc::new(ends);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = std::net::TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut up, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut to_server));
            let ends = ends.clone();
            std::thread::spawn(move || {
                let (mut client, mut server, mut buffer) = (client, server, [0; 1 << 16]);
                while let Ok(count @ 1..) = server.read(&mut buffer) {
                    if ends() || client.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn f29_a_delete_whose_answer_is_lost_is_done_all_the_same() {
    let stage = Stage::new(Source::Sftp);
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\nif_none = \"succeed\"\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let path = stage.remote().join("orders_20261123.csv");
    let there = stage.sshd().port;
    let proxy = cutting_proxy(there, move || !path.exists());
    stage.edit("project/connections.toml", &format!("port = {there}"), &format!("port = {proxy}"));
    let document = stage.run_json().exits(0).json();
    assert_eq!((&document["state"], &document["files"][0]["state"]), (&json!("done"), &json!("settled")));
    assert_eq!(support::names(&stage.remote()), [""; 0], "it was deleted");

    stage.edit("project/connections.toml", &format!("port = {proxy}"), &format!("port = {there}"));
    let again = stage.run_json().exits(0).json();
    assert_eq!((&again["state"], names(&again).len()), (&json!("done"), 0));
    assert_eq!(stage.target.log().len(), 1);
}
