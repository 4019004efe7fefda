//! Batches that wait for their turn: those that are due leave in the order of the file, the others come due at their instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use crate::ledger::row::BatchId;

/// The queue. Waits are measured by the monotonic clock, so that a wall clock that is set back or ahead changes none.
#[derive(Default)]
pub(super) struct Queue {
    due: BinaryHeap<Reverse<(u64, BatchId)>>,
    later: BinaryHeap<Reverse<(Instant, u64, BatchId)>>,
}

impl Queue {
    pub(super) fn push(&mut self, ordinal: u64, id: BatchId) {
        self.due.push(Reverse((ordinal, id)));
    }

    pub(super) fn push_at(&mut self, at: Instant, ordinal: u64, id: BatchId) {
        self.later.push(Reverse((at, ordinal, id)));
    }

    pub(super) fn len(&self) -> usize {
        self.due.len() + self.later.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes up to `most` batches that are due at `now`, with their ordinals.
    pub(super) fn take_due(&mut self, most: usize, now: Instant) -> Vec<(u64, BatchId)> {
        while let Some(Reverse((at, ordinal, id))) = self.later.peek().copied() {
            if at > now {
                break;
            }
            self.later.pop();
            self.push(ordinal, id);
        }
        let next = std::iter::from_fn(|| self.due.pop());
        next.take(most).map(|Reverse(batch)| batch).collect()
    }

    /// When the next batch is due, if any.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(now);
        }
        self.later.peek().map(|Reverse((at, ..))| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn e34_what_has_come_due_leaves_in_the_order_of_the_file() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        queue.push(7, BatchId(7));
        queue.push_at(after(30), 1, BatchId(1));
        queue.push_at(after(10), 5, BatchId(5));
        queue.push_at(after(99), 0, BatchId(0));
        let ordinals = |taken: Vec<(u64, BatchId)>| taken.into_iter().map(|(ordinal, _)| ordinal).collect::<Vec<_>>();
        assert_eq!(ordinals(queue.take_due(2, after(40))), [1, 5]);
        assert_eq!((ordinals(queue.take_due(9, after(40))), queue.len()), (vec![7], 1));
        assert_eq!(queue.next_at(after(40)), Some(after(99)));
    }
}
