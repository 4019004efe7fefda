//! Servers that lie and networks that break: the rows of the fault matrix that concern SFTP, each with both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nightferry::domain::job::SftpConnection;
use nightferry::domain::job::SftpEngine::{self, Russh, Ssh2};
use nightferry::domain::reject::RejectCode;
use nightferry::pipeline::land::{LandFault, Landed, land};
use nightferry::pipeline::remote_thread::RemoteThread;
use nightferry::ports::{Remote, RemoteError, RemoteFile};
use support::hosts::{self, Host, connection, log_in, secrets};
use support::liar::{Liar, Lie};
use support::proxy::{Proxy, Weather};
use support::sshd::Sshd;

const ENGINES: [SftpEngine; 2] = [Ssh2, Russh];

/// Bytes without a pattern that a wrong offset would hide.
fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).take(size).collect()
}

fn to_liar(liar: &Liar, engine: SftpEngine) -> SftpConnection {
    let mut connection = SftpConnection { engine, ..connection(liar.port, "demo", &liar.host_key) };
    connection.timeouts.operation = Duration::from_secs(2);
    connection
}

fn lie(lie: Lie, content: &[u8], engine: SftpEngine) -> (Liar, Box<dyn Remote>) {
    let liar = Liar::start(lie, content.to_vec());
    let remote = log_in(&to_liar(&liar, engine), secrets(Some("password"), None)).unwrap();
    (liar, remote)
}

fn copy(remote: &mut dyn Remote) -> Result<Vec<u8>, RemoteError> {
    let mut copied = Vec::new();
    let end = remote.copy("/out", b"a.csv", 0, &mut |bytes| {
        copied.extend_from_slice(bytes);
        Ok(())
    })?;
    assert_eq!(end, copied.len() as u64);
    Ok(copied)
}

fn message<T: std::fmt::Debug>(result: Result<T, RemoteError>) -> String {
    result.unwrap_err().to_string()
}

/// Lands `a.csv` as a run does.
fn land_from(
    connection: SftpConnection,
    there: &str,
    into: &Path,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Landed, LandFault> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let there = there.to_owned();
    runtime.block_on(async {
        let open = move || log_in(&connection, secrets(Some("password"), None));
        let remote = RemoteThread::open("test", open).await.map_err(LandFault::Remote)?;
        let folder = there.clone();
        let listed = remote.call(move |remote| remote.list(&folder)).await.map_err(LandFault::Remote)?;
        let file: RemoteFile = listed.into_iter().find(|file| file.name == b"a.csv").unwrap();
        land(&remote, &there, &file, into, progress).await
    })
}

fn behind(host: &Host, proxy: &Proxy, engine: SftpEngine) -> SftpConnection {
    SftpConnection { engine, port: proxy.port, ..host.connection.clone() }
}

/// A host with `a.csv`, and where to land it.
fn host_with(content: &[u8]) -> (Host, tempfile::TempDir, PathBuf) {
    let host = hosts::demo();
    fs::write(host.here.join("a.csv"), content).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("landed");
    (host, folder, into)
}

#[test]
fn d01_a_closed_port_and_an_unknown_host_are_told_apart() {
    let closed = support::sshd::free_port();
    for engine in ENGINES {
        let refused = SftpConnection { engine, ..connection(closed, "demo", "SHA256:x") };
        let unknown = SftpConnection { host: "nowhere.invalid".into(), ..refused.clone() };
        let said = message(log_in(&refused, secrets(Some("x"), None)).map(drop));
        assert_eq!(said, format!("127.0.0.1:{closed}: connecting failed: Connection refused (os error 111)"));
        let said = message(log_in(&unknown, secrets(Some("x"), None)).map(drop));
        assert!(said.starts_with(&format!("nowhere.invalid:{closed}: looking up the host name failed: ")), "{said}");
    }
}

