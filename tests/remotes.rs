//! One suite for every remote: a folder, a real OpenSSH server, and the demo's own server.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nightferry::adapters::folder::FolderRemote;
use nightferry::adapters::sftp::{SftpRemote, SftpSecrets};
use nightferry::demo::sftp_server::SftpServer;
use nightferry::domain::job::{SecretRef, SftpConnection, SftpTimeouts};
use nightferry::domain::name::ConnectionName;
use nightferry::ports::{Remote, RemoteError};
use secrecy::SecretString;
use support::sshd::Sshd;

fn connection(port: u16, user: &str, host_key: &str) -> SftpConnection {
    SftpConnection {
        host: "127.0.0.1".into(),
        port,
        user: user.into(),
        password: Some(SecretRef("password".into())),
        key: None,
        key_passphrase: None,
        host_keys: vec![host_key.into()],
        sessions: 2,
        timeouts: SftpTimeouts::default(),
    }
}

fn secrets(password: Option<&str>, key: Option<&Path>) -> SftpSecrets {
    SftpSecrets {
        password: password.map(SecretString::from),
        key: key.map(|path| SecretString::from(fs::read_to_string(path).unwrap())),
        key_passphrase: None,
    }
}

fn log_in(connection: &SftpConnection, secrets: SftpSecrets) -> Result<SftpRemote, RemoteError> {
    SftpRemote::connect(connection, &ConnectionName::new("partner"), || Ok(secrets))
}

