//! The network between us and an HTTP target: the D-rows of the fault matrix. The stand-in is a proxy that spoils connections in the
//! order of a list, and then behaves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use support::target::{Answer, Target};
use support::{Source, Stage, ids, records};

/// What happens to one connection.
#[derive(Clone, Copy)]
enum Spoilt {
    /// Reset after so many bytes of the request.
    AfterRequest(usize),
    /// Reset after so many bytes of the answer; the request came through whole.
    AfterAnswer(usize),
    /// Our side is read on, and nothing more comes.
    HalfClosed,
    /// Refused at once.
    Down,
}

/// A way to the target that spoils its first connections.
fn proxy(target: u16, spoilt: Vec<Spoilt>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let how = spoilt.get(number).copied();
            std::thread::spawn(move || pass(stream, target, how));
        }
    });
    port
}

fn pass(mut from: TcpStream, target: u16, spoilt: Option<Spoilt>) -> Option<()> {
    match spoilt {
        // Bytes that were never read make the kernel reset instead of close.
        Some(Spoilt::Down) => return None,
        Some(Spoilt::AfterRequest(bytes)) => return from.read_exact(&mut vec![0; bytes]).ok(),
        Some(Spoilt::HalfClosed) => {
            from.shutdown(Shutdown::Write).ok()?;
            std::io::copy(&mut from, &mut std::io::sink()).ok()?;
            return None;
        }
        Some(Spoilt::AfterAnswer(_)) | None => {}
    }
    let mut to = TcpStream::connect(("127.0.0.1", target)).ok()?;
    let (mut ours, mut theirs) = (from.try_clone().ok()?, to.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut ours, &mut theirs).map(|_| theirs.shutdown(Shutdown::Write)));
    match spoilt {
        Some(Spoilt::AfterAnswer(bytes)) => {
            let mut start = vec![0; bytes];
            to.read_exact(&mut start).ok()?;
            from.write_all(&start).ok()?;
            let _ = from.shutdown(Shutdown::Both);
        }
        _ => drop(std::io::copy(&mut to, &mut from)),
    }
    None
}

fn stage(target: Target, spoilt: Vec<Spoilt>, rows: u64, attempts: usize) -> Stage {
    let stage = Stage::with_target(Source::Folder, target);
    let port = proxy(stage.target.port, spoilt);
    stage.edit("project/connections.toml", &format!("127.0.0.1:{}", stage.target.port), &format!("127.0.0.1:{port}"));
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"2s\"\nrate = { concurrency = 1 }");
    stage.edit("project/jobs/orders.toml", "attempts = 4", &format!("attempts = {attempts}"));
    stage.edit("project/jobs/orders.toml", "longest_wait = \"100ms\"", "longest_wait = \"20ms\"");
    stage.deliver("orders_20261123.csv", Stage::rows(1, rows));
    stage
}

#[test]
fn d01_refused_and_unknown_names_are_told_apart_and_nothing_was_sent() {
    let stage = stage(Target::start(), Vec::new(), 5, 2);
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let connections = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
    let base = connections.split("base_url = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for (address, reason) in [
        (format!("http://127.0.0.1:{free}"), "cannot connect: Connection refused"),
        ("http://no-such-host.invalid".to_owned(), "the name `no-such-host.invalid` has no address: "),
    ] {
        stage.write("project/connections.toml", connections.replace(&base, &address));
        let document = stage.run_json().exits(8).json();
        assert_eq!(records(&document), [5, 0, 0, 0, 5]);
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{address}: {reason}")), "{message}");
    }
}

