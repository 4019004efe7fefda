//! Connecting with russh: key exchange, host key, login, and the SFTP channel, in a runtime of its own.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, Handle};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{ChannelId, ChannelMsg, cipher};
use tokio::runtime::Runtime;

use super::exchange::{Exchange, Incoming, Shared};
use super::wire::INIT;
use super::{algorithms, login};
use crate::adapters::sftp::trust::{self, not_trusted};
use crate::adapters::sftp::{Door, HostKey, Shut, dial, place, unreachable};
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;

/// Room for what is in flight: a window never slows the server down, and our requests bound what is asked for.
const WINDOW: u32 = 64 << 20;
/// The largest SSH packet that russh lets a server send.
const PACKET: u32 = 65_535;
/// Unanswered keep-alives after which the connection counts as dead: 90 s (D11).
const DEAD_AFTER: usize = 2;

/// What the server showed during the key exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) key: Option<HostKey>,
    /// Terrapin: the cipher is chacha20, and the key exchange was not strict.
    terrapin: bool,
}

/// Listens to the session.
pub(super) struct Listener {
    pins: Vec<String>,
    allow_terrapin: bool,
    seen: Arc<Mutex<Seen>>,
    incoming: Incoming,
    shared: Arc<Shared>,
    channel: Option<ChannelId>,
}

impl Listener {
    fn seen(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl client::Handler for Listener {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let key =
            HostKey { kind: key.algorithm().to_string(), fingerprint: key.fingerprint(HashAlg::Sha256).to_string() };
        let pinned = self.pins.contains(&key.fingerprint);
        self.seen(|seen| seen.key = Some(key));
        Ok(pinned)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &russh::Names,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        if names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() && !self.allow_terrapin {
            self.seen(|seen| seen.terrapin = true);
            return Err(russh::Error::Kex);
        }
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut client::Session) -> Result<(), Self::Error> {
        if self.channel.is_none_or(|open| open == channel) {
            self.channel = Some(channel);
            if let Err(garbage) = self.incoming.push(data) {
                self.shared.end(&garbage.to_string());
                return Err(russh::Error::Inconsistent);
            }
        }
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut client::Session) -> Result<(), Self::Error> {
        self.shared.end("the server ended the SFTP channel");
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut client::Session) -> Result<(), Self::Error> {
        self.shared.end("the server closed the SFTP channel");
        Ok(())
    }

    async fn disconnected(&mut self, why: client::DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        self.shared.end(&match why {
            client::DisconnectReason::ReceivedDisconnect(info) => format!("the server hung up: {}", info.message),
            client::DisconnectReason::Error(error) => error.to_string(),
        });
        Ok(())
    }
}

/// A logged-in session with one SFTP channel. Dropped: the connection ends.
pub(super) struct Session {
    pub(super) exchange: Exchange,
    runtime: Option<Runtime>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where a session is before it is logged in.
struct Shaken {
    handle: Handle<Listener>,
    shared: Arc<Shared>,
    greeted: std::sync::mpsc::Receiver<Result<(), super::exchange::Broken>>,
}

fn runtime() -> std::io::Result<Runtime> {
    // One worker decrypts; who asks hashes and writes beside it.
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("sftp").enable_all().build()
}

/// The key that the server shows first.
pub(super) fn look(connection: &SftpConnection) -> Result<HostKey, Shut> {
    let runtime = runtime().map_err(|error| Shut::ForGood(error.into()))?;
    let shown = match shake_hands(&runtime, connection, &[], None) {
        Err((_, Some(key))) => Ok(key),
        Err((shut, None)) => Err(shut),
        // Nothing is pinned here, so no key is accepted.
        Ok(_) => Err(Shut::ForGood(unreachable(&place(connection), "the key exchange", &"no key was shown", ""))),
    };
    runtime.shutdown_background();
    shown
}

/// Connects, checks the host key, and hands the runtime over with the session.
pub(super) fn shake_hands_pinned(
    connection: &SftpConnection,
    name: &ConnectionName,
) -> Result<impl FnOnce(&Door) -> Result<Session, Shut> + use<>, Shut> {
    let runtime = runtime().map_err(|error| Shut::ForGood(error.into()))?;
    match first_pinned(&runtime, connection, name) {
        Ok(shaken) => Ok(move |door: &Door| enter(runtime, shaken, door)),
        Err(shut) => {
            runtime.shutdown_background();
            Err(shut)
        }
    }
}

/// A pin may be of any of the server's keys: each kind is asked for until one is pinned.
fn first_pinned(runtime: &Runtime, connection: &SftpConnection, name: &ConnectionName) -> Result<Shaken, Shut> {
    let shown = match shake_hands(runtime, connection, &connection.host_keys, None) {
        Ok(shaken) => return Ok(shaken),
        Err((_, Some(key))) => key,
        Err((shut, None)) => return Err(shut),
    };
    if !connection.host_keys.is_empty() {
        for kinds in trust::KINDS {
            if let Ok(shaken) = shake_hands(runtime, connection, &connection.host_keys, Some(kinds)) {
                return Ok(shaken);
            }
        }
    }
    Err(Shut::ForGood(not_trusted(connection, name, &shown)))
}

/// Exchanges keys. A key that is not pinned comes back with the failure.
fn shake_hands(
    runtime: &Runtime,
    connection: &SftpConnection,
    pins: &[String],
    kinds: Option<&str>,
) -> Result<Shaken, (Shut, Option<HostKey>)> {
    let stream = dial::dial(connection).map_err(|error| (Shut::ForGood(error), None))?;
    let (shared, greeted) = Shared::new();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let listener = Listener {
        pins: pins.to_vec(),
        allow_terrapin: connection.legacy_algorithms,
        seen: seen.clone(),
        incoming: Incoming::new(shared.clone()),
        shared: shared.clone(),
        channel: None,
    };
    let config = Arc::new(client::Config {
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        keepalive_interval: Some(connection.keepalive),
        keepalive_max: DEAD_AFTER,
        preferred: algorithms::preferred(connection.legacy_algorithms, kinds),
        client_id: russh::SshId::Standard(concat!("SSH-2.0-Nightferry_", env!("CARGO_PKG_VERSION")).into()),
        ..client::Config::default()
    });
    let within = connection.timeouts.handshake;
    let shaken = runtime.block_on(async {
        stream.set_nonblocking(true)?;
        let stream = tokio::net::TcpStream::from_std(stream)?;
        tokio::time::timeout(within, client::connect_stream(config, stream, listener)).await?
    });
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    shaken.map(|handle| Shaken { handle, shared, greeted }).map_err(|error| (why(connection, &error, &seen), seen.key))
}

fn why(connection: &SftpConnection, error: &russh::Error, seen: &Seen) -> Shut {
    let (place, exchange, within) = (&place(connection), "the key exchange", connection.timeouts.handshake);
    if seen.terrapin {
        return Shut::ForGood(trust::terrapin(connection));
    }
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            let error = format!("no {kind:?} algorithm in common; the server offers {}", theirs.join(", "));
            let hint = "ask the partner to update the server, or set `legacy_algorithms = true`";
            Shut::ForGood(unreachable(place, exchange, &error, hint))
        }
        russh::Error::Elapsed(_) => {
            let error = format!("no answer within {within:?}");
            Shut::ForGood(unreachable(place, exchange, &error, "does it speak SSH? is it overloaded?"))
        }
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => {
            let error = match error {
                russh::Error::IO(error) => error.to_string(),
                _ => "the server hung up".to_owned(),
            };
            Shut::Full(unreachable(place, exchange, &error, "it may have no room for one more; see `sessions`"))
        }
        error => {
            Shut::ForGood(unreachable(place, exchange, error, "does it speak SSH, with algorithms of this decade?"))
        }
    }
}

