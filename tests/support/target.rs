//! An HTTP target on loopback that keeps a log of every request and answers as a script says. It honours idempotency keys
//! and refuses the same key with another body, as real ones do.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    /// Lower-case names.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    pub key: Option<String>,
    pub at: Instant,
    /// The status it was answered with; `None`: no answer was given.
    pub answered: Option<u16>,
}

/// What the script does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, extra headers, body.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// Takes effect, and then the connection is reset without an answer.
    TakenThenReset,
    /// Takes effect; the head of a 200 promises more body than follows.
    TakenThenCut,
    /// Exactly these bytes, whatever they are, and then the connection is closed.
    Raw(Vec<u8>),
    /// Exactly these bytes, and then the connection stays open.
    RawAndStay(Vec<u8>),
    /// These bytes, and then the same chunk again and again, until the other side has had enough.
    Endless(Vec<u8>, Vec<u8>),
    /// Waits, then replies.
    Late(Duration, Box<Answer>),
}

impl Answer {
    pub fn ok() -> Self {
        Self::status(200)
    }

    pub fn status(status: u16) -> Self {
        Self::Reply(status, Vec::new(), "{}".to_owned())
    }

    pub fn json(status: u16, body: impl ToString) -> Self {
        Self::Reply(status, Vec::new(), body.to_string())
    }
}

type Script = dyn Fn(&Request, usize) -> Answer + Send + Sync;

#[derive(Default)]
struct Book {
    log: Vec<Request>,
    /// Bodies that took effect, by key; a request without a key takes effect every time.
    by_key: HashMap<String, Vec<u8>>,
    without_key: Vec<Vec<u8>>,
    /// Keys that came with two bodies.
    mismatched: Vec<String>,
}

pub struct Target {
    pub port: u16,
    book: Arc<Mutex<Book>>,
}

impl Target {
    /// Accepts everything.
    pub fn start() -> Self {
        Self::scripted(|_, _| Answer::ok())
    }

    /// Answers as `script` says of a request and its number, from 0.
    pub fn scripted(script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let book = Arc::new(Mutex::new(Book::default()));
        let (shared, script): (_, Arc<Script>) = (book.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (book, script) = (shared.clone(), script.clone());
                std::thread::spawn(move || serve(stream, &book, script.as_ref()));
            }
        });
        Self { port, book }
    }

    pub fn log(&self) -> Vec<Request> {
        self.book.lock().unwrap().log.clone()
    }

    /// Bodies that took effect, each once for its key.
    pub fn effects(&self) -> Vec<Vec<u8>> {
        let book = self.book.lock().unwrap();
        book.by_key.values().chain(&book.without_key).cloned().collect()
    }

    /// Keys that came with two different bodies.
    pub fn mismatched(&self) -> Vec<String> {
        self.book.lock().unwrap().mismatched.clone()
    }
}

fn serve(stream: TcpStream, book: &Mutex<Book>, script: &Script) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut output = stream.try_clone().ok()?;
    let mut input = BufReader::new(stream);
    loop {
        let request = read(&mut input)?;
        let number = book.lock().unwrap().log.len();
        let mut answer = script(&request, number);
        if let Answer::Late(wait, then) = answer {
            std::thread::sleep(wait);
            answer = *then;
        }
        let answer = enter(book, request, answer);
        match answer {
            Answer::Reply(status, headers, body) => {
                let mut head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                    body.len()
                );
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                output.write_all(format!("{head}\r\n{body}").as_bytes()).ok()?;
            }
            Answer::TakenThenCut => {
                output
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"re")
                    .ok()?;
                return None;
            }
            Answer::Raw(bytes) => {
                let _ = output.write_all(&bytes);
                let _ = output.shutdown(std::net::Shutdown::Write);
                return None;
            }
            Answer::RawAndStay(bytes) => output.write_all(&bytes).ok()?,
            Answer::Endless(head, chunk) => {
                output.write_all(&head).ok()?;
                while output.write_all(&chunk).is_ok() {}
                return None;
            }
            Answer::TakenThenReset | Answer::Late(..) => {
                let _ = socket_reset(&output);
                return None;
            }
        }
    }
}

/// Closing a socket with unread data resets it; so does shutting both sides before an answer.
fn socket_reset(stream: &TcpStream) -> std::io::Result<()> {
    stream.shutdown(std::net::Shutdown::Both)
}

/// Writes the request down, and its effect. A key that comes with another body is answered 422.
fn enter(book: &Mutex<Book>, mut request: Request, answer: Answer) -> Answer {
    let mut book = book.lock().unwrap();
    let takes = match &answer {
        Answer::Reply(status, ..) => (200..300).contains(status),
        Answer::TakenThenReset | Answer::TakenThenCut => true,
        Answer::Raw(_) | Answer::RawAndStay(_) | Answer::Endless(..) | Answer::Late(..) => false,
    };
    let mut answer = answer;
    if let Some(key) = request.key.clone() {
        match book.by_key.get(&key) {
            Some(body) if *body != request.body => {
                book.mismatched.push(key);
                answer = Answer::status(422);
            }
            Some(_) => {}
            None if takes => drop(book.by_key.insert(key, request.body.clone())),
            None => {}
        }
    } else if takes {
        book.without_key.push(request.body.clone());
    }
    request.answered = match &answer {
        Answer::Reply(status, ..) => Some(*status),
        _ => None,
    };
    book.log.push(request);
    answer
}

fn read(input: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if input.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        input.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let key = headers.get("idempotency-key").cloned();
    Some(Request { line: line.trim_end().to_owned(), headers, body, key, at: Instant::now(), answered: None })
}
