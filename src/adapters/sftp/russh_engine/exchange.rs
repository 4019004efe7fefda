//! One SFTP conversation over one channel: requests leave as they come, replies find who asked. A server that answers what
//! nobody asked, or more than was asked, ends it (F30).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::wire::{Ask, Garbage, LONGEST_REPLY, Reply, read_reply, read_version};

/// Less than this is no transfer (D06).
const LEAST_BYTES_A_SECOND: u64 = 1024;

/// Why a conversation is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

/// What a reply may be, beside a refusal.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Done,
    Handle,
    Data { longest: u32 },
    Names,
    Attributes,
}

impl Expected {
    fn of(ask: Ask<'_>) -> Self {
        match ask {
            Ask::OpenToRead(_) | Ask::OpenFolder(_) => Self::Handle,
            Ask::Read { length, .. } => Self::Data { longest: length },
            Ask::ReadFolder(_) => Self::Names,
            Ask::Stat(_) | Ask::LinkStat(_) | Ask::HandleStat(_) => Self::Attributes,
            Ask::Close(_) | Ask::Remove(_) | Ask::MakeFolder(_) | Ask::RemoveFolder(_) | Ask::Rename(..) => Self::Done,
        }
    }

    fn admits(self, reply: &Reply) -> Result<(), Garbage> {
        match (self, reply) {
            (Self::Data { longest }, Reply::Data(packet)) => match packet.len() - super::wire::DATA_AT {
                0 => Err(Garbage("data without a byte")),
                length if length > longest as usize => Err(Garbage("more data than was asked for")),
                _ => Ok(()),
            },
            (Self::Done, Reply::Status { .. })
            | (Self::Handle, Reply::Handle(_))
            | (Self::Names, Reply::Names(_))
            | (Self::Attributes, Reply::Attributes(_)) => Ok(()),
            (_, Reply::Status { code: 0, .. }) => Err(Garbage("a yes where an answer was asked for")),
            (_, Reply::Status { .. }) => Ok(()),
            _ => Err(Garbage("the answer to another question")),
        }
    }
}

struct Waiter {
    inbox: Sender<Delivery>,
    /// Which of the requests of its inbox this is.
    ticket: u64,
    expected: Expected,
}

type Delivery = Result<(u64, Reply), Broken>;

#[derive(Default)]
struct State {
    waiting: HashMap<u32, Waiter>,
    next: u32,
    broken: Option<Broken>,
    greeted: bool,
}

/// What the session task and those who ask share.
pub(super) struct Shared {
    state: Mutex<State>,
    received: AtomicU64,
    greeting: Sender<Result<(), Broken>>,
}

impl Shared {
    /// With the receiver of the greeting.
    pub(super) fn new() -> (Arc<Self>, Receiver<Result<(), Broken>>) {
        let (greeting, greeted) = channel();
        (Arc::new(Self { state: Mutex::default(), received: AtomicU64::new(0), greeting }), greeted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the conversation for everybody; the first reason stays.
    pub(super) fn end(&self, why: &str) {
        let mut state = self.state();
        let broken = state.broken.get_or_insert_with(|| Broken(why.to_owned())).clone();
        let _ = self.greeting.send(Err(broken.clone()));
        for (_, waiter) in state.waiting.drain() {
            let _ = waiter.inbox.send(Err(broken.clone()));
        }
    }

    pub(super) fn broken(&self) -> Option<Broken> {
        self.state().broken.clone()
    }

    fn take(&self, packet: Vec<u8>) -> Result<(), Garbage> {
        let mut state = self.state();
        if !state.greeted {
            read_version(&packet)?;
            state.greeted = true;
            let _ = self.greeting.send(Ok(()));
            return Ok(());
        }
        let (id, reply) = read_reply(packet)?;
        // Taken out only when it is answered: who waits for garbage has to be told of the end too.
        let waiter = state.waiting.get(&id).ok_or(Garbage("an answer that nobody asked for"))?;
        waiter.expected.admits(&reply)?;
        let Some(waiter) = state.waiting.remove(&id) else { return Ok(()) };
        // Nobody may be interested any more.
        let _ = waiter.inbox.send(Ok((waiter.ticket, reply)));
        Ok(())
    }
}

/// Cuts what arrives into packets.
pub(super) struct Incoming {
    shared: Arc<Shared>,
    packet: Vec<u8>,
    /// Bytes of the present packet with its length; zero while the length itself is on its way.
    wanted: usize,
}

impl Incoming {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, packet: Vec::new(), wanted: 0 }
    }

    /// Takes what arrived. An error ends the session.
    pub(super) fn push(&mut self, mut data: &[u8]) -> Result<(), Garbage> {
        self.shared.received.fetch_add(data.len() as u64, Ordering::Relaxed);
        while !data.is_empty() {
            let missing = if self.wanted == 0 { 4 - self.packet.len() } else { self.wanted - self.packet.len() };
            let (now, later) = data.split_at(missing.min(data.len()));
            self.packet.extend_from_slice(now);
            data = later;
            if self.wanted == 0 && self.packet.len() == 4 {
                let length = self.packet.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                if !(1..=LONGEST_REPLY).contains(&length) {
                    return Err(Garbage("a packet of an impossible length"));
                }
                self.wanted = length;
                self.packet = Vec::with_capacity(length);
            } else if self.wanted > 0 && self.packet.len() == self.wanted {
                self.wanted = 0;
                self.shared.take(std::mem::take(&mut self.packet))?;
            }
        }
        Ok(())
    }
}

/// The asking side; cheap to clone, one for each handle.
#[derive(Clone)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
    outgoing: UnboundedSender<Vec<u8>>,
    /// How long the session may bring less than `LEAST_BYTES_A_SECOND` while somebody waits.
    deadline: Duration,
}

