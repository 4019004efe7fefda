//! Logging in at an HTTP API: each kind of `auth` against a stand-in that refuses whoever does it wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};
use serde_json::{Value, json};
use support::target::{Answer, Request, Target};
use support::{Source, Stage, TOKEN, ids, records};

fn stage(target: Target, auth: &str) -> Stage {
    let stage = Stage::with_target(Source::Folder, target);
    let auth = auth.replace("HERE", &format!("http://127.0.0.1:{}", stage.target.port));
    stage.edit("project/connections.toml", "auth = { kind = \"bearer\", token = { secret = \"erp-token\" } }", &auth);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 35));
    stage
}

/// Accepts requests for which `good` holds, and answers others with 401.
fn guarded(good: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Target {
    Target::scripted(move |request, _| Answer::status(if good(request) { 200 } else { 401 }))
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers.get(name).map_or("", String::as_str)
}

fn form(request: &Request) -> Vec<(String, String)> {
    let body = String::from_utf8(request.body.clone()).unwrap();
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let decode = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace('+', " ").replace("%21", "!");
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

#[test]
fn an_api_key_stands_in_a_header_or_in_a_query_parameter_and_is_shown_nowhere() {
    for (place, good) in [
        (
            "header = \"X-Api-Key\"",
            (|request: &Request| header(request, "x-api-key") == "k3y &+ü") as fn(&Request) -> bool,
        ),
        ("query = \"api key\"", |request| request.line == "POST /in?api+key=k3y+%26%2B%C3%BC HTTP/1.1"),
    ] {
        let stage = stage(
            guarded(good),
            &format!("auth = {{ kind = \"api_key\", {place}, value = {{ secret = \"the-key\" }} }}"),
        );
        let run = stage.run_with(&[("the-key", "k3y &+ü")]).exits(0);
        assert_eq!(records(&run.json()), [35, 35, 0, 0, 0], "{place}");
        assert!(!run.stderr.contains("k3y") && !run.stdout.contains("k3y"), "{}", run.stderr);
    }
}

#[test]
fn basic_shows_user_and_password() {
    let expected = format!("Basic {}", BASE64_STANDARD.encode("import:p:ss"));
    let target = guarded(move |request| header(request, "authorization") == expected);
    let stage = stage(target, "auth = { kind = \"basic\", user = \"import\", password = { secret = \"pw\" } }");
    stage.run_with(&[("pw", "p:ss")]).exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 35));
}

#[test]
fn hmac_signs_the_body_as_shopify_and_github_want_it() {
    for (rule, encode) in [
        ("encoding = \"base64\"", (|mac: &[u8]| BASE64_STANDARD.encode(mac)) as fn(&[u8]) -> String),
        ("prefix = \"sha256=\"", |mac| {
            "sha256=".to_owned() + &mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        }),
    ] {
        let target = guarded(move |request| {
            let key = PKey::hmac(b"shared secret").unwrap();
            let mac = Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(&request.body).unwrap();
            header(request, "x-signature") == encode(&mac)
        });
        let auth =
            format!("auth = {{ kind = \"hmac\", header = \"X-Signature\", secret = {{ secret = \"mac\" }}, {rule} }}");
        let stage = stage(target, &auth);
        stage.run_with(&[("mac", "shared secret")]).exits(0);
        assert_eq!(stage.delivered_ids(), ids(1, 35));
    }
}

/// A token endpoint and an API in one. Tokens are `token-0`, `token-1` …; the API takes those for which `takes` holds.
fn oauth(
    grants: impl Fn(&Request) -> Result<Value, Answer> + Send + Sync + 'static,
    takes: impl Fn(usize, &Request) -> bool + Send + Sync + 'static,
) -> (Target, Arc<AtomicUsize>) {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = fetched.clone();
    let target = Target::scripted(move |request, _| {
        if request.line.starts_with("POST /token ") {
            let number = count.fetch_add(1, Ordering::SeqCst);
            // Everybody who needs a token is waiting by now.
            std::thread::sleep(Duration::from_millis(40));
            return match grants(request) {
                Ok(mut granted) => {
                    granted["access_token"] = json!(format!("token-{number}"));
                    Answer::json(200, granted)
                }
                Err(answer) => answer,
            };
        }
        let shown = header(request, "authorization").strip_prefix("Bearer token-").and_then(|text| text.parse().ok());
        Answer::status(if shown.is_some_and(|number| takes(number, request)) { 200 } else { 401 })
    });
    (target, fetched)
}