/// A listener whose queue is full answers no SYN.
#[test]
fn d02_a_black_hole_is_given_up_within_the_deadline() {
    let script = "import socket,time\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen(0)\nprint(s.getsockname()[1],flush=True)\ntime.sleep(60)";
    let mut hole = Command::new("python3").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(hole.stdout.take().unwrap()), &mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let address = ([127, 0, 0, 1], port).into();
    let _queue: Vec<_> = (0..4).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300))).collect();
    let mut connection = connection(port, "demo", "SHA256:x");
    connection.timeouts.connect = Duration::from_millis(700);
    for engine in ENGINES {
        let begun = Instant::now();
        let said =
            message(log_in(&SftpConnection { engine, ..connection.clone() }, secrets(Some("x"), None)).map(drop));
        assert!(said.contains("connecting failed"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    hole.kill().unwrap();
    hole.wait().unwrap();
}

#[test]
fn d03_a_reset_at_any_byte_costs_no_byte() {
    let bytes = content(3_000_000);
    let (host, _folder, into) = host_with(&bytes);
    for engine in ENGINES {
        for at in [1, 64, 4_000, 100_000, 1 << 20, 2_900_000] {
            let proxy = Proxy::start(host.connection.port, Weather { reset_at: Some(at), ..Weather::default() });
            match land_from(behind(&host, &proxy, engine), &host.there, &into, |_| {}) {
                Ok(landed) => {
                    assert_eq!(landed.size, bytes.len() as u64, "{engine:?}, reset at {at}");
                    assert!(fs::read(&into).unwrap() == bytes, "{engine:?}, reset at {at}");
                    fs::remove_file(&into).unwrap();
                }
                // In the middle of a login: told, and nothing is left.
                Err(LandFault::Remote(RemoteError::Unreachable { .. })) => assert!(at < 5_000 && !into.exists()),
                Err(other) => panic!("{engine:?}, reset at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn d05_d07_slow_is_not_broken() {
    let bytes = content(1_500_000);
    let (host, _folder, into) = host_with(&bytes);
    for engine in ENGINES {
        let slow = Weather { delay: Duration::from_millis(40), cap: Some(400 << 10), ..Weather::default() };
        let proxy = Proxy::start(host.connection.port, slow);
        let mut connection = behind(&host, &proxy, engine);
        connection.timeouts.operation = Duration::from_secs(2);
        let landed = land_from(connection, &host.there, &into, |_| {}).unwrap();
        assert_eq!(landed.size, bytes.len() as u64);
        assert_eq!(proxy.connections(), 1, "{engine:?}: at first go");
    }
}

#[test]
fn d06_a_trickle_is_given_up() {
    let (host, _folder, _) = host_with(&content(1_000_000));
    for engine in ENGINES {
        let proxy = Proxy::start(host.connection.port, Weather::default());
        let mut connection = behind(&host, &proxy, engine);
        connection.timeouts.operation = Duration::from_secs(1);
        let mut remote = log_in(&connection, secrets(Some("password"), None)).unwrap();
        proxy.set(Weather { cap: Some(300), ..Weather::default() });
        let begun = Instant::now();
        let said = message(remote.copy(&host.there, b"a.csv", 0, &mut |_| Ok(())));
        assert!(said.contains("broke off"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{engine:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn d08_a_turned_bit_never_lands() {
    let bytes = content(3_000_000);
    let (host, _folder, into) = host_with(&bytes);
    for engine in ENGINES {
        let proxy = Proxy::start(host.connection.port, Weather { corrupt_at: Some(1_500_000), ..Weather::default() });
        let landed = land_from(behind(&host, &proxy, engine), &host.there, &into, |_| {}).unwrap();
        assert_eq!(landed.size, bytes.len() as u64);
        assert!(fs::read(&into).unwrap() == bytes, "{engine:?}");
        assert!(proxy.connections() >= 2, "{engine:?}: the session with the turned bit was dropped");
    }
}

#[test]
fn d09_f07_a_copy_goes_on_where_it_was() {
    let bytes = content(8_000_000);
    let (host, _folder, into) = host_with(&bytes);
    for engine in ENGINES {
        let proxy = Proxy::start(host.connection.port, Weather { end_every: Some(3_000_000), ..Weather::default() });
        let landed = land_from(behind(&host, &proxy, engine), &host.there, &into, |_| {}).unwrap();
        assert_eq!(landed.size, bytes.len() as u64);
        assert!(fs::read(&into).unwrap() == bytes, "{engine:?}");
        assert!(proxy.connections() >= 3, "{engine:?}: {} connections", proxy.connections());
    }
}

#[test]
fn f07_a_copy_of_another_file_does_not_go_on() {
    let bytes = content(4_000_000);
    let (host, _folder, into) = host_with(&bytes);
    for engine in ENGINES {
        fs::write(host.here.join("a.csv"), &bytes).unwrap();
        let proxy = Proxy::start(host.connection.port, Weather { reset_at: Some(2_000_000), ..Weather::default() });
        let (path, replaced) = (host.here.join("a.csv"), AtomicBool::new(false));
        let progress = move |done| {
            if done > 500_000 && !replaced.swap(true, Ordering::SeqCst) {
                fs::write(path.with_extension("new"), vec![b'x'; 4_000_000]).unwrap();
                let file = fs::File::options().write(true).open(path.with_extension("new")).unwrap();
                file.set_modified(std::time::SystemTime::now() + Duration::from_secs(100)).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
            }
        };
        match land_from(behind(&host, &proxy, engine), &host.there, &into, progress) {
            Err(LandFault::File(fault)) => assert_eq!(fault.code, RejectCode::ChangedWhileReading),
            other => panic!("{engine:?}: {other:?}"),
        }
        assert!(!into.exists(), "nothing of the mixture is left");
    }
}

#[test]
fn d09_a_server_that_never_gets_further_is_given_up() {
    let (host, _folder, into) = host_with(&content(30_000_000));
    let proxy = Proxy::start(host.connection.port, Weather::default());
    let sink = proxy.port;
    let connection = behind(&host, &proxy, Russh);
    let weather = Arc::new(proxy);
    let kept = weather.clone();
    // From the first byte of the file on, every connection is cut.
    let progress = move |_| kept.set(Weather { end_every: Some(3_000), ..Weather::default() });
    let outcome = land_from(connection, &host.there, &into, progress);
    assert!(matches!(outcome, Err(LandFault::Remote(_))), "{outcome:?}");
    assert!(weather.connections() < 40, "{} connections to {sink}", weather.connections());
}

#[test]
fn d11_a_connection_that_died_unseen_is_noticed_and_made_anew() {
    let (host, _folder, _) = host_with(b"x");
    let proxy = Proxy::start(host.connection.port, Weather::default());
    let connection = SftpConnection { keepalive: Duration::from_secs(1), ..behind(&host, &proxy, Russh) };
    let mut remote = log_in(&connection, secrets(Some("password"), None)).unwrap();
    proxy.set(Weather { silent_from: Some(0), ..Weather::default() });
    std::thread::sleep(Duration::from_secs(4));
    let begun = Instant::now();
    let said = message(remote.list(&host.there));
    assert!(said.contains("Keepalive timeout"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(1), "it was known before anybody asked");
    proxy.set(Weather::default());
    assert_eq!(remote.another().unwrap().list(&host.there).unwrap().len(), 1);
}

#[test]
fn f08_a_server_that_says_nothing_of_its_files_is_read() {
    let bytes = content(700_000);
    for engine in ENGINES {
        let (_liar, mut remote) = lie(Lie::NoAttributes, &bytes, engine);
        let file = RemoteFile { name: b"a.csv".to_vec(), size: None, mtime: None };
        assert_eq!(remote.list("/out").unwrap(), std::slice::from_ref(&file));
        assert_eq!(remote.stat("/out", b"a.csv").unwrap(), Some(file));
        assert!(copy(remote.as_mut()).unwrap() == bytes);
    }
}

#[test]
fn f09_f10_whatever_size_is_claimed_the_file_is_read_to_its_end() {
    let bytes = content(5_000_000);
    for engine in ENGINES {
        for size in [0, 1, 4_999_999, 5_000_001, (1 << 63) - 1, u64::MAX] {
            let (liar, mut remote) = lie(Lie::Size(size), &bytes, engine);
            assert!(copy(remote.as_mut()).unwrap() == bytes, "{engine:?}, {size} claimed");
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path().join("landed");
            match land_from(to_liar(&liar, engine), "/out", &into, |_| {}) {
                Err(LandFault::File(fault)) => assert_eq!(fault.code, RejectCode::SizeMismatch),
                other => panic!("{other:?}"),
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn f11_times_of_every_century_are_taken_as_they_are() {
    for engine in ENGINES {
        for time in [0, u32::MAX] {
            let (_liar, mut remote) = lie(Lie::Mtime(time), b"x", engine);
            assert_eq!(remote.list("/out").unwrap()[0].mtime, Some(i64::from(time)));
        }
    }
}

#[test]
fn f14_names_that_lead_elsewhere_are_never_asked_for() {
    let names = [&b"../x"[..], b"a/../../x", b"/etc/passwd", b"..", b".", b"a\0b", b"a.csv", b"..\\x", b""];
    for engine in ENGINES {
        let (liar, mut remote) = lie(Lie::Names(names.map(<[u8]>::to_vec).to_vec()), b"x", engine);
        let listed: Vec<_> = remote.list("/out").unwrap().into_iter().map(|file| file.name).collect();
        // libssh2 gives a name as text of C.
        let plain = listed.iter().filter(|name| *name != b"a").collect::<Vec<_>>();
        assert_eq!(plain, [&b"a.csv".to_vec(), &b"..\\x".to_vec()]);
        assert!(liar.seen.lock().unwrap().opened.is_empty());
    }
}

#[test]
fn f17_a_name_that_is_there_twice_is_listed_twice() {
    for engine in ENGINES {
        let (_liar, mut remote) = lie(Lie::Names(vec![b"a.csv".to_vec(), b"a.csv".to_vec()]), b"x", engine);
        assert_eq!(remote.list("/out").unwrap().len(), 2);
    }
}

#[test]
fn f19_an_endless_listing_ends() {
    for engine in ENGINES {
        let (_liar, mut remote) = lie(Lie::EndlessListing, b"x", engine);
        let said = message(remote.list("/out"));
        assert!(said.ends_with("/out lists more than 1000000 names; it was left"), "{said}");
    }
}

#[test]
fn f20_a_listing_of_nothing_does_not_spin() {
    for engine in ENGINES {
        let (_liar, mut remote) = lie(Lie::EmptyListing, b"x", engine);
        match remote.list("/out") {
            Ok(files) => assert_eq!(files, []),
            Err(error) => assert!(error.to_string().contains("it was left"), "{error}"),
        }
    }
}

#[test]
fn f21_a_changed_key_stops_before_anything_of_the_login_is_sent() {
    let liar = Liar::start(Lie::None, Vec::new());
    for engine in ENGINES {
        let connection = SftpConnection { host_keys: vec!["SHA256:old".into()], ..to_liar(&liar, engine) };
        let Err(RemoteError::HostKey { changed, message, hint }) = log_in(&connection, secrets(Some("password"), None))
        else {
            panic!("logged in")
        };
        assert!(changed && message.contains(&liar.host_key) && message.contains("pinned is SHA256:old"), "{message}");
        assert!(hint.ends_with("then `nightferry connection trust partner`"), "{hint}");
        let both = vec!["SHA256:old".to_owned(), liar.host_key.clone()];
        log_in(&SftpConnection { host_keys: both, ..connection }, secrets(Some("password"), None)).unwrap();
    }
    assert_eq!(liar.seen.lock().unwrap().logins, 2, "only where the key was one of two pinned ones (rotation)");
}

#[test]
fn f22_nobody_logs_in_at_first_contact() {
    let liar = Liar::start(Lie::None, Vec::new());
    for engine in ENGINES {
        let connection = SftpConnection { host_keys: Vec::new(), ..to_liar(&liar, engine) };
        let Err(RemoteError::HostKey { changed, .. }) = log_in(&connection, secrets(Some("password"), None)) else {
            panic!("logged in")
        };
        assert!(!changed);
    }
    assert_eq!(liar.seen.lock().unwrap().logins, 0);
}

#[test]
fn f25_a_wrong_password_is_tried_once_and_shown_nowhere() {
    for engine in ENGINES {
        let liar = Liar::start(Lie::None, Vec::new());
        let Err(RemoteError::Login { message, hint }) = log_in(&to_liar(&liar, engine), secrets(Some("hunter2"), None))
        else {
            panic!("logged in")
        };
        assert!(message.contains("the login of `demo` failed: password: "), "{message}");
        assert!(!message.contains("hunter2") && hint.is_some());
        assert_eq!(liar.seen.lock().unwrap().logins, 1);
    }
}

#[test]
fn f25_two_logins_are_tried_and_no_third() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&root.path().join("sshd"));
    support::sshd::keygen(&root.path().join("stranger"), "ed25519");
    for engine in ENGINES {
        let mut secrets = secrets(Some("wrong"), Some(&root.path().join("stranger")));
        secrets.agent_socket = Some("/nowhere".into());
        let connection = SftpConnection {
            engine,
            agent: Some(nightferry::domain::job::Agent::AnyKey),
            ..connection(sshd.port, &sshd.user, &sshd.host_key)
        };
        let Err(RemoteError::Login { message, .. }) = log_in(&connection, secrets) else { panic!("logged in") };
        assert!(
            message.contains("key: ") && message.contains("agent: ") && !message.contains("password: "),
            "{message}"
        );
    }
}

/// A connection that the server has taken, and that is not logged in.
fn the_only_seat(port: u16) -> TcpStream {
    use std::io::Read;
    loop {
        let mut seat = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut greeting = [0; 4];
        if seat.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-" {
            return seat;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn f26_a_server_that_is_full_is_asked_again() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::start_with_config(&root.path().join("sshd"), "MaxStartups 1:100:1\nLoginGraceTime 20\n");
    for engine in ENGINES {
        let seat = the_only_seat(sshd.port);
        let leaves = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(900));
            drop(seat);
        });
        let connection = SftpConnection { engine, ..connection(sshd.port, &sshd.user, &sshd.host_key) };
        let begun = Instant::now();
        log_in(&connection, secrets(None, Some(&sshd.client_key))).map(drop).unwrap();
        assert!(begun.elapsed() > Duration::from_millis(400), "{engine:?}: it was full at first");
        leaves.join().unwrap();
    }
}

#[test]
fn f27_a_banner_of_a_megabyte_is_not_read_to_its_end() {
    let talker = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = talker.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in talker.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let line = [b"x".repeat(200), b"\r\n".to_vec()].concat();
                while stream.write_all(&line).is_ok() {}
            });
        }
    });
    for engine in ENGINES {
        let mut connection = SftpConnection { engine, ..connection(port, "demo", "SHA256:x") };
        connection.timeouts.handshake = Duration::from_secs(2);
        let begun = Instant::now();
        let said = message(log_in(&connection, secrets(Some("x"), None)).map(drop));
        assert!(said.contains("the key exchange failed"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{engine:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn f29_a_removal_whose_answer_was_lost_is_done() {
    for engine in ENGINES {
        let (liar, mut remote) = lie(Lie::LosesAnswer, b"x", engine);
        assert!(matches!(remote.delete("/out", b"a.csv"), Err(RemoteError::Unreachable { .. })));
        assert!(liar.seen.lock().unwrap().removed);
        remote.another().unwrap().delete("/out", b"a.csv").unwrap();
    }
}

#[test]
fn f30_a_server_that_breaks_the_protocol_is_dropped() {
    for (told, words) in [
        (Lie::WrongId, "an answer that nobody asked for"),
        (Lie::Oversize, "more data than was asked for"),
        (Lie::YesToOpen, "a yes where an answer was asked for"),
        (Lie::LongPacket, "a packet of an impossible length"),
    ] {
        for engine in ENGINES {
            let (_liar, mut remote) = lie(told.clone(), &content(100_000), engine);
            let said = message(copy(remote.as_mut()));
            assert!(engine == Ssh2 || said.contains(words), "{told:?}: {said}");
        }
    }
}

#[test]
fn a_server_that_stalls_is_left_and_told() {
    for engine in ENGINES {
        let (_liar, mut remote) = lie(Lie::Stalls, &content(1000), engine);
        let begun = Instant::now();
        let said = message(copy(remote.as_mut()));
        assert!(said.contains("reading /out/a.csv broke off"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(12), "{engine:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_answers_short_is_read_whole() {
    let bytes = content(3_000_001);
    for lied in [Lie::ShortReads(100_000), Lie::ShortReads(32_768), Lie::ShortReads(7_777), Lie::Hiccups] {
        for engine in ENGINES {
            let (_liar, mut remote) = lie(lied.clone(), &bytes, engine);
            assert!(copy(remote.as_mut()).unwrap() == bytes, "{engine:?}, {lied:?}");
        }
    }
    let (liar, mut remote) = lie(Lie::RefusesLongReads, &bytes, Russh);
    assert!(copy(remote.as_mut()).unwrap() == bytes);
    assert!(liar.seen.lock().unwrap().longest_read > 32 << 10, "long reads were tried first");
}

#[test]
fn every_kind_of_key_logs_in() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("sshd");
    let sshd = Sshd::start(&own);
    let keygen =
        |arguments: &[&str]| assert!(Command::new("ssh-keygen").arg("-q").args(arguments).status().unwrap().success());
    let kinds: [(&str, &[&str]); 6] = [
        ("ed25519", &["-t", "ed25519", "-N", ""]),
        ("ed25519-locked", &["-t", "ed25519", "-N", "open sesame"]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384", "-N", ""]),
        ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]),
        ("rsa-pem-locked", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"]),
    ];
    let mut allowed = fs::read_to_string(own.join("authorized_keys")).unwrap();
    for (name, arguments) in kinds {
        let path = own.join(name);
        keygen(&[arguments, &["-f", path.to_str().unwrap()]].concat());
        allowed += &fs::read_to_string(own.join(format!("{name}.pub"))).unwrap();
    }
    fs::write(own.join("authorized_keys"), allowed).unwrap();
    for engine in ENGINES {
        let connection = SftpConnection { engine, ..connection(sshd.port, &sshd.user, &sshd.host_key) };
        for (name, _) in kinds {
            let mut secrets = secrets(None, Some(&own.join(name)));
            if name.ends_with("locked") {
                let said = message(log_in(&connection, hosts::secrets(None, Some(&own.join(name)))).map(drop));
                assert!(said.contains("a wrong or missing passphrase"), "{engine:?}, {name}: {said}");
                secrets.key_passphrase = Some("open sesame".into());
            }
            log_in(&connection, secrets).map(drop).unwrap_or_else(|error| panic!("{engine:?}, {name}: {error}"));
        }
    }
}

#[test]
fn a_key_of_the_agent_logs_in() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&root.path().join("sshd"));
    let socket = root.path().join("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !socket.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let add = |key: &Path| {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
        assert!(added.unwrap().success());
    };
    for name in ["s1", "s2", "s3"] {
        support::sshd::keygen(&root.path().join(name), "ed25519");
        add(&root.path().join(name));
    }
    add(&sshd.client_key);
    let mine = support::sshd::fingerprint(&sshd.client_key.with_extension("pub"));
    for engine in ENGINES {
        use nightferry::domain::job::Agent;
        let with = |agent| {
            let connection =
                SftpConnection { engine, agent: Some(agent), ..connection(sshd.port, &sshd.user, &sshd.host_key) };
            let secrets = secrets(None, None);
            log_in(
                &connection,
                nightferry::adapters::sftp::SftpSecrets { agent_socket: Some(socket.clone()), ..secrets },
            )
        };
        with(Agent::Key(mine.clone())).map(drop).unwrap();
        let said = message(with(Agent::AnyKey).map(drop));
        assert!(said.contains("refused the first 2 of its 4 keys; name one: `agent = \"SHA256:…\"`"), "{said}");
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
}
