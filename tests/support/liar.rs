//! An SFTP server that lies: built on russh for the SSH below, with packets of its own making above.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Handle, Msg, Session};
use russh::{Channel, ChannelId};

/// What the server does wrong. It has one file, `a.csv`, in every folder.
#[derive(Clone, Debug)]
pub enum Lie {
    /// Nothing.
    None,
    /// The size it claims.
    Size(u64),
    /// No attributes at all: flags 0.
    NoAttributes,
    /// A modification time.
    Mtime(u32),
    /// Answers every read with at most this many bytes.
    ShortReads(usize),
    /// Answers every fifth read one byte short.
    Hiccups,
    /// Refuses reads above 32 KiB.
    RefusesLongReads,
    /// A listing that never ends.
    EndlessListing,
    /// A listing of empty replies that never ends.
    EmptyListing,
    /// These names.
    Names(Vec<Vec<u8>>),
    /// Answers with the id of nobody.
    WrongId,
    /// More bytes than were asked for.
    Oversize,
    /// Says yes to an opening, without a handle.
    YesToOpen,
    /// Says that a packet has 2^31 bytes.
    LongPacket,
    /// Says nothing any more once a file is read.
    Stalls,
    /// Loses the answer of a removal: hangs up after it was done.
    LosesAnswer,
}

/// What it saw.
#[derive(Default)]
pub struct Seen {
    pub logins: usize,
    pub opened: Vec<Vec<u8>>,
    pub longest_read: u32,
    pub removed: bool,
}

pub struct Liar {
    pub port: u16,
    pub host_key: String,
    pub seen: Arc<Mutex<Seen>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Liar {
    /// User `demo`, password `password`.
    pub fn start(lie: Lie, content: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap() ^ u8::try_from(port & 0xff).unwrap());
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(server::Config {
            keys: vec![key],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..server::Config::default()
        });
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (shared, content) = (seen.clone(), Arc::new(content));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, lie) = (config.clone(), lie.clone());
                let talk = Talk {
                    lie,
                    content: content.clone(),
                    seen: shared.clone(),
                    arrived: HashMap::new(),
                    reads: 0,
                    listed: 0,
                    handle: None,
                };
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, talk).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { port, host_key, seen, runtime: Some(runtime) }
    }
}

struct Talk {
    lie: Lie,
    content: Arc<Vec<u8>>,
    seen: Arc<Mutex<Seen>>,
    arrived: HashMap<ChannelId, Vec<u8>>,
    reads: usize,
    listed: usize,
    handle: Option<Handle>,
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn status(code: u32) -> Vec<u8> {
    [&[101][..], &[0; 4], &code.to_be_bytes(), &text(b"as told"), &text(b"en")].concat()
}

impl Talk {
    fn attributes(&self) -> Vec<u8> {
        let size = if let Lie::Size(size) = self.lie { size } else { self.content.len() as u64 };
        let time = if let Lie::Mtime(time) = self.lie { time } else { 1_700_000_000 };
        if matches!(self.lie, Lie::NoAttributes) {
            return vec![0; 4];
        }
        [
            &13_u32.to_be_bytes()[..],
            &size.to_be_bytes(),
            &0o100_644_u32.to_be_bytes(),
            &time.to_be_bytes(),
            &time.to_be_bytes(),
        ]
        .concat()
    }

    /// The reply to one request; its id is put in at bytes 1 to 4.
    fn answer(&mut self, kind: u8, rest: &[u8]) -> Option<Vec<u8>> {
        let length = |at: usize| rest.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        let path = rest.get(4..4 + length(0) as usize).unwrap_or_default();
        let handle = || [&[102][..], &[0; 4], &text(b"h")].concat();
        Some(match kind {
            3 if matches!(self.lie, Lie::YesToOpen) => status(0),
            3 => {
                self.seen.lock().unwrap().opened.push(path.to_vec());
                if path.ends_with(b"/a.csv") { handle() } else { status(2) }
            }
            11 => handle(),
            4 => status(0),
            5 => return self.read(rest),
            7 | 8 | 17 if self.seen.lock().unwrap().removed => status(2),
            7 | 17 if path.ends_with(b"nothing") => status(2),
            7 | 8 | 17 => [&[105][..], &[0; 4], &self.attributes()].concat(),
            12 => self.names(),
            13 => {
                let gone = std::mem::replace(&mut self.seen.lock().unwrap().removed, true);
                if matches!(self.lie, Lie::LosesAnswer) && !gone {
                    return None;
                }
                status(if gone { 2 } else { 0 })
            }
            _ => status(8),
        })
    }

