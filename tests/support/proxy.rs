//! A TCP proxy that delays, cuts, caps, corrupts and goes silent: the network of the fault matrix, on loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What the network does. Bytes are those from the server to the client, over all connections together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Added to each way.
    pub delay: Duration,
    /// The connection that crosses this many bytes is reset.
    pub reset_at: Option<u64>,
    /// This byte arrives with one bit turned.
    pub corrupt_at: Option<u64>,
    /// From this byte on nothing arrives any more, and nobody is told.
    pub silent_from: Option<u64>,
    /// Bytes a second.
    pub cap: Option<u64>,
    /// Each connection is ended after this many bytes, all of which arrive.
    pub end_every: Option<u64>,
}

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    weather: Mutex<Weather>,
    passed: AtomicU64,
    connections: AtomicUsize,
    closed: AtomicBool,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Proxy {
    pub fn start(to: u16, weather: Weather) -> Self {
        Self::on(0, to, weather)
    }

    /// On a port that is given.
    pub fn on(port: u16, to: u16, weather: Weather) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            weather: Mutex::new(weather),
            passed: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let kept = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if kept.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else { continue };
                kept.connections.fetch_add(1, Ordering::SeqCst);
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                carry(&kept, client, server);
            }
        });
        Self { port, state }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Bytes from the server so far.
    pub fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *self.state.weather.lock().unwrap() = weather;
    }
}

fn carry(state: &Arc<State>, client: TcpStream, server: TcpStream) {
    let (up_from, up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (kept, calm) = (state.clone(), state.clone());
    thread::spawn(move || pump(&calm, up_from, up_to, false));
    thread::spawn(move || pump(&kept, server, client, true));
}

/// One direction. A reader stamps what arrives, a writer lets it go when its time has come.
fn pump(state: &Arc<State>, mut from: TcpStream, mut to: TcpStream, down: bool) {
    let (sender, queue) = sync_channel::<(Instant, Vec<u8>)>(4096);
    let reading = from.try_clone().unwrap();
    let delays = state.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let delay = delays.weather.lock().unwrap().delay;
                    if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
    });
    let mut here = 0;
    for (due, mut bytes) in queue {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if down {
            let weather = *state.weather.lock().unwrap();
            let before = state.passed.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            let after = before + bytes.len() as u64;
            if let Some(at) = weather.corrupt_at.filter(|at| (before..after).contains(at)) {
                bytes[usize::try_from(at - before).unwrap()] ^= 1;
            }
            if weather.silent_from.is_some_and(|at| after > at) {
                continue;
            }
            here += bytes.len() as u64;
            let cut = weather.reset_at.filter(|at| (before..after).contains(at)).map(|at| at - before);
            let every = weather.end_every.filter(|most| here >= *most);
            if let Some(cut) = cut {
                let _ = to.write_all(&bytes[..usize::try_from(cut).unwrap()]);
                break;
            }
            if every.is_some() {
                // A reset would throw away what the other side has not read yet.
                let _ = to.write_all(&bytes).and_then(|()| to.shutdown(Shutdown::Write));
                thread::sleep(Duration::from_millis(300));
                break;
            }
            if let Some(cap) = weather.cap {
                for piece in bytes.chunks(1024) {
                    thread::sleep(Duration::from_secs_f64(piece.len() as f64 / cap as f64));
                    if to.write_all(piece).is_err() {
                        break;
                    }
                }
                continue;
            }
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = reading.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