#[test]
fn d02_a_host_that_never_answers_meets_a_deadline_and_nothing_was_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel answers no further connection.
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queue.push(stream);
    }
    let stage = stage(Target::start(), Vec::new(), 5, 2);
    let connections = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
    let base = connections.split("base_url = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    stage.write("project/connections.toml", connections.replace(&base, &format!("http://{address}")));
    let began = Instant::now();
    let document = stage.run_json().exits(8).json();
    assert_eq!(records(&document), [5, 0, 0, 0, 5], "not unanswered: nothing was sent");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("cannot connect: no answer in time"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn d03_a_reset_at_any_byte_loses_nothing_and_takes_no_record_twice() {
    let bytes = (1..=16).chain([32, 64, 128, 256, 512]);
    let spoilt = bytes.clone().map(Spoilt::AfterRequest);
    // The answer of the stand-in has 75 bytes or so.
    let spoilt: Vec<_> = spoilt.chain((1..=60).step_by(7).map(Spoilt::AfterAnswer)).collect();
    let attempts = spoilt.len() + 1;
    let stage = stage(Target::start(), spoilt, 25, attempts);
    let document = stage.run_json().exits(0).json();
    assert_eq!(records(&document), [25, 25, 0, 0, 0]);
    assert_eq!(document["attempts"], attempts + 2);
    assert_eq!(stage.delivered_ids(), ids(1, 25));
    assert!(stage.target.mismatched().is_empty());
}

#[test]
fn d04_a_peer_that_stops_talking_and_reads_on_is_noticed() {
    let stage = stage(Target::start(), vec![Spoilt::HalfClosed], 5, 4);
    let began = Instant::now();
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([5, 5, 0, 0, 0], &json!(2)));
    assert!(began.elapsed() < Duration::from_secs(2), "at once, and not at the deadline");
}

#[test]
fn d05_a_slow_answer_within_the_deadline_is_an_answer() {
    let late = Answer::Late(Duration::from_millis(1200), Box::new(Answer::ok()));
    let stage = stage(Target::scripted(move |_, _| late.clone()), Vec::new(), 15, 1);
    assert_eq!(records(&stage.run_json().exits(0).json()), [15, 15, 0, 0, 0]);
}

#[test]
fn d06_an_answer_byte_by_byte_ends_at_the_deadline() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".iter().cycle() {
                    std::thread::sleep(Duration::from_millis(150));
                    if stream.write_all(&[*byte]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let stage = stage(Target::start(), Vec::new(), 5, 1);
    let connections = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
    let base = connections.split("base_url = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    stage.write("project/connections.toml", connections.replace(&base, &format!("http://127.0.0.1:{port}")));
    let began = Instant::now();
    let document = stage.run_json().exits(8).json();
    assert_eq!(records(&document), [5, 0, 0, 5, 0]);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("no complete answer within 2 s"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[test]
fn d09_a_way_that_comes_and_goes_is_used_while_it_is_there_and_attempts_are_bounded() {
    let flapping = [Spoilt::Down, Spoilt::AfterAnswer(20), Spoilt::Down, Spoilt::AfterRequest(40), Spoilt::Down];
    let stage = stage(Target::start(), flapping.repeat(2), 45, 12);
    assert_eq!(records(&stage.run_json().exits(0).json()), [45, 45, 0, 0, 0]);
    assert_eq!(stage.delivered_ids(), ids(1, 45));
    let gone = self::stage(Target::start(), [Spoilt::Down].repeat(1_000), 45, 3);
    let document = gone.run_json().exits(8).json();
    assert!(document["attempts"].as_u64().unwrap() <= 9, "{}", document["attempts"]);
}

#[test]
fn d11_a_connection_that_was_silently_dropped_while_idle_costs_one_attempt() {
    let number = AtomicUsize::new(0);
    let target = Target::scripted(move |_, _| match number.fetch_add(1, Ordering::SeqCst) {
        // Takes the second request and never says a word, as a box on the way that forgot the connection.
        1 => Answer::Late(Duration::from_secs(4), Box::new(Answer::ok())),
        _ => Answer::ok(),
    });
    let stage = stage(target, Vec::new(), 25, 3);
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([25, 25, 0, 0, 0], &json!(4)));
}
