//! What a server offers, read from its first packets; nothing of the user is sent. Bounded, whatever it says (F27).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{dial, one_line, place, unreachable};
use crate::domain::job::SftpConnection;
use crate::ports::RemoteError;

/// Lines a server may say before it says who it is, and bytes in all.
const MOST_LINES: usize = 64;
const MOST_BYTES: usize = 16 << 10;
/// The longest packet that every client takes.
const LONGEST_PACKET: usize = 35_000;
const KEXINIT: u8 = 20;

/// The algorithms of a server, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Its software, as it names itself.
    pub software: String,
    /// Key exchanges, with the extensions that are listed among them.
    pub exchanges: Vec<String>,
    /// Host keys.
    pub host_keys: Vec<String>,
    /// Ciphers, from it to us.
    pub ciphers: Vec<String>,
    /// MACs, from it to us.
    pub macs: Vec<String>,
}

impl Offer {
    /// It does a strict key exchange, so that nobody can cut messages out (Terrapin).
    pub fn strict(&self) -> bool {
        self.exchanges.iter().any(|name| name == "kex-strict-s-v00@openssh.com")
    }
}

/// Asks the server what it offers.
pub fn offer(connection: &SftpConnection) -> Result<Offer, RemoteError> {
    read_offer(connection, dial::dial(connection)?)
}

/// The same over a connection that is open.
pub(super) fn read_offer(connection: &SftpConnection, stream: TcpStream) -> Result<Offer, RemoteError> {
    let hint = "is this the port of an SSH server? is it overloaded?";
    let mut talk = Talk { stream, until: Instant::now() + connection.timeouts.handshake };
    talk.offer().map_err(|error| unreachable(&place(connection), "the greeting", &error, hint))
}

struct Talk {
    stream: TcpStream,
    until: Instant,
}

impl Talk {
    fn offer(&mut self) -> std::io::Result<Offer> {
        self.stream.write_all(concat!("SSH-2.0-Nightferry_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes())?;
        let software = self.greeting()?;
        let mut head = [0; 5];
        self.read(&mut head)?;
        let length = head[..4].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let padding = usize::from(head[4]);
        if length > LONGEST_PACKET || length < padding + 2 {
            return Err(std::io::Error::other("its first packet has an impossible length"));
        }
        let mut packet = vec![0; length - 1];
        self.read(&mut packet)?;
        packet.truncate(length - 1 - padding);
        read_lists(&packet, software).ok_or_else(|| std::io::Error::other("its first packet names no algorithms"))
    }

    /// The line that begins with `SSH-2.0-`; others may stand before it.
    fn greeting(&mut self) -> std::io::Result<String> {
        let mut read = 0;
        for _ in 0..MOST_LINES {
            let mut line = Vec::new();
            loop {
                let mut byte = [0];
                self.read(&mut byte)?;
                read += 1;
                if read > MOST_BYTES {
                    return Err(std::io::Error::other("it says too much before it says who it is"));
                }
                if byte[0] == b'\n' {
                    break;
                }
                line.push(byte[0]);
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(software) = line.strip_prefix("SSH-2.0-").or_else(|| line.strip_prefix("SSH-1.99-")) {
                return Ok(one_line(software));
            }
            if line.starts_with("Exceeded") || line.starts_with("Not allowed") {
                return Err(std::io::Error::other(format!("it says `{}`", one_line(&line))));
            }
        }
        Err(std::io::Error::other("it does not say who it is"))
    }

    fn read(&mut self, into: &mut [u8]) -> std::io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let late = || std::io::Error::other("no answer in time");
        if left.is_zero() {
            return Err(late());
        }
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        self.stream.read_exact(into).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => late(),
            std::io::ErrorKind::UnexpectedEof => std::io::Error::other("it hung up"),
            _ => error,
        })
    }
}

fn read_lists(packet: &[u8], software: String) -> Option<Offer> {
    // Kind and cookie, then lists of names: kex, host keys, ciphers and MACs both ways, and more.
    let mut rest = packet.strip_prefix(&[KEXINIT])?.get(16..)?;
    let mut list = || {
        let (length, behind) = rest.split_at_checked(4)?;
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let (names, behind) = behind.split_at_checked(length)?;
        rest = behind;
        let names = String::from_utf8_lossy(names);
        Some(names.split(',').filter(|name| !name.is_empty()).map(one_line).collect::<Vec<_>>())
    };
    let (exchanges, host_keys) = (list()?, list()?);
    list()?;
    let ciphers = list()?;
    list()?;
    Some(Offer { software, exchanges, host_keys, ciphers, macs: list()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_a_server_are_read_or_refused() {
        let list = |names: &str| [&u32::try_from(names.len()).unwrap().to_be_bytes(), names.as_bytes()].concat();
        let lists = ["kex-strict-s-v00@openssh.com", "ssh-ed25519", "a", "b,c", "d", "e"].map(list).concat();
        let packet = [&[KEXINIT], &[0; 16][..], &lists].concat();
        let offer = read_lists(&packet, "x".to_owned()).unwrap();
        assert_eq!((offer.strict(), offer.ciphers.join(" "), offer.macs.join(" ")), (true, "b c".into(), "e".into()));
        assert_eq!(read_lists(&packet[..packet.len() - 1], String::new()), None);
        assert_eq!(read_lists(&[KEXINIT], String::new()), None);
    }
}
