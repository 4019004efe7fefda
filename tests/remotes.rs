//! One suite for every remote: a folder, OpenSSH, ProFTPD, asyncssh, and the demo's own server, each with both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nightferry::adapters::folder::FolderRemote;
use nightferry::domain::job::SftpConnection;
use nightferry::domain::job::SftpEngine::{self, Russh, Ssh2};
use nightferry::ports::{Remote, RemoteError};
use support::hosts::{self, Host, connection, log_in, secrets};
use support::sshd::Sshd;

/// What the suite works on.
struct Stage<'a> {
    remote: &'a mut dyn Remote,
    /// The folder as this machine sees it, and as the remote does.
    here: &'a Path,
    there: &'a str,
    /// Names may be any bytes.
    bytes: bool,
    /// It answers LSTAT with what a link points at.
    follows: bool,
}

impl Stage<'_> {
    fn write(&self, name: &[u8], content: &[u8]) {
        fs::write(self.here.join(OsStr::from_bytes(name)), content).unwrap();
    }

    fn names(&mut self) -> Vec<Vec<u8>> {
        let mut names: Vec<_> = self.remote.list(self.there).unwrap().into_iter().map(|file| file.name).collect();
        names.sort();
        names
    }

    fn copy(&mut self, name: &[u8], start: u64) -> (u64, Vec<u8>) {
        copy(self.remote, self.there, name, start)
    }

    fn clear(&self) {
        for entry in fs::read_dir(self.here).unwrap() {
            let path = entry.unwrap().path();
            let removed = if path.symlink_metadata().unwrap().is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.unwrap();
        }
    }
}

fn copy(remote: &mut dyn Remote, there: &str, name: &[u8], start: u64) -> (u64, Vec<u8>) {
    let mut copied = Vec::new();
    let end = remote.copy(there, name, start, &mut |chunk| {
        copied.extend_from_slice(chunk);
        Ok(())
    });
    (end.unwrap(), copied)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, RemoteError>, words: &str) {
    match result {
        Err(RemoteError::Refused { message }) => assert!(message.contains(words), "{message}"),
        other => panic!("{other:?}"),
    }
}

fn suite(remote: &mut dyn Remote, here: &Path, there: &str, bytes: bool, follows: bool) {
    let mut stage = Stage { remote, here, there, bytes, follows };
    for part in [lists, odd_names, stats, copies, copies_on, renames, deletes, permissions, many_names, many_files] {
        part(&mut stage);
        stage.clear();
    }
}