fn client_credentials(extra: &str) -> String {
    format!(
        "auth = {{ kind = \"oauth2\", token_url = \"HERE/token\", client_id = \"nightferry\", client_secret = {{ secret = \"cs\" }}, scope = \"orders.write\"{extra} }}"
    )
}

#[test]
fn client_credentials_fetch_one_token_for_all_requests_in_either_place() {
    for (extra, in_header) in [("", true), (", client_auth = \"body\"", false)] {
        let grants = move |request: &Request| {
            let mut expected = vec![("grant_type", "client_credentials"), ("scope", "orders.write")];
            let pair = format!("Basic {}", BASE64_STANDARD.encode("nightferry:s3cret%21"));
            if !in_header {
                expected.extend([("client_id", "nightferry"), ("client_secret", "s3cret!")]);
            }
            let expected: Vec<_> =
                expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(form(request), expected);
            assert_eq!(header(request, "authorization"), if in_header { pair.as_str() } else { "" });
            Ok(json!({ "token_type": "Bearer", "expires_in": 3600 }))
        };
        let (target, fetched) = oauth(grants, |_, _| true);
        let stage = stage(target, &client_credentials(extra));
        stage.run_with(&[("cs", "s3cret!")]).exits(0);
        assert_eq!(fetched.load(Ordering::SeqCst), 1, "single flight");
        assert_eq!(stage.target.log().len(), 5);
    }
}

#[test]
fn a_token_is_fetched_anew_before_it_runs_out() {
    let (target, fetched) = oauth(
        |_| Ok(json!({ "expires_in": "1" })),
        |_, _| {
            std::thread::sleep(Duration::from_millis(450));
            true
        },
    );
    let stage = stage(target, &client_credentials(""));
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
    stage.run_with(&[("cs", "s3cret!")]).exits(0);
    assert!(fetched.load(Ordering::SeqCst) >= 2, "one second less a fifth");
    assert!(stage.target.log().iter().all(|request| request.answered == Some(200)), "no 401 was needed to notice");
}

#[test]
fn e17_a_token_that_was_revoked_is_fetched_anew_once_and_nothing_is_refused() {
    let (target, fetched) = oauth(|_| Ok(json!({ "expires_in": 3600 })), |number, _| number == 1);
    let stage = stage(target, &client_credentials(""));
    let document = stage.run_with(&[("cs", "s3cret!")]).exits(0).json();
    assert_eq!(records(&document), [35, 35, 0, 0, 0]);
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
}

#[test]
fn e17_when_the_new_token_is_refused_too_the_run_stops_with_its_records_pending() {
    let (target, fetched) = oauth(|_| Ok(json!({ "expires_in": 3600 })), |_, _| false);
    let stage = stage(target, &client_credentials(""));
    stage.deliver("orders_20261123.csv", Stage::rows(1, 2_000));
    let document = stage.run_with(&[("cs", "s3cret!")]).exits(8).json();
    assert_eq!(
        (&document["error"]["code"], records(&document)),
        (&json!("stopped-by-target"), [2_000, 0, 0, 0, 2_000])
    );
    assert_eq!(fetched.load(Ordering::SeqCst), 2, "one forced refresh");
    assert!(stage.target.log().len() <= 12, "{}: the batches were not burnt", stage.target.log().len());
}

#[test]
fn e17_403_stops_the_run_without_a_new_token() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = fetched.clone();
    let target = Target::scripted(move |request, _| {
        if request.line.starts_with("POST /token ") {
            count.fetch_add(1, Ordering::SeqCst);
            return Answer::json(200, json!({ "access_token": "token-0", "expires_in": 3600 }));
        }
        Answer::status(403)
    });
    let stage = stage(target, &client_credentials(""));
    let document = stage.run_with(&[("cs", "s3cret!")]).exits(8).json();
    assert_eq!((records(&document), fetched.load(Ordering::SeqCst)), ([35, 0, 0, 0, 35], 1));
}