/// Where the replies to one user's requests arrive, in the order of the server.
pub(super) struct Inbox {
    sender: Sender<Delivery>,
    receiver: Receiver<Delivery>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver }
    }
}

impl Exchange {
    pub(super) fn new(shared: Arc<Shared>, outgoing: UnboundedSender<Vec<u8>>, deadline: Duration) -> Self {
        Self { shared, outgoing, deadline }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.shared.broken().is_some()
    }

    /// Sends a request; its reply arrives in `inbox` with `ticket`.
    pub(super) fn ask(&self, ask: Ask<'_>, inbox: &Inbox, ticket: u64) -> Result<(), Broken> {
        let mut state = self.shared.state();
        if let Some(broken) = &state.broken {
            return Err(broken.clone());
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        let waiter = Waiter { inbox: inbox.sender.clone(), ticket, expected: Expected::of(ask) };
        state.waiting.insert(id, waiter);
        // Within the lock, so that the ids leave in their order.
        self.outgoing.send(ask.packet(id)).map_err(|_| Broken("the session has ended".to_owned()))
    }

    /// The next reply of `inbox`. A session that brings nothing, or next to nothing, is given up.
    pub(super) fn next(&self, inbox: &Inbox) -> Result<(u64, Reply), Broken> {
        loop {
            let before = self.shared.received.load(Ordering::Relaxed);
            match inbox.receiver.recv_timeout(self.deadline) {
                Ok(delivery) => return delivery,
                Err(RecvTimeoutError::Disconnected) => return Err(Broken("the session has ended".to_owned())),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(broken) = self.shared.broken() {
                        return Err(broken);
                    }
                    let got = self.shared.received.load(Ordering::Relaxed) - before;
                    if got < LEAST_BYTES_A_SECOND * self.deadline.as_secs().max(1) {
                        let within = self.deadline;
                        self.shared.end(&format!("{got} bytes arrived within {within:?}, less than 1 KiB a second"));
                    }
                }
            }
        }
    }

    /// Asks and waits for the one reply.
    pub(super) fn answer(&self, ask: Ask<'_>) -> Result<Reply, Broken> {
        let inbox = Inbox::new();
        self.ask(ask, &inbox, 0)?;
        self.next(&inbox).map(|(_, reply)| reply)
    }

    /// Asks for something whose outcome changes nothing.
    pub(super) fn tell(&self, ask: Ask<'_>) {
        let _ = self.ask(ask, &Inbox::new(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(packet: &[u8]) -> Vec<u8> {
        [&u32::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
    }

    struct Talk {
        exchange: Exchange,
        incoming: Incoming,
        inbox: Inbox,
        _sent: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
    }

    fn talk() -> Talk {
        let (shared, _greeted) = Shared::new();
        let (outgoing, sent) = tokio::sync::mpsc::unbounded_channel();
        let mut incoming = Incoming::new(shared.clone());
        incoming.push(&framed(&[2, 0, 0, 0, 3])).unwrap();
        let exchange = Exchange::new(shared, outgoing, Duration::from_millis(20));
        Talk { exchange, incoming, inbox: Inbox::new(), _sent: sent }
    }

    const DATA: [u8; 11] = [103, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b'];

    #[test]
    fn a_reply_may_come_byte_by_byte() {
        let mut talk = talk();
        talk.exchange.ask(Ask::Read { handle: b"h", offset: 0, length: 2 }, &talk.inbox, 7).unwrap();
        for byte in framed(&DATA) {
            talk.incoming.push(&[byte]).unwrap();
        }
        assert_eq!(talk.exchange.next(&talk.inbox), Ok((7, Reply::Data(DATA.to_vec()))));
    }

    #[test]
    fn f30_what_nobody_asked_for_ends_the_session() {
        let garbage = |ask: Option<Ask<'_>>, packet: &[u8]| {
            let mut talk = talk();
            if let Some(ask) = ask {
                talk.exchange.ask(ask, &talk.inbox, 0).unwrap();
            }
            let garbage = talk.incoming.push(&framed(packet)).unwrap_err();
            talk.exchange.shared.end(&garbage.to_string());
            if ask.is_some() {
                assert!(talk.exchange.next(&talk.inbox).is_err(), "who waits is told");
            }
            garbage.0
        };
        let read = Ask::Read { handle: b"h", offset: 0, length: 1 };
        assert_eq!(garbage(None, &DATA), "an answer that nobody asked for");
        assert_eq!(garbage(Some(read), &DATA), "more data than was asked for");
        assert_eq!(garbage(Some(read), &DATA[..8]), "a reply that is cut off");
        assert_eq!(garbage(Some(read), &[103, 0, 0, 0, 0, 0, 0, 0, 0]), "data without a byte");
        assert_eq!(garbage(Some(Ask::OpenToRead(b"x")), &DATA), "the answer to another question");
        let yes = [101, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(garbage(Some(Ask::OpenToRead(b"x")), &yes), "a yes where an answer was asked for");
        let mut talk = talk();
        assert_eq!(talk.incoming.push(&[255; 4]).unwrap_err().0, "a packet of an impossible length");
    }

    #[test]
    fn silence_ends_the_session_for_everybody() {
        let talk = talk();
        talk.exchange.ask(Ask::Remove(b"x"), &talk.inbox, 0).unwrap();
        let broken = talk.exchange.next(&talk.inbox).unwrap_err();
        assert_eq!(broken.0, "0 bytes arrived within 20ms, less than 1 KiB a second");
        assert_eq!(talk.exchange.answer(Ask::Remove(b"y")), Err(broken));
    }
}