    fn names(&mut self) -> Vec<u8> {
        self.listed += 1;
        let names: Vec<Vec<u8>> = match &self.lie {
            Lie::EndlessListing => (0..100).map(|at| format!("{}-{at}", self.listed).into_bytes()).collect(),
            Lie::EmptyListing => Vec::new(),
            _ if self.listed > 1 => return status(1),
            Lie::Names(names) => names.clone(),
            _ => vec![b"a.csv".to_vec()],
        };
        let count = u32::try_from(names.len()).unwrap().to_be_bytes();
        let entries = names.iter().flat_map(|name| [text(name), text(b"-rw-r--r--"), self.attributes()].concat());
        [&[104][..], &[0; 4], &count, &entries.collect::<Vec<_>>()].concat()
    }

    fn read(&mut self, rest: &[u8]) -> Option<Vec<u8>> {
        // A handle of one byte, then offset and length.
        let offset = u64::from_be_bytes(rest.get(5..13)?.try_into().ok()?);
        let asked = u32::from_be_bytes(rest.get(13..17)?.try_into().ok()?);
        self.reads += 1;
        let mut seen = self.seen.lock().unwrap();
        seen.longest_read = seen.longest_read.max(asked);
        drop(seen);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let mut end = (start + asked as usize).min(self.content.len());
        match self.lie {
            Lie::Stalls => return None,
            Lie::RefusesLongReads if asked > 32 << 10 => return Some(status(4)),
            Lie::ShortReads(most) => end = end.min(start + most),
            Lie::Hiccups if self.reads.is_multiple_of(5) && end > start + 1 => end -= 1,
            _ => {}
        }
        let mut data = self.content[start..end].to_vec();
        if matches!(self.lie, Lie::Oversize) {
            data = vec![b'x'; asked as usize + 1];
        }
        if data.is_empty() {
            return Some(status(1));
        }
        Some([&[103][..], &[0; 4], &text(&data)].concat())
    }
}

impl server::Handler for Talk {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().logins += 1;
        Ok(if user == "demo" && password == "password" { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.arrived.insert(channel.id(), Vec::new());
        self.handle = Some(session.handle());
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let mut arrived = self.arrived.remove(&channel).unwrap_or_default();
        arrived.extend_from_slice(data);
        while let Some(length) = arrived.get(..4).map(|length| u32::from_be_bytes(length.try_into().unwrap()) as usize)
            && arrived.len() >= 4 + length
        {
            let packet: Vec<u8> = arrived.drain(..4 + length).skip(4).collect();
            if packet[0] == 1 {
                session.data(channel, [&[0, 0, 0, 5, 2][..], &[0, 0, 0, 3]].concat())?;
                continue;
            }
            let Some(mut reply) = self.answer(packet[0], &packet[5..]) else {
                if matches!(self.lie, Lie::LosesAnswer) {
                    return Err(russh::Error::Disconnect);
                }
                continue;
            };
            reply[1..5].copy_from_slice(&packet[1..5]);
            if matches!(self.lie, Lie::WrongId) && packet[0] == 5 {
                reply[1] ^= 0x40;
            }
            if matches!(self.lie, Lie::LongPacket) && packet[0] == 5 {
                session.data(channel, [&0x7fff_ffff_u32.to_be_bytes()[..], &reply].concat())?;
                continue;
            }
            session.data(channel, text(&reply))?;
        }
        self.arrived.insert(channel, arrived);
        Ok(())
    }
}
