//! Pulls a folder as a run does, and says how long it took; `tests/bench/sftp.sh` calls it. Not part of the suite.
//!
//! `NF_HOST=127.0.0.1:PORT NF_USER=u NF_KEY=FILE NF_PIN=SHA256:… NF_ENGINE=russh NF_FOLDER=/there NF_INTO=/here`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, reason = "a measurement")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nightferry::domain::job::{SftpConnection, SftpEngine};
use nightferry::pipeline::ahead::Ahead;
use nightferry::pipeline::remote_thread::RemoteThread;
use support::hosts::{connection, log_in, secrets};
use support::proxy::{Proxy, Weather};

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// `NF_PROXY=PORT:TO:MS`: a proxy that adds MS to each way, for an hour.
#[test]
#[ignore = "a part of a measurement, called by tests/bench/sftp.sh"]
fn proxy() {
    let numbers: Vec<u16> = given("NF_PROXY").split(':').map(|number| number.parse().unwrap()).collect();
    let delay = std::time::Duration::from_millis(numbers[2].into());
    let _proxy = Proxy::on(numbers[0], numbers[1], Weather { delay, ..Weather::default() });
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

#[test]
#[ignore = "a measurement, called by tests/bench/sftp.sh"]
fn pull() {
    let (host, port) =
        given("NF_HOST").rsplit_once(':').map(|(host, port)| (host.to_owned(), port.parse().unwrap())).unwrap();
    let engine = if given("NF_ENGINE") == "russh" { SftpEngine::Russh } else { SftpEngine::Ssh2 };
    let sessions = std::env::var("NF_SESSIONS").map_or(2, |sessions| sessions.parse().unwrap());
    let connection = SftpConnection { host, engine, sessions, ..connection(port, &given("NF_USER"), &given("NF_PIN")) };
    let key = given("NF_KEY");
    let (there, here) = (given("NF_FOLDER"), given("NF_INTO"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Instant::now();
    let (files, bytes) = runtime.block_on(async {
        let open = move || log_in(&connection, secrets(None, Some(Path::new(&key))));
        let remote = Arc::new(RemoteThread::open("bench", open).await.unwrap());
        let folder = there.clone();
        let mut files = remote.call(move |remote| remote.list(&folder)).await.unwrap();
        if std::env::var_os("NF_LIST").is_some() {
            return (files.len(), 0);
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let here = Path::new(&here);
        let mut ahead = Ahead::new(remote, &there, files.clone(), here, Arc::new(|_, _| {})).await;
        let mut bytes = 0;
        for (at, file) in files.iter().enumerate() {
            let landed = ahead.take(file, &here.join(format!("{at}.landed"))).await.unwrap();
            bytes += landed.map_err(|fault| format!("{fault:?}")).unwrap().size;
        }
        (files.len(), bytes)
    });
    let wall = begun.elapsed().as_secs_f64();
    let usage = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = usage.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim().to_owned();
    println!("pulled {files} files, {bytes} bytes in {wall:.2} s, peak {peak}");
}