#[test]
fn e17_a_login_that_is_refused_stops_the_run_before_anything_is_sent_and_says_why_without_the_secret() {
    let (target, _) = oauth(
        |_| Err(Answer::json(401, json!({ "error": "invalid_client", "error_description": "s3cret! is wrong" }))),
        |_, _| true,
    );
    let stage = stage(target, &client_credentials(""));
    let run = stage.run_with(&[("cs", "s3cret!")]).exits(8);
    let document = run.json();
    assert_eq!(records(&document), [35, 0, 0, 0, 35]);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("no token: answered 401 invalid_client: ••• is wrong"), "{message}");
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.starts_with("check the secrets and `token_url` of the connection"), "{hint}");
    assert!(!run.stderr.contains("s3cret!"));
    assert!(stage.target.log().iter().all(|request| request.line.starts_with("POST /token ")));
}

#[test]
fn a_token_endpoint_that_is_down_is_tried_again_like_any_request_of_which_nothing_was_sent() {
    let down = AtomicUsize::new(0);
    let grants = move |_: &Request| match down.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Answer::status(503)),
        _ => Ok(json!({ "expires_in": 3600 })),
    };
    let (target, _) = oauth(grants, |_, _| true);
    let stage = stage(target, &client_credentials(""));
    let document = stage.run_with(&[("cs", "s3cret!")]).exits(0).json();
    assert_eq!(records(&document), [35, 35, 0, 0, 0]);
}

#[test]
fn a_refresh_token_that_rotates_is_used_in_its_newest_form() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let grants = move |request: &Request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let expected = if number == 0 { "refresh-configured".to_owned() } else { format!("refresh-{}", number - 1) };
        assert_eq!(form(request)[1], ("refresh_token".to_owned(), expected));
        Ok(json!({ "expires_in": 3600, "refresh_token": format!("refresh-{number}") }))
    };
    let (target, fetched) = oauth(grants, |number, _| number == 1);
    let auth = "auth = { kind = \"oauth2\", grant = \"refresh_token\", token_url = \"HERE/token\", client_id = \"app\", refresh_token = { secret = \"rt\" } }";
    let stage = stage(target, auth);
    let run = stage.run_with(&[("rt", "refresh-configured")]).exits(0);
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
    assert!(run.stderr.contains("gave a new refresh token"), "{}", run.stderr);
    assert!(!run.stderr.contains("refresh-0") && !run.stderr.contains("refresh-configured"));
}

#[test]
fn jwt_bearer_shows_a_signed_assertion() {
    let rsa = Rsa::generate(2048).unwrap();
    let key = PKey::from_rsa(rsa.clone()).unwrap();
    let grants = move |request: &Request| {
        let fields = form(request);
        assert_eq!(fields[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let parts: Vec<&str> = fields[1].1.split('.').collect();
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("app"), &json!("app"), &json!("https://idp"))
        );
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap());
        Ok(json!({ "token_type": "bearer", "expires_in": 300 }))
    };
    let (target, _) = oauth(grants, |_, _| true);
    let auth = "auth = { kind = \"jwt\", token_url = \"HERE/token\", key = { secret = \"jwt-key\" }, issuer = \"app\", audience = \"https://idp\", lifetime = \"2m\" }";
    let stage = stage(target, auth);
    let pem = String::from_utf8(rsa.private_key_to_pem().unwrap()).unwrap();
    assert_eq!(records(&stage.run_with(&[("jwt-key", &pem)]).exits(0).json()), [35, 35, 0, 0, 0]);
}

#[test]
fn e33_a_target_that_echoes_our_credentials_does_not_get_them_into_books_or_logs() {
    let target = Target::scripted(|request, _| {
        let echoed = json!({ "detail": format!("bad header {}", header(request, "authorization")) });
        Answer::Reply(422, vec![("location", format!("/?t={TOKEN}"))], echoed.to_string())
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 35));
    let run = stage.run_with(&[]).exits(6);
    assert!(!run.stderr.contains(TOKEN) && !run.stdout.contains(TOKEN));
    let rejects = stage.nightferry(&["rejects", "--json"]).exits(0).json();
    assert_eq!(rejects[0]["message"], "bad header Bearer •••");
    for name in ["ledger.db", "ledger.db-wal"] {
        let bytes = std::fs::read(stage.path("data").join(name)).unwrap_or_default();
        assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "{name}");
    }
}

#[test]
fn a_secret_that_is_missing_ends_a_run_before_it_begins() {
    let stage = stage(Target::start(), &client_credentials(""));
    let run = stage.run_json().exits(3);
    assert!(run.stderr.contains("secret `cs` was not found"), "{}", run.stderr);
    assert!(stage.target.log().is_empty());
}