/// The suite. `here` is the folder as this machine sees it, `there` as the remote does; `bytes`: names may be any bytes.
fn suite(remote: &mut dyn Remote, here: &Path, there: &str, bytes: bool) {
    let big: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).take(5_000_000).collect();
    let mut names: Vec<&[u8]> = vec![b"a b.csv", b"big.csv", b"empty.csv", b"line\nbreak.csv"];
    if bytes {
        names.push(b"not-utf8-\xe6.csv");
    }
    for name in &names {
        let content: &[u8] = match *name {
            b"big.csv" => &big,
            b"empty.csv" => b"",
            _ => b"content",
        };
        fs::write(here.join(std::ffi::OsStr::from_bytes(name)), content).unwrap();
    }
    fs::create_dir(here.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", here.join("link")).unwrap();

    let mut listed = remote.list(there).unwrap();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(
        listed.iter().map(|file| file.name.as_slice()).collect::<Vec<_>>(),
        names,
        "files only; no folder, no link"
    );
    assert_eq!(listed[1].size, Some(5_000_000));
    for file in &listed {
        assert_eq!(remote.stat(there, &file.name).unwrap().as_ref(), Some(file), "stat agrees with the listing");
    }
    assert_eq!(remote.stat(there, b"link").unwrap(), None, "links are not followed");
    assert_eq!(remote.stat(there, b"nothing").unwrap(), None);

    for (name, expected) in [(&b"big.csv"[..], big.as_slice()), (b"empty.csv", b""), (b"line\nbreak.csv", b"content")] {
        let mut copied = Vec::new();
        let count = remote
            .copy(there, name, 0, &mut |chunk| {
                copied.extend_from_slice(chunk);
                Ok(())
            })
            .unwrap();
        assert_eq!(count, expected.len() as u64);
        assert!(copied == expected, "{}", String::from_utf8_lossy(name));
    }
    for (start, expected) in [(4_999_990, &big[4_999_990..]), (5_000_000, b""), (6_000_000, b"")] {
        let mut copied = Vec::new();
        let mut another = remote.another().unwrap();
        let end = another.copy(there, b"big.csv", start, &mut |chunk| {
            copied.extend_from_slice(chunk);
            Ok(())
        });
        assert_eq!(end.unwrap(), start + expected.len() as u64, "from {start}");
        assert!(copied == expected, "from {start}, over a second handle");
    }

    let full = remote.copy(there, b"a b.csv", 0, &mut |_| Err(std::io::Error::from(std::io::ErrorKind::StorageFull)));
    assert!(matches!(full, Err(RemoteError::Local(_))), "a fault of ours is not blamed on the remote");

    remote.rename(there, b"a b.csv", &format!("{there}/done/2026"), b"a b.csv").unwrap();
    assert!(here.join("done/2026/a b.csv").exists(), "missing folders are made");
    fs::write(here.join("a b.csv"), "second").unwrap();
    let refused = remote.rename(there, b"a b.csv", &format!("{there}/done/2026"), b"a b.csv");
    assert!(matches!(refused, Err(RemoteError::Refused { .. })), "never over a file that is there");
    assert_eq!(fs::read_to_string(here.join("done/2026/a b.csv")).unwrap(), "content");

    for name in &names {
        remote.delete(there, name).unwrap();
        remote.delete(there, name).unwrap();
    }
    assert_eq!(remote.list(there).unwrap(), []);
    for refused in [
        remote.list(&format!("{there}/nowhere")).map(drop),
        remote.copy(there, b"nothing", 0, &mut |_| Ok(())).map(drop),
        remote.rename(there, b"nothing", there, b"other").map(drop),
    ] {
        let Err(RemoteError::Refused { message }) = refused else { panic!("{refused:?}") };
        assert!(message.contains("nowhere") || message.contains("nothing") || message.contains("other"), "{message}");
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("out");
    fs::create_dir(&here).unwrap();
    (folder, here)
}

#[test]
fn a_folder_keeps_the_suite() {
    let (root, here) = folder();
    suite(&mut FolderRemote::new(root.path().to_owned()), &here, "/out", true);
}

#[test]
fn openssh_keeps_the_suite() {
    let (root, here) = folder();
    let sshd = Sshd::start(&root.path().join("sshd"));
    let connection = connection(sshd.port, &sshd.user, &sshd.host_key);
    let mut remote = log_in(&connection, secrets(None, Some(&sshd.client_key))).unwrap();
    suite(&mut remote, &here, here.to_str().unwrap(), true);
}

#[test]
fn the_server_of_the_demo_keeps_the_suite() {
    let (root, here) = folder();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(SftpServer::start(root.path().to_owned(), "demo", "password")).unwrap();
    let connection = connection(server.port(), "demo", server.host_key());
    let mut remote = log_in(&connection, secrets(Some("password"), None)).unwrap();
    suite(&mut remote, &here, "/out", false);
}

#[test]
fn a_wrong_password_is_told_once_and_holds_no_secret() {
    let (root, _) = folder();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(SftpServer::start(root.path().to_owned(), "demo", "password")).unwrap();
    let connection = connection(server.port(), "demo", server.host_key());
    let Err(RemoteError::Login { message, hint }) = log_in(&connection, secrets(Some("hunter2"), None)) else {
        panic!("logged in")
    };
    assert!(message.contains("the login of `demo` failed: password: "), "{message}");
    assert!(!message.contains("hunter2") && hint.is_some());
}

#[test]
fn a_server_that_says_nothing_is_given_up_within_its_deadline() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut connection = connection(silent.local_addr().unwrap().port(), "demo", "SHA256:x");
    connection.timeouts.handshake = Duration::from_millis(500);
    let begun = Instant::now();
    let Err(RemoteError::Unreachable { message, .. }) = log_in(&connection, secrets(Some("x"), None)) else {
        panic!("logged in")
    };
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
    assert!(message.contains("the key exchange failed"), "{message}");
}

#[test]
fn a_pin_may_be_of_any_of_the_servers_keys() {
    let (root, here) = folder();
    let sshd = Sshd::start_with_keys(&root.path().join("sshd"), &["ecdsa", "rsa"]);
    for key in &sshd.host_keys {
        let connection = connection(sshd.port, &sshd.user, key);
        let mut remote = log_in(&connection, secrets(None, Some(&sshd.client_key))).unwrap();
        assert_eq!(remote.list(here.to_str().unwrap()).unwrap(), []);
    }
    assert_eq!(sshd.host_keys.len(), 3);
}
