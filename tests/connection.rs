//! `nightferry connection test` and `trust`: what an operator reads when a connection does not work.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::fs;

use support::liar::{Liar, Lie};
use support::{Ended, Source, Stage};

/// The output with what differs from machine to machine replaced.
fn shown(stage: &Stage, ended: &Ended) -> String {
    let mut text = ended.stdout.replace(&stage.remote().display().to_string(), "/FOLDER");
    if let Some(sshd) = stage.try_sshd() {
        text = text.replace(&sshd.port.to_string(), "PORT").replace(&sshd.host_key, "SHA256:KEY");
        text = text.replace(&format!("{}@", sshd.user), "USER@").replace(&format!("as {}", sshd.user), "as USER");
        text = text.replace(&format!("`{}`", sshd.user), "`USER`");
    }
    let greeting = regex::Regex::new("OpenSSH_[^\n]*").unwrap();
    greeting.replace(&text, "OpenSSH_X").into_owned()
}

#[track_caller]
fn tests_as(stage: &Stage, code: i32, expected: &str) {
    let ended = stage.nightferry(&["connection", "test", "partner"]).exits(code);
    assert_eq!(shown(stage, &ended), expected, "{}", ended.stderr);
}

fn stage() -> Stage {
    Stage::new(Source::Sftp)
}

const CONNECTIONS: &str = "project/connections.toml";

const REACHED: &str = "\
partner: sftp://USER@127.0.0.1:PORT, engine ssh2

  ok  host name   127.0.0.1
  ok  connection  port PORT answers
  ok  greeting    OpenSSH_X
  ok  algorithms  curve25519-sha256, ssh-ed25519, aes128-gcm@openssh.com
";

