//! An API stand-in on loopback that rejects what a real one rejects: a wrong token, another content type, a missing key,
//! the same key with another body. It remembers keys, so a resend takes effect once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How it behaves.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The bearer token it wants.
    pub token: String,
    /// Paths that answer their first request with 503 and `Retry-After: 1`.
    pub unavailable_once: Vec<String>,
}

/// What it has seen of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests, refused ones included.
    pub requests: u64,
    /// Records that took effect.
    pub records: u64,
    /// Keys that took effect.
    pub keys: u64,
}

#[derive(Default)]
struct Books {
    seen: BTreeMap<String, Seen>,
    /// Body and answer by key.
    keys: HashMap<String, (Bytes, Value)>,
}

struct Shared {
    options: ApiOptions,
    books: Mutex<Books>,
}

/// A running API; it ends when this is dropped.
pub struct Api {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(options: ApiOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { options, books: Mutex::default() });
        let router = Router::new().fallback(take).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends by being aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, shared, task })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has seen, by path.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        self.shared.books.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let mut books = shared.books.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = books.seen.entry(path.clone()).or_default();
    seen.requests += 1;
    if let Some(refused) = refused(&shared.options, &method, &headers) {
        return refused;
    }
    if seen.requests == 1 && shared.options.unavailable_once.contains(&path) {
        let problem = problem(StatusCode::SERVICE_UNAVAILABLE, "restarting, come back in a second");
        return ([(header::RETRY_AFTER, "1")], problem).into_response();
    }
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned) else {
        return problem(StatusCode::BAD_REQUEST, "the header Idempotency-Key is missing");
    };
    match books.keys.get(&key) {
        Some((first, _)) if *first != body => {
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "this key came with another body before");
        }
        Some((_, answer)) => {
            let replayed = [("idempotent-replayed", HeaderValue::from_static("true"))];
            return (replayed, axum_json(answer)).into_response();
        }
        None => {}
    }
    let Some(records) = records(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is no JSON with records");
    };
    let results: Vec<Value> =
        records.iter().map(|record| json!({ "externalId": record.get("externalId"), "status": "CREATED" })).collect();
    let answer = json!({ "results": results });
    let seen = books.seen.entry(path).or_default();
    seen.records += results.len() as u64;
    seen.keys += 1;
    books.keys.insert(key, (body, answer.clone()));
    axum_json(&answer)
}

fn refused(options: &ApiOptions, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(header::AUTHORIZATION) != format!("Bearer {}", options.token) {
        return Some(problem(StatusCode::UNAUTHORIZED, "a bearer token is needed"));
    }
    if !matches!(*method, Method::POST | Method::PUT) {
        return Some(problem(StatusCode::METHOD_NOT_ALLOWED, "POST or PUT records"));
    }
    let is_json = text(header::CONTENT_TYPE).starts_with("application/json");
    (!is_json).then(|| problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json is needed"))
}

/// A bare record, an array of them, or an array wrapped in an object with one member.
fn records(body: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(records) => Some(records),
        Value::Object(members) => match (members.len(), members.values().next()) {
            (1, Some(Value::Array(records))) => Some(records.clone()),
            _ => Some(vec![Value::Object(members)]),
        },
        _ => None,
    }
}

fn axum_json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "detail": detail }).to_string();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