/// Logs in and opens the SFTP channel.
fn enter(runtime: Runtime, shaken: Shaken, door: &Door) -> Result<Session, Shut> {
    let connection = &door.connection;
    let place = place(connection);
    let Shaken { mut handle, shared, greeted } = shaken;
    let opened = runtime.block_on(async {
        login::log_in(&mut handle, connection, &door.secrets).await.map_err(Shut::ForGood)?;
        let outgoing = tokio::time::timeout(connection.timeouts.operation, open_channel(&handle));
        match outgoing.await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                let hint = "the server allows no more sessions; see `sessions`";
                Err(Shut::Full(unreachable(&place, "opening a session", &format!("{reason:?}"), hint)))
            }
            Ok(Err(error)) => {
                Err(Shut::ForGood(unreachable(&place, "opening SFTP", &error, "does the account have SFTP?")))
            }
            Err(late) => Err(Shut::ForGood(unreachable(&place, "opening SFTP", &late, "does the account have SFTP?"))),
        }
    });
    let outgoing = match opened {
        Ok(channel) => send(&runtime, handle, channel, shared.clone()),
        Err(shut) => {
            runtime.shutdown_background();
            return Err(shut);
        }
    };
    let session =
        Session { exchange: Exchange::new(shared, outgoing, connection.timeouts.operation), runtime: Some(runtime) };
    let hint = "does the account have SFTP?";
    match greeted.recv_timeout(connection.timeouts.operation) {
        Ok(Ok(())) => Ok(session),
        Ok(Err(broken)) => Err(Shut::ForGood(unreachable(&place, "opening SFTP", &broken, hint))),
        Err(_) => Err(Shut::ForGood(unreachable(&place, "opening SFTP", &"no answer", hint))),
    }
}

async fn open_channel(handle: &Handle<Listener>) -> Result<russh::Channel<client::Msg>, russh::Error> {
    let mut channel = handle.channel_open_session().await?;
    channel.request_subsystem(true, "sftp").await?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) | None => return Err(russh::Error::RequestDenied),
            Some(_) => {}
        }
    }
    channel.data_bytes(INIT.to_vec()).await?;
    Ok(channel)
}

/// Sends what is asked, several requests in one packet where they have gathered. The receiving half is not needed: the
/// listener hears everything first.
fn send(
    runtime: &Runtime,
    handle: Handle<Listener>,
    channel: russh::Channel<client::Msg>,
    shared: Arc<Shared>,
) -> tokio::sync::mpsc::UnboundedSender<Vec<u8>> {
    const MOST_TOGETHER: usize = 30_000;
    let (outgoing, mut requests) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let (receiving, sending) = channel.split();
    drop(receiving);
    runtime.spawn(async move {
        while let Some(mut packets) = requests.recv().await {
            while packets.len() < MOST_TOGETHER
                && let Ok(more) = requests.try_recv()
            {
                packets.extend_from_slice(&more);
            }
            if let Err(error) = sending.data_bytes(packets).await {
                shared.end(&error.to_string());
                break;
            }
        }
        // The session lives as long as somebody may ask.
        drop(handle);
    });
    outgoing
}
