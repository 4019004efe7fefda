//! A real OpenSSH server on loopback, in a folder of its own, ended by its process id.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Sshd {
    pub port: u16,
    pub user: String,
    /// `SHA256:…` of its ed25519 host key.
    pub host_key: String,
    /// The same of every host key.
    pub host_keys: Vec<String>,
    /// A private key that may log in.
    pub client_key: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    pub fn start(folder: &Path) -> Self {
        Self::start_with_keys(folder, &[])
    }

    /// With host keys of other kinds beside ed25519.
    pub fn start_with_keys(folder: &Path, others: &[&str]) -> Self {
        Self::start_with(folder, others, "")
    }

    /// With lines of `sshd_config` that go before ours, so that they win.
    pub fn start_with_config(folder: &Path, config: &str) -> Self {
        Self::start_with(folder, &[], config)
    }

    fn start_with(folder: &Path, others: &[&str], first: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        let path = |name: &str| folder.join(name);
        keygen(&path("host_key"), "ed25519");
        keygen(&path("client_key"), "ed25519");
        for kind in others {
            keygen(&path(kind), kind);
        }
        fs::copy(path("client_key.pub"), path("authorized_keys")).unwrap();
        let port = free_port();
        let more: String = others.iter().map(|kind| format!("HostKey {}/{kind}\n", folder.display())).collect();
        // The one setting of which sshd takes the last line, not the first.
        let startups = if first.contains("MaxStartups") { "" } else { "MaxStartups 100\n" };
        let config = format!(
            "{first}{more}Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host_key\nAuthorizedKeysFile {0}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
             Subsystem sftp internal-sftp\nLogLevel DEBUG1\n{startups}",
            folder.display()
        );
        fs::write(path("sshd_config"), config).unwrap();
        let log = path("log");
        let child = Command::new(sshd_path())
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .expect("sshd is needed: `bash tests/run.sh` installs it");
        let host_key = fingerprint(&path("host_key.pub"));
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
        let mut host_keys = vec![host_key.clone()];
        host_keys.extend(others.iter().map(|kind| fingerprint(&path(&format!("{kind}.pub")))));
        let sshd = Self { port, user, host_key, host_keys, client_key: path("client_key"), log, child };
        sshd.wait_until_up();
        sshd
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "sshd did not come up:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn sshd_path() -> &'static str {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("sshd")
}

pub fn keygen(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen is needed: `bash tests/run.sh` installs it").success());
}

pub fn fingerprint(path: &Path) -> String {
    let output = Command::new("ssh-keygen").args(["-l", "-f"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
