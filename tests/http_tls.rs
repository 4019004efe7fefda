//! TLS to an HTTP target, proxies, and the protocol that is spoken: certificates that are no good, pinned authorities, a certificate
//! of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameBuilder};
use support::target::Target;
use support::{Source, Stage, records};

/// A certificate with its key.
struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

/// Who a certificate is for, and until when it is good (days from now).
struct Wanted<'a> {
    name: &'a str,
    days: (i64, i64),
    is_authority: bool,
}

fn identity(wanted: &Wanted<'_>, issuer: Option<&Identity>) -> Identity {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", wanted.name).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.certificate.subject_name())).unwrap();
    let at = |days: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        Asn1Time::from_unix(now + days * 86_400).unwrap()
    };
    builder.set_not_before(&at(wanted.days.0)).unwrap();
    builder.set_not_after(&at(wanted.days.1)).unwrap();
    builder.set_pubkey(&key).unwrap();
    if wanted.is_authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    } else {
        let context = builder.x509v3_context(None, None);
        let mut names = SubjectAlternativeName::new();
        match wanted.name.parse::<std::net::IpAddr>() {
            Ok(_) => names.ip(wanted.name),
            Err(_) => names.dns(wanted.name),
        };
        let names = names.build(&context).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Identity { certificate: builder.build(), key }
}

fn authority() -> Identity {
    identity(&Wanted { name: "Test authority", days: (-2, 30), is_authority: true }, None)
}

fn server(name: &str, issuer: &Identity) -> Identity {
    identity(&Wanted { name, days: (-1, 20), is_authority: false }, Some(issuer))
}

/// What the server saw: protocols offered by ALPN, the subject of the client's certificate, request lines.
#[derive(Default)]
struct Seen {
    alpn: Vec<u8>,
    client: Option<String>,
    lines: Vec<String>,
}

/// An HTTPS server on loopback that says 200 to everything.
fn https(identity: &Identity, set: impl FnOnce(&mut openssl::ssl::SslAcceptorBuilder)) -> (u16, Arc<Mutex<Seen>>) {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let offered = seen.clone();
    acceptor.set_alpn_select_callback(move |_, client| {
        offered.lock().unwrap().alpn = client.to_vec();
        openssl::ssl::select_next_proto(b"\x02h2\x08http/1.1", client).ok_or(AlpnError::NOACK)
    });
    set(&mut acceptor);
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (acceptor, log) = (acceptor.clone(), log.clone());
            std::thread::spawn(move || serve(&acceptor, stream, &log));
        }
    });
    (port, seen)
}

fn serve(acceptor: &SslAcceptor, stream: TcpStream, seen: &Mutex<Seen>) -> Option<()> {
    let stream = acceptor.accept(stream).ok()?;
    seen.lock().unwrap().client =
        stream.ssl().peer_certificate().map(|certificate| format!("{:?}", certificate.subject_name()));
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        seen.lock().unwrap().lines.push(line.trim_end().to_owned());
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).ok()?;
            if header.trim_end().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        stream.read_exact(&mut vec![0; length]).ok()?;
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok()?;
    }
}

/// A project that sends to `base`, with these lines in its connection.
fn stage(base: &str, lines: &str) -> Stage {
    let stage = Stage::with_target(Source::Folder, Target::start());
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let here = format!("http://127.0.0.1:{}", stage.target.port);
    stage.edit("project/connections.toml", &here, base);
    stage.edit("project/connections.toml", "timeout = \"5s\"", &format!("timeout = \"5s\"\n{lines}"));
    job_with_two_attempts(&stage);
    stage
}

fn job_with_two_attempts(stage: &Stage) {
    stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 2");
}

fn write_authority(stage: &Stage, authority: &Identity) {
    stage.write("project/ca.pem", authority.certificate.to_pem().unwrap());
}