fn lists(stage: &mut Stage<'_>) {
    assert_eq!(stage.remote.list(stage.there).unwrap(), [], "an empty folder is empty");
    stage.write(b"a.csv", b"content");
    stage.write(b".hidden", b"");
    fs::create_dir(stage.here.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", stage.here.join("link")).unwrap();
    std::os::unix::fs::symlink("link", stage.here.join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", stage.here.join("dangling")).unwrap();
    assert_eq!(
        stage.names(),
        [b".hidden".to_vec(), b"a.csv".to_vec()],
        "files only: no folder, and no link (F12, F13)"
    );
    let there = stage.there.to_owned();
    refused(stage.remote.list(&format!("{there}/nowhere")), "nowhere");
    refused(stage.remote.list(&format!("{there}/a.csv")), "a.csv");
    assert_eq!(stage.remote.list(&format!("{there}/")).unwrap().len(), 2, "a slash at the end changes nothing");
}

/// Names that a stranger may choose (F15, F16): found, read, moved and removed byte by byte as they are.
fn odd_names(stage: &mut Stage<'_>) {
    let long = [b"x".repeat(251), b".csv".to_vec()].concat();
    let mut names: Vec<&[u8]> = vec![
        b" lead and trail ",
        b"%s%n%x.csv",
        b"*.csv",
        b"-rf",
        b"<script>alert(1)<script>",
        b"\\..\\x",
        b"a;b|c&d$(e)`f`'g\"h",
        b"esc\x1b[31m.csv",
        b"line\nbreak.csv",
        "\u{202e}vsc.exe".as_bytes(),
        "größe.csv".as_bytes(),
        &long,
    ];
    if stage.bytes {
        names.extend([&b"latin-\xe6\xf8\xe5.csv"[..], b"\xff\xfe"]);
    }
    for name in &names {
        stage.write(name, name);
    }
    names.sort_unstable();
    assert_eq!(stage.names(), names);
    let done = format!("{}/done", stage.there);
    for name in names {
        assert_eq!(stage.copy(name, 0).1, name, "{}", String::from_utf8_lossy(name));
        assert!(stage.remote.stat(stage.there, name).unwrap().is_some());
        stage.remote.rename(stage.there, name, &done, name).unwrap();
        assert_eq!(copy(stage.remote, &done, name, 0).1, name, "moved byte by byte");
        stage.remote.delete(&done, name).unwrap();
    }
    assert_eq!(fs::read_dir(stage.here.join("done")).unwrap().count(), 0);
}

fn stats(stage: &mut Stage<'_>) {
    stage.write(b"a.csv", b"content");
    stage.write(b"empty.csv", b"");
    let set = |name: &str, time: u64| {
        let file = fs::File::options().write(true).open(stage.here.join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    };
    set("a.csv", 0);
    set("empty.csv", 4_000_000_000);
    std::os::unix::fs::symlink("a.csv", stage.here.join("link")).unwrap();
    fs::create_dir(stage.here.join("folder")).unwrap();
    for file in stage.remote.list(stage.there).unwrap() {
        let there = stage.here.join(OsStr::from_bytes(&file.name)).metadata().unwrap();
        assert_eq!(
            (file.size, file.mtime),
            (Some(there.len()), Some(there.mtime())),
            "1970 and 2096 as they are (F11)"
        );
        let stat = stage.remote.stat(stage.there, &file.name).unwrap();
        assert_eq!(stat.as_ref(), Some(&file), "stat agrees with the listing");
    }
    if stage.follows {
        fs::remove_file(stage.here.join("link")).unwrap();
    }
    for name in [&b"link"[..], b"folder", b"nothing"] {
        assert_eq!(stage.remote.stat(stage.there, name).unwrap(), None, "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(stage.remote.stat(&format!("{}/nowhere", stage.there), b"x").unwrap(), None);
}

fn big() -> Vec<u8> {
    (0..1_300_001_u32).flat_map(u32::to_le_bytes).collect()
}

fn copies(stage: &mut Stage<'_>) {
    let big = big();
    // Around the sizes of reads and packets.
    let sizes = [0, 1, 255, 32_767, 32_768, 32_769, 261_119, 261_120, 261_121, 522_240, 2 << 20, big.len()];
    for size in sizes {
        stage.write(b"a.csv", &big[..size]);
        let (end, copied) = stage.copy(b"a.csv", 0);
        assert_eq!((end, copied.len()), (size as u64, size));
        assert!(copied == big[..size], "{size} bytes");
    }
    let full = stage.remote.copy(stage.there, b"a.csv", 0, &mut |_| Err(ErrorKind::StorageFull.into()));
    assert!(matches!(full, Err(RemoteError::Local(_))), "a fault of ours is not blamed on the remote");
    assert_eq!(stage.copy(b"a.csv", 0).0, big.len() as u64, "and the session lives on");
    refused(stage.remote.copy(stage.there, b"nothing", 0, &mut |_| Ok(())), "nothing");
    assert_eq!(stage.copy(b"a.csv", 0).0, big.len() as u64, "as after a refusal");
}

fn copies_on(stage: &mut Stage<'_>) {
    let big = big();
    stage.write(b"a.csv", &big);
    let size = big.len();
    for start in [1, 32_768, 261_121, size - 1, size, size + 1, 2 * size] {
        let (end, copied) = stage.copy(b"a.csv", start as u64);
        assert_eq!(end, start.max(size).max(start) as u64, "from {start}");
        assert!(copied == big[start.min(size)..], "from {start}");
    }
    for (start, length) in [(0, 10), (size - 5, 10), (size, 10), (1000, 600_000), (0, 0)] {
        let piece = stage.remote.piece(stage.there, b"a.csv", start as u64, length).unwrap();
        assert!(piece == big[start..size.min(start + length)], "{length} bytes from {start}");
    }
    let mut another = stage.remote.another().unwrap();
    let (there, first) = (stage.there.to_owned(), &mut *stage.remote);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| copy(another.as_mut(), &there, b"a.csv", 0).1);
        assert!(copy(first, &there, b"a.csv", 0).1 == big);
        assert!(second.join().unwrap() == big, "two handles at once, each its own bytes");
    });
}

fn renames(stage: &mut Stage<'_>) {
    stage.write(b"a.csv", b"first");
    let done = format!("{}/done/2026", stage.there);
    stage.remote.rename(stage.there, b"a.csv", &done, b"b.csv").unwrap();
    assert_eq!(fs::read(stage.here.join("done/2026/b.csv")).unwrap(), b"first", "missing folders are made");
    stage.write(b"a.csv", b"second");
    let there = stage.there.to_owned();
    refused(stage.remote.rename(&there, b"a.csv", &done, b"b.csv"), "b.csv");
    assert_eq!(
        fs::read(stage.here.join("done/2026/b.csv")).unwrap(),
        b"first",
        "never over a file that is there (F28)"
    );
    assert_eq!(fs::read(stage.here.join("a.csv")).unwrap(), b"second");
    refused(stage.remote.rename(&there, b"nothing", &there, b"other"), "other");
    stage.remote.rename(&there, b"a.csv", &there, b"c.csv").unwrap();
    assert_eq!(stage.names(), [b"c.csv"]);
}

fn deletes(stage: &mut Stage<'_>) {
    stage.write(b"a.csv", b"first");
    let there = stage.there.to_owned();
    stage.remote.delete(&there, b"a.csv").unwrap();
    stage.remote.delete(&there, b"a.csv").unwrap();
    assert_eq!(stage.names(), <[Vec<u8>; 0]>::default(), "gone, and gone already is a success (F29)");
    fs::create_dir(stage.here.join("folder")).unwrap();
    stage.write(b"folder/a.csv", b"kept");
    refused(stage.remote.delete(&there, b"folder"), "folder");
    assert!(stage.here.join("folder/a.csv").exists(), "a folder is never removed");
    stage.remote.try_write(&there, "probe").unwrap();
    assert!(!stage.here.join("probe").exists());
    refused(stage.remote.try_write(&format!("{there}/nowhere"), "probe"), "probe");
}

/// As root nothing is forbidden; then only what an ordinary user would see is left out.
fn permissions(stage: &mut Stage<'_>) {
    stage.write(b"a.csv", b"x");
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (file, there) = (stage.here.join("a.csv"), stage.there.to_owned());
    mode(&file, 0o000);
    assert!(stage.remote.stat(&there, b"a.csv").unwrap().is_some(), "what cannot be read can be seen");
    let mut copied = Vec::new();
    let copy = stage.remote.copy(&there, b"a.csv", 0, &mut |bytes| {
        copied.extend_from_slice(bytes);
        Ok(())
    });
    match copy {
        // ProFTPD gives root's rights away at the login.
        Ok(_) => assert!(root && copied == b"x"),
        forbidden => refused(forbidden, "ermission denied"),
    }
    if !root {
        mode(stage.here, 0o500);
        refused(stage.remote.delete(&there, b"a.csv"), "a.csv");
        refused(stage.remote.try_write(&there, "probe"), "probe");
        mode(stage.here, 0o700);
    }
    mode(&file, 0o600);
}

/// 10,000 entries come whole, each once.
fn many_names(stage: &mut Stage<'_>) {
    for at in 0..10_000 {
        stage.write(format!("file_{at:05}.csv").as_bytes(), b"");
    }
    let names = stage.names();
    assert_eq!(names.len(), 10_000);
    assert!((0..10_000).all(|at| names[at] == format!("file_{at:05}.csv").as_bytes()));
}

/// As many files at once as the remote allows, each its own content.
fn many_files(stage: &mut Stage<'_>) {
    let content = |at: usize| format!("{at};").into_bytes().repeat(at * 37);
    for at in 0..60 {
        stage.write(format!("{at}").as_bytes(), &content(at));
    }
    let count = stage.remote.at_once();
    assert!(count >= 2, "several files at once");
    let mut handles: Vec<_> = (1..count).map(|_| stage.remote.another().unwrap()).collect();
    let there = stage.there.to_owned();
    let copied: BTreeMap<usize, Vec<u8>> = std::thread::scope(|scope| {
        let workers: Vec<_> = handles
            .iter_mut()
            .enumerate()
            .map(|(worker, handle)| {
                let there = &there;
                scope.spawn(move || {
                    let mine = (worker..60).step_by(count - 1);
                    mine.map(|at| (at, copy(handle.as_mut(), there, format!("{at}").as_bytes(), 0).1))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(copied.len(), 60);
    assert!(copied.iter().all(|(at, bytes)| *bytes == content(*at)));
}

fn on(host: &Host, engine: SftpEngine) {
    let mut remote = host.log_in(engine).unwrap();
    suite(remote.as_mut(), &host.here, &host.there, host.bytes, host.follows);
}

#[test]
fn a_folder_keeps_the_suite() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().join("out");
    fs::create_dir(&here).unwrap();
    suite(&mut FolderRemote::new(root.path().to_owned()), &here, "/out", true, false);
}

#[test]
fn openssh_keeps_the_suite_with_ssh2() {
    on(&hosts::openssh(), Ssh2);
}

#[test]
fn openssh_keeps_the_suite_with_russh() {
    on(&hosts::openssh(), Russh);
}

#[test]
fn proftpd_keeps_the_suite_with_ssh2() {
    on(&hosts::proftpd(), Ssh2);
}

#[test]
fn proftpd_keeps_the_suite_with_russh() {
    on(&hosts::proftpd(), Russh);
}

#[test]
fn asyncssh_keeps_the_suite_with_ssh2() {
    on(&hosts::asyncssh(), Ssh2);
}

#[test]
fn asyncssh_keeps_the_suite_with_russh() {
    on(&hosts::asyncssh(), Russh);
}

#[test]
fn the_server_of_the_demo_keeps_the_suite_with_ssh2() {
    on(&hosts::demo(), Ssh2);
}

#[test]
fn the_server_of_the_demo_keeps_the_suite_with_russh() {
    on(&hosts::demo(), Russh);
}

#[test]
fn a_server_that_says_nothing_is_given_up_within_its_deadline() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    for engine in [Ssh2, Russh] {
        let mut connection = connection(silent.local_addr().unwrap().port(), "demo", "SHA256:x");
        connection.timeouts.handshake = Duration::from_millis(500);
        let begun = Instant::now();
        let silence = log_in(&SftpConnection { engine, ..connection }, secrets(Some("x"), None));
        let Err(RemoteError::Unreachable { message, .. }) = silence else { panic!("logged in") };
        assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
        assert!(message.contains("the key exchange failed"), "{message}");
    }
}

#[test]
fn a_pin_may_be_of_any_of_the_servers_keys() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::start_with_keys(&root.path().join("sshd"), &["ecdsa", "rsa"]);
    for (engine, key) in sshd.host_keys.iter().flat_map(|key| [(Ssh2, key), (Russh, key)]) {
        let connection = SftpConnection { engine, ..connection(sshd.port, &sshd.user, key) };
        let mut remote = log_in(&connection, secrets(None, Some(&sshd.client_key))).unwrap();
        assert!(!remote.list(root.path().join("sshd").to_str().unwrap()).unwrap().is_empty());
    }
    assert_eq!(sshd.host_keys.len(), 3);
}
