//! client_only URL REQUESTS BYTES CONCURRENCY [LOG]: posts a body of so many bytes so many times, so many at once, with the client and
//! the runtime that nightferry has. With LOG, one line for each request is on the disk before its slot takes the next request; lines that
//! wait at the same time share a sync.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use tokio::sync::oneshot;

type Line = (String, oneshot::Sender<()>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let log = arguments.get(4).map(|path| {
        let file = File::create(path).expect("a log");
        let (sender, receiver) = channel();
        std::thread::spawn(move || write(file, &receiver));
        sender
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(send(&arguments[0], number(1), number(2), number(3), log));
}

async fn send(url: &str, requests: u64, bytes: u64, concurrency: u64, log: Option<Sender<Line>>) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client");
    let (body, next) = (Bytes::from(vec![b'x'; bytes as usize]), Arc::new(AtomicU64::new(0)));
    let slots: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, url, body, next, log) = (client.clone(), url.to_owned(), body.clone(), next.clone(), log.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    let request = client.post(&url).header("content-type", "application/json").body(body.clone());
                    let response = request.send().await.expect("an answer");
                    let status = response.status().as_u16();
                    response.bytes().await.expect("a body");
                    if let Some(log) = &log {
                        let (done, written) = oneshot::channel();
                        log.send((format!("{number} {status}\n"), done)).expect("a writer");
                        written.await.expect("a sync");
                    }
                }
            })
        })
        .collect();
    for slot in slots {
        slot.await.expect("a slot");
    }
}

fn write(mut file: File, lines: &Receiver<Line>) {
    while let Ok(first) = lines.recv() {
        let group: Vec<Line> = std::iter::once(first).chain(lines.try_iter()).collect();
        let text: String = group.iter().map(|(line, _)| line.as_str()).collect();
        file.write_all(text.as_bytes()).expect("a write");
        file.sync_data().expect("a sync");
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}