#[test]
fn a_connection_that_works_is_shown_step_by_step() {
    let stage = stage();
    stage.deliver("orders_20261123.csv", "x");
    let kept = "  ok  host key    one of the 1 pinned
  ok  login       as USER
  ok  listing     /FOLDER has 1 file
  --  writing     not needed: every job keeps the files where they are

Everything works.
";
    tests_as(&stage, 0, &format!("{REACHED}{kept}"));
    stage.edit(
        "project/jobs/orders.toml",
        "ready_when = \"at_once\"",
        "ready_when = \"at_once\"\nafterwards = \"delete\"",
    );
    let written = kept.replace(
        "--  writing     not needed: every job keeps the files where they are",
        "ok  writing     an empty folder was made and removed again",
    );
    tests_as(&stage, 0, &format!("{REACHED}{written}"));
    assert_eq!(fs::read_dir(stage.remote()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_wrong_host() {
    let stage = stage();
    stage.edit(CONNECTIONS, "host = \"127.0.0.1\"", "host = \"sftp.partner.invalid\"");
    let ended = stage.nightferry(&["connection", "test", "partner"]).exits(8);
    let why = regex::Regex::new("failed to lookup address information: [^\n]*").unwrap();
    assert_eq!(
        why.replace(&shown(&stage, &ended), "WHY"),
        "\
partner: sftp://USER@sftp.partner.invalid:PORT, engine ssh2

  NO  host name   looking up the host name failed: WHY
                  → is `host` spelt as the partner wrote it? `getent hosts sftp.partner.invalid` asks the same
  --  connection  not tried
  --  greeting    not tried
  --  algorithms  not tried
  --  login       not tried
  --  listing     not tried
  --  writing     not tried

It ends at: host name.
"
    );
}

#[test]
fn d01_a_closed_port() {
    let stage = stage();
    let closed = support::sshd::free_port();
    stage.edit(CONNECTIONS, &format!("port = {}", stage.sshd().port), &format!("port = {closed}"));
    let ended = stage.nightferry(&["connection", "test", "partner"]).exits(8);
    assert_eq!(
        shown(&stage, &ended).replace(&closed.to_string(), "PORT"),
        "\
partner: sftp://USER@127.0.0.1:PORT, engine ssh2

  ok  host name   127.0.0.1
  NO  connection  connecting failed: Connection refused (os error 111)
                  → the machine is there, but nothing listens on this port:
                  → is `port` right, and is the server up?
  --  greeting    not tried
  --  algorithms  not tried
  --  login       not tried
  --  listing     not tried
  --  writing     not tried

It ends at: connection.
"
    );
}

#[test]
fn f21_a_changed_key() {
    let stage = stage();
    stage.edit(CONNECTIONS, &stage.sshd().host_key.clone(), "SHA256:theKeyOfLastYear");
    tests_as(
        &stage,
        8,
        &format!(
            "{REACHED}  NO  host key    the host key of `partner` is not the pinned one: the server shows SHA256:KEY (ssh-ed25519), pinned is SHA256:theKeyOfLastYear; nothing of the login was sent
                  → did the partner announce a new key? If not, somebody may stand between you: call them.
                  → compare the fingerprint with what the partner tells you, then `nightferry connection trust partner`
  --  login       nothing of it was sent
  --  listing     not tried
  --  writing     not tried

It ends at: host key.
"
        ),
    );
}

#[test]
fn f21_a_changed_key_stops_a_run_with_a_code_of_its_own() {
    let stage = stage();
    stage.edit(CONNECTIONS, &stage.sshd().host_key.clone(), "SHA256:theKeyOfLastYear");
    let ended = stage.run_json().exits(8).json();
    assert_eq!(ended["error"]["code"], "host-key-changed");
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains(&stage.sshd().host_key) && message.contains("SHA256:theKeyOfLastYear"), "{message}");
}

#[test]
fn f25_a_wrong_password() {
    let stage = stage();
    let liar = Liar::start(Lie::None, Vec::new());
    stage.write(
        CONNECTIONS,
        format!(
            "[partner]\nkind = \"sftp\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"demo\"\nengine = \"russh\"\n\
             password = {{ secret = \"partner-password\" }}\nhost_key = \"{}\"\n\n\
             [erp]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{}\"\n",
            liar.port, liar.host_key, stage.target.port
        ),
    );
    let mut command = stage.command(&["connection", "test", "partner"]);
    command.env("NIGHTFERRY_SECRET_PARTNER_PASSWORD", "hunter2");
    let ended = support::ended(command).exits(8);
    let text = ended.stdout.replace(&liar.port.to_string(), "PORT");
    let algorithms = regex::Regex::new("(greeting    ).*\n(  ok  algorithms  ).*").unwrap();
    assert_eq!(
        algorithms.replace(&text, "${1}X\n${2}X"),
        "\
partner: sftp://demo@127.0.0.1:PORT, engine russh

  ok  host name   127.0.0.1
  ok  connection  port PORT answers
  ok  greeting    X
  ok  algorithms  X
  ok  host key    one of the 1 pinned
  NO  login       the login of `demo` failed: password: refused by the server, which takes METHODS
                  → tried with the password in the secret `partner-password`; is it the one for `demo`, and of this server (not of its test system)?
                  → do not try often: many servers lock an account after a few
  --  listing     not tried
  --  writing     not tried

It ends at: login.
"
        .replace("METHODS", &methods(&text))
    );
    assert_eq!(liar.seen.lock().unwrap().logins, 1);
}

/// What the server names; the order is its own.
fn methods(text: &str) -> String {
    text.lines().find_map(|line| line.split_once("which takes ")).map_or("?", |(_, methods)| methods).to_owned()
}

#[test]
fn a_missing_folder() {
    let stage = stage();
    fs::remove_dir(stage.remote()).unwrap();
    tests_as(
        &stage,
        8,
        &format!(
            "{REACHED}  ok  host key    one of the 1 pinned
  ok  login       as USER
  NO  listing     /FOLDER: no such file or folder
                  → does it begin where `partner` lands after the login? Many servers show an account only its own part;
                  → `[source] folder` is that path, and capitals count

It ends at: listing.
"
        ),
    );
}

#[test]
fn a_server_that_may_only_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = support::sshd::Sshd::start_with_config(&folder.path().join("sshd"), "ForceCommand internal-sftp -R\n");
    let stage = stage();
    stage.edit(CONNECTIONS, &format!("port = {}", stage.sshd().port), &format!("port = {}", sshd.port));
    stage.edit(CONNECTIONS, &stage.sshd().host_key.clone(), &sshd.host_key);
    stage.edit(
        "project/jobs/orders.toml",
        "ready_when = \"at_once\"",
        "ready_when = \"at_once\"\nafterwards = \"delete\"",
    );
    let mut command = stage.command(&["connection", "test", "partner"]);
    command.env("NIGHTFERRY_SECRET_SFTP_KEY_FILE", &sshd.client_key);
    let ended = support::ended(command).exits(8);
    let text = shown(&stage, &ended);
    let end = text.split_once("  ok  listing").map(|(_, end)| format!("  ok  listing{end}")).unwrap();
    assert_eq!(
        end,
        "  ok  listing     /FOLDER has 0 files
  NO  writing     /FOLDER/a new folder: permission denied
                  → needed by `afterwards` of orders: ask the partner for the right to move and delete,
                  → or write `afterwards = \"keep\"`: nothing is delivered twice then either

It ends at: writing.
"
    );
}

#[test]
fn folders_and_http_have_their_steps_too() {
    let stage = Stage::new(Source::Folder);
    let ended = stage.nightferry(&["connection", "test", "partner"]).exits(0);
    assert_eq!(
        shown(&stage, &ended),
        "\
partner: the folder /FOLDER

  ok  listing  / has 0 files
  --  writing  not needed: every job keeps the files where they are

Everything works.
"
    );
    let ended = stage.nightferry(&["connection", "test", "erp"]).exits(0);
    assert!(ended.stdout.contains("  ok  answer  "), "{}", ended.stdout);
    let closed = support::sshd::free_port();
    stage.edit(CONNECTIONS, &format!("127.0.0.1:{}", stage.target.port), &format!("127.0.0.1:{closed}"));
    let ended = stage.nightferry(&["connection", "test", "erp"]).exits(8);
    assert!(ended.stdout.contains("NO  answer  Connection refused"), "{}", ended.stdout);
    let ended = stage.nightferry(&["connection", "test", "prtner"]).exits(2);
    assert!(ended.stderr.contains("there is no connection `prtner`"), "{}", ended.stderr);
}

#[test]
fn a_rotated_key_is_pinned_beside_the_old_one_or_instead_of_it() {
    let stage = stage();
    let key = stage.sshd().host_key.clone();
    stage.edit(CONNECTIONS, &format!("host_key = \"{key}\""), "host_key = \"SHA256:old\"   # told by phone");
    let ended = stage.nightferry(&["connection", "trust", "partner"]).exits(2);
    assert!(ended.stderr.contains("nobody is there to compare the fingerprint"), "{}", ended.stderr);
    let ended = stage.nightferry(&["connection", "trust", "partner", "--yes", "--add"]).exits(0);
    assert!(ended.stdout.contains("pinned until now: SHA256:old (stays)"), "{}", ended.stdout);
    let text = fs::read_to_string(stage.path(CONNECTIONS)).unwrap();
    assert!(text.contains(&format!("host_key = [\"SHA256:old\", \"{key}\"]   # told by phone")), "{text}");
    stage.nightferry(&["connection", "test", "partner"]).exits(0);
    let ended = stage.nightferry(&["connection", "trust", "partner"]).exits(0);
    assert!(ended.stderr.contains("this key is trusted already"), "{}", ended.stderr);
    stage.edit(CONNECTIONS, &format!("[\"SHA256:old\", \"{key}\"]"), "\"SHA256:old\"");
    stage.nightferry(&["connection", "trust", "partner", "--yes"]).exits(0);
    let text = fs::read_to_string(stage.path(CONNECTIONS)).unwrap();
    assert!(text.contains(&format!("host_key = \"{key}\"   # told by phone")), "{text}");
}
