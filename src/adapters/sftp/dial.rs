//! From a host name to an open TCP connection, each step with its deadline.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{place, unreachable};
use crate::domain::job::SftpConnection;
use crate::ports::RemoteError;

/// How long an address may keep silent before the next is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Opens a connection to the first address that answers.
pub(super) fn dial(connection: &SftpConnection) -> Result<TcpStream, RemoteError> {
    open(connection, &addresses(connection)?)
}

/// The addresses of the host, IPv6 and IPv4 by turns. The resolver of the system knows no deadline, so a thread waits for it.
pub(super) fn addresses(connection: &SftpConnection) -> Result<Vec<SocketAddr>, RemoteError> {
    let fail = |error: &dyn std::fmt::Display| {
        unreachable(&place(connection), "looking up the host name", error, "check `host` in connections.toml")
    };
    let (host, port) = (connection.host.clone(), connection.port);
    let (sender, answer) = mpsc::channel();
    thread::Builder::new()
        .name("lookup".to_owned())
        .spawn(move || drop(sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>))))?;
    match answer.recv_timeout(connection.timeouts.connect) {
        Ok(Ok(found)) if found.is_empty() => Err(fail(&"it has no address")),
        Ok(Ok(found)) => Ok(by_turns(found)),
        Ok(Err(error)) => Err(fail(&error)),
        Err(_) => Err(fail(&format!("no answer within {:?}", connection.timeouts.connect))),
    }
}

/// The order of the resolver, but one family after the other, so that a broken one costs one wait only.
fn by_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut mixed: Vec<_> = first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    mixed.extend(second);
    mixed
}

/// Connects to the first of the addresses that answers.
pub(super) fn open(connection: &SftpConnection, addresses: &[SocketAddr]) -> Result<TcpStream, RemoteError> {
    first(addresses, connection.timeouts.connect).map_err(|error| {
        let hint = "is the server up, and does the firewall let this machine through?";
        unreachable(&place(connection), "connecting", &error, hint)
    })
}

/// Tries the addresses beside each other, each a little later than the one before.
fn first(addresses: &[SocketAddr], within: Duration) -> std::io::Result<TcpStream> {
    let until = Instant::now() + within;
    let (sender, answers) = mpsc::channel();
    let mut last = None;
    let mut waiting = 0;
    for (at, address) in addresses.iter().enumerate() {
        let (sender, address) = (sender.clone(), *address);
        thread::Builder::new()
            .name("connect".to_owned())
            .spawn(move || drop(sender.send(TcpStream::connect_timeout(&address, within))))?;
        waiting += 1;
        let last_address = at + 1 == addresses.len();
        while waiting > 0 {
            let left = until.saturating_duration_since(Instant::now());
            match answers.recv_timeout(if last_address { left } else { NEXT_ADDRESS_AFTER }) {
                Ok(Ok(stream)) => {
                    // Requests are small and wait for each other; collecting them only adds delay.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    waiting -= 1;
                    last = Some(error);
                }
                Err(_) => break,
            }
        }
    }
    match last {
        Some(error) if waiting == 0 => Err(error),
        _ => Err(std::io::Error::other(format!("no answer within {within:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address).to_vec();
        assert_eq!(by_turns(found), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address));
    }

    /// The first address of a documentation network: nobody is there, and most routers do not even say so.
    #[test]
    fn d10_a_dead_address_costs_a_moment_when_another_one_lives() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let alive = listener.local_addr().unwrap();
        let dead: SocketAddr = "[2001:db8::1]:22".parse().unwrap();
        let begun = Instant::now();
        let stream = first(&[dead, alive], Duration::from_secs(10)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