/// The message of a run that could not deliver; nothing was sent.
fn refused(stage: &Stage) -> String {
    let document = stage.run_json().exits(8).json();
    assert_eq!(records(&document), [5, 0, 0, 0, 5], "nothing was sent");
    document["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn e29_certificates_that_are_no_good_are_refused_and_there_is_no_switch_against_it() {
    let authority = authority();
    let expired = identity(&Wanted { name: "127.0.0.1", days: (-20, -1), is_authority: false }, Some(&authority));
    let own = identity(&Wanted { name: "127.0.0.1", days: (-1, 20), is_authority: false }, None);
    let other = server("erp.example.com", &authority);
    for (identity, reason) in
        [(&expired, "certificate has expired"), (&own, "self-signed certificate"), (&other, "IP address mismatch")]
    {
        let (port, seen) = https(identity, |_| {});
        let stage = stage(&format!("https://127.0.0.1:{port}"), "ca = \"ca.pem\"");
        write_authority(&stage, &authority);
        let message = refused(&stage);
        let expected = format!("https://127.0.0.1:{port}: TLS failed: the certificate is not trusted: {reason}");
        assert!(message.ends_with(&expected), "{message}");
        assert!(seen.lock().unwrap().lines.is_empty());
    }
}

#[test]
fn e29_ca_pins_its_authorities_and_without_it_those_of_the_system_count() {
    let (ours, theirs) = (authority(), authority());
    let (port, seen) = https(&server("127.0.0.1", &ours), |_| {});
    let base = format!("https://127.0.0.1:{port}");
    let pinned = stage(&base, "ca = \"ca.pem\"");
    write_authority(&pinned, &ours);
    assert_eq!(records(&pinned.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
    assert_eq!(seen.lock().unwrap().lines, ["POST /in HTTP/1.1"]);
    let unpinned = stage(&base, "");
    assert!(refused(&unpinned).contains("the certificate is not trusted: "));
    let another = stage(&base, "ca = \"ca.pem\"");
    write_authority(&another, &theirs);
    assert!(refused(&another).contains("the certificate is not trusted: "));
    let missing = stage(&base, "ca = \"nowhere.pem\"");
    let run = missing.run_json().exits(3);
    assert!(run.stderr.contains("`ca` cannot be used: ") && run.stderr.contains("nowhere.pem"), "{}", run.stderr);
}

#[test]
fn e29_an_old_version_of_tls_is_not_spoken() {
    let authority = authority();
    let (port, _) = https(&server("127.0.0.1", &authority), |acceptor| {
        acceptor.set_security_level(0);
        acceptor.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        acceptor.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        acceptor.set_max_proto_version(Some(SslVersion::TLS1)).unwrap();
    });
    let stage = stage(&format!("https://127.0.0.1:{port}"), "ca = \"ca.pem\"");
    write_authority(&stage, &authority);
    let message = refused(&stage);
    assert!(message.contains("TLS failed: ") && message.contains("protocol"), "{message}");
}

#[test]
fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let authority = authority();
    let us = server("nightferry.example.com", &authority);
    let (port, seen) = https(&server("127.0.0.1", &authority), |acceptor| {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(authority.certificate.clone()).unwrap();
        acceptor.set_verify_cert_store(store.build()).unwrap();
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    });
    let lines = "ca = \"ca.pem\"\nclient_certificate = \"us.pem\"\nclient_key = { secret = \"us-key\" }";
    let shown = stage(&format!("https://127.0.0.1:{port}"), lines);
    write_authority(&shown, &authority);
    shown.write("project/us.pem", us.certificate.to_pem().unwrap());
    // The older form, `BEGIN RSA PRIVATE KEY`.
    let key = String::from_utf8(us.key.rsa().unwrap().private_key_to_pem().unwrap()).unwrap();
    assert_eq!(records(&shown.run_with(&[("us-key", &key)]).exits(0).json()), [5, 5, 0, 0, 0]);
    assert!(seen.lock().unwrap().client.as_ref().unwrap().contains("nightferry.example.com"));
    let run = shown.run_with(&[("us-key", "no key")]).exits(3);
    assert!(run.stderr.contains("`client_key` cannot be used: it is no private key in PEM"), "{}", run.stderr);
    let without = stage(&format!("https://127.0.0.1:{port}"), "ca = \"ca.pem\"");
    write_authority(&without, &authority);
    let document = without.run_json().exits(8).json();
    assert_eq!(document["records"]["accepted"], 0);
}

#[test]
fn e27_http_2_is_not_offered_so_that_no_stream_of_it_can_be_lost() {
    let authority = authority();
    let (port, seen) = https(&server("127.0.0.1", &authority), |_| {});
    let stage = stage(&format!("https://127.0.0.1:{port}"), "ca = \"ca.pem\"");
    write_authority(&stage, &authority);
    assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
    let seen = seen.lock().unwrap();
    assert!(!seen.alpn.windows(3).any(|offered| offered == b"\x02h2"), "{:?}", seen.alpn);
    assert_eq!(seen.lines, ["POST /in HTTP/1.1"]);
}

#[test]
fn d08_a_byte_that_was_changed_on_the_way_is_refused_by_tls() {
    let authority = authority();
    let (port, seen) = https(&server("127.0.0.1", &authority), |_| {});
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for from in listener.incoming().flatten() {
            let to = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (up, down) = ((from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from));
            for (mut from, mut to) in [up, down] {
                std::thread::spawn(move || {
                    let (mut buffer, mut passed) = (vec![0; 65_536], 0_usize);
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        // Somewhere behind the handshake, in either direction.
                        if let Some(at) = 6_000_usize.checked_sub(passed).filter(|at| *at < read) {
                            buffer[at] ^= 1;
                        }
                        passed += read;
                        if to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    let stage = stage(&format!("https://127.0.0.1:{proxy}"), "ca = \"ca.pem\"\nrate = { concurrency = 1 }");
    write_authority(&stage, &authority);
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 2000 }");
    stage.edit("project/jobs/orders.toml", "attempts = 2", "attempts = 4");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1_000));
    let document = stage.run_json().exits(8).json();
    assert_eq!(document["records"]["accepted"], 0, "every attempt was spoilt, and none was believed");
    assert_eq!(document["attempts"], 4);
    assert!(seen.lock().unwrap().lines.is_empty(), "what was changed never reached a parser");
}

/// A proxy that notes what it is asked for, and wants to be asked by name and password.
fn forward_proxy(log: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || tunnel(stream, &log));
        }
    });
    port
}

