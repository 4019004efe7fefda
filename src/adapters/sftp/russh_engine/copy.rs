//! Copying one file with many reads in flight: as many as the way is long, in order, to the end that the server shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::exchange::{Broken, Exchange, Inbox};
use super::wire::{Ask, DATA_AT, END, LONGEST_READ, Reply};

/// Reads in flight on a way without latency; with it, up to four times as many.
const LEAST_IN_FLIGHT: usize = 16;
/// Bytes in flight at most; the reads are smaller where the server answers short.
const MOST_BYTES_IN_FLIGHT: usize = 16 << 20;
/// Requests in flight at most, however short the server answers.
const MOST_IN_FLIGHT: usize = 256;
/// What every server answers (the draft asks for it).
const SAFE_READ: u32 = 32 << 10;
/// A server that answers shorter than this has a hiccup, not a limit.
const SHORTEST_READ: u32 = 4 << 10;

/// The ticket of the question for the size; slots count from zero.
const SIZE: u64 = u64::MAX;

/// Why a copy stopped.
pub(super) enum Stopped {
    Broken(Broken),
    Refused { code: u32, message: String },
    Sink(std::io::Error),
}

impl From<Broken> for Stopped {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// One stretch of the file, delivered in order.
struct Slot {
    offset: u64,
    wanted: u32,
    /// What has arrived of it and was not delivered yet.
    parts: Vec<Vec<u8>>,
    received: u32,
    state: SlotState,
}

#[derive(PartialEq)]
enum SlotState {
    Asked,
    Whole,
    /// The file ends within it, or before it.
    End,
}

/// Reads an open file from `start` to its end into `sink`; gives where the end is.
pub(super) fn copy(
    exchange: &Exchange,
    handle: &[u8],
    start: u64,
    latency: Duration,
    sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<u64, Stopped> {
    let mut copy = Copy {
        exchange,
        handle,
        inbox: Inbox::new(),
        slots: VecDeque::new(),
        first: 0,
        next_offset: start,
        done: start,
        length: LONGEST_READ,
        full_seen: false,
        size: None,
        limit: in_flight(latency),
        ended: false,
    };
    exchange.ask(Ask::HandleStat(handle), &copy.inbox, SIZE)?;
    copy.fill()?;
    loop {
        let (ticket, reply) = exchange.next(&copy.inbox)?;
        copy.take(ticket, reply)?;
        if copy.deliver(sink)? {
            return Ok(copy.done);
        }
        copy.fill()?;
    }
}

/// A way of 20 ms is full with 16 MiB.
fn in_flight(latency: Duration) -> usize {
    LEAST_IN_FLIGHT + usize::try_from(latency.as_millis() * 4).unwrap_or(usize::MAX).min(3 * LEAST_IN_FLIGHT)
}

struct Copy<'a> {
    exchange: &'a Exchange,
    handle: &'a [u8],
    inbox: Inbox,
    slots: VecDeque<Slot>,
    /// The ticket of the first slot.
    first: u64,
    next_offset: u64,
    done: u64,
    /// Bytes asked for at once: less once the server has shown that it answers short.
    length: u32,
    full_seen: bool,
    /// What the server claims. It only says how many reads are worth sending; the end is where no more comes.
    size: Option<u64>,
    limit: usize,
    /// Some read has met the end.
    ended: bool,
}

impl Copy<'_> {
    /// Sends as many reads as the claimed size is worth, and one behind it that shows the end.
    fn fill(&mut self) -> Result<(), Broken> {
        // Until the size is known, one: most files are small.
        let (size, limit) = self.size.map_or((0, 1), |size| (size, self.limit()));
        while !self.ended && self.slots.len() < limit && (self.next_offset <= size || self.size.is_none()) {
            let left = u32::try_from(size.saturating_sub(self.next_offset)).unwrap_or(u32::MAX);
            let wanted = if left == 0 { self.length } else { left.min(self.length) };
            let ticket = self.first + self.slots.len() as u64;
            let offset = self.next_offset;
            self.exchange.ask(Ask::Read { handle: self.handle, offset, length: wanted }, &self.inbox, ticket)?;
            self.next_offset = offset.saturating_add(u64::from(wanted));
            self.slots.push_back(Slot { offset, wanted, parts: Vec::new(), received: 0, state: SlotState::Asked });
        }
        Ok(())
    }

    fn limit(&self) -> usize {
        let bytes = (self.limit * LONGEST_READ as usize).min(MOST_BYTES_IN_FLIGHT);
        (bytes / self.length as usize).clamp(LEAST_IN_FLIGHT, MOST_IN_FLIGHT)
    }

    fn take(&mut self, ticket: u64, reply: Reply) -> Result<(), Stopped> {
        if ticket == SIZE {
            // Without a size the end is found by looking for it, at full speed.
            self.size = Some(match reply {
                Reply::Attributes(attributes) => attributes.size.unwrap_or(u64::MAX),
                _ => u64::MAX,
            });
            return Ok(());
        }
        let at = ticket.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(slot) = at.and_then(|at| self.slots.get_mut(at)) else { return Ok(()) };
        match reply {
            Reply::Data(packet) => {
                let got = u32::try_from(packet.len() - DATA_AT).unwrap_or(u32::MAX);
                slot.received += got;
                slot.parts.push(packet);
                let offset = slot.offset + u64::from(slot.received);
                if self.size.is_some_and(|size| offset > size) {
                    self.size = Some(u64::MAX);
                }
                if slot.received == slot.wanted {
                    slot.state = SlotState::Whole;
                    self.full_seen |= got == self.length;
                    return Ok(());
                }
                let length = slot.wanted - slot.received;
                if !self.full_seen {
                    self.length = self.length.min(got.max(SHORTEST_READ));
                }
                Ok(self.exchange.ask(Ask::Read { handle: self.handle, offset, length }, &self.inbox, ticket)?)
            }
            Reply::Status { code: END, .. } => {
                slot.state = SlotState::End;
                self.ended = true;
                Ok(())
            }
            // Some servers refuse long reads instead of answering short.
            Reply::Status { .. } if slot.wanted > SAFE_READ && self.done == slot.offset && !self.full_seen => {
                self.length = SAFE_READ;
                self.first += self.slots.len() as u64;
                self.slots.clear();
                self.next_offset = self.done;
                Ok(())
            }
            Reply::Status { code, message } => Err(Stopped::Refused { code, message }),
            _ => Ok(()),
        }
    }

    /// Hands on what is whole at the front; true at the end of the file.
    fn deliver(&mut self, sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> Result<bool, Stopped> {
        while let Some(slot) = self.slots.front_mut() {
            for part in slot.parts.drain(..) {
                let bytes = part.get(DATA_AT..).unwrap_or_default();
                sink(bytes).map_err(Stopped::Sink)?;
                self.done += bytes.len() as u64;
            }
            match slot.state {
                SlotState::Asked => return Ok(false),
                SlotState::End => return Ok(true),
                SlotState::Whole => {
                    self.slots.pop_front();
                    self.first += 1;
                }
            }
        }
        Ok(false)
    }
}

/// How long one request takes, for the number of reads in flight.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    (work(), begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_way_has_more_in_flight() {
        assert_eq!([0, 1, 5, 20, 300].map(|ms| in_flight(Duration::from_millis(ms))), [16, 20, 36, 64, 64]);
    }
}