fn tunnel(stream: TcpStream, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        input.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    log.lock().unwrap().push(head.clone());
    let mut output = stream;
    let Some(authority) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        output.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").ok()?;
        return None;
    };
    let mut to = TcpStream::connect(authority).ok()?;
    output.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from_target, mut to_client) = (to.try_clone().ok()?, output);
    std::thread::spawn(move || std::io::copy(&mut from_target, &mut to_client));
    std::io::copy(&mut input, &mut to).ok()?;
    None
}

#[test]
fn a_proxy_leads_outside_and_its_password_is_a_secret() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let proxy = forward_proxy(log.clone());
    let plain = stage("http://erp.example.com", &format!("proxy = \"http://127.0.0.1:{proxy}\""));
    assert_eq!(records(&plain.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
    assert!(log.lock().unwrap()[0].starts_with("POST http://erp.example.com/in HTTP/1.1\r\n"));
    log.lock().unwrap().clear();
    let authority = authority();
    let (port, seen) = https(&server("127.0.0.1", &authority), |_| {});
    let tunnelled = stage(&format!("https://127.0.0.1:{port}"), "ca = \"ca.pem\"\nproxy = { secret = \"proxy\" }");
    write_authority(&tunnelled, &authority);
    let run = tunnelled.run_with(&[("proxy", &format!("http://me:passw0rd@127.0.0.1:{proxy}"))]).exits(0);
    assert_eq!(seen.lock().unwrap().lines.len(), 1);
    let head = log.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with(&format!("connect 127.0.0.1:{port} ")), "{head}");
    assert!(head.contains("proxy-authorization: basic "), "{head}");
    assert!(!head.contains("authorization: bearer"), "our token is for the target alone: {head}");
    assert!(!run.stderr.contains("passw0rd"));
}

#[test]
fn a_proxy_of_the_environment_is_not_used_by_itself() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let mut command = stage.command(&["run", "orders", "--date", "2026-11-23"]);
    command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9");
    support::ended(command).exits(0);
}
