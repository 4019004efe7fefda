//! How many batches are written down ahead of their slots, so that many share a commit where the target is quick.
//!
//! Only where a crash between the commit and the first byte costs nothing: where a batch is sent again by itself under its key, and
//! where no rate gives every request its instant.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::domain::job::{HttpConnection, OnUnanswered, Target};

/// As many as the target answers in this time are written down ahead.
const SPAN: Duration = Duration::from_millis(20);

/// The most that is written down ahead.
const MOST: usize = 128;

/// The slots of a delivery, and how far it looks ahead of them.
pub(super) struct Ahead {
    slots: usize,
    free: Arc<Semaphore>,
    is_allowed: bool,
    size: usize,
    committed_at: Instant,
}

impl Ahead {
    pub(super) fn new(connection: &HttpConnection, target: &Target) -> Self {
        let slots = connection.rate.concurrency.max(1) as usize;
        let sends_again = target.idempotency.is_some() && target.on_unanswered == OnUnanswered::Resend;
        Self {
            slots,
            free: Arc::new(Semaphore::new(slots)),
            is_allowed: sends_again && !connection.rate.is_limited(),
            size: 0,
            committed_at: Instant::now(),
        }
    }

    /// A request holds one of these while it is under way.
    pub(super) fn slots(&self) -> Arc<Semaphore> {
        self.free.clone()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many may be written down without an answer.
    pub(super) fn most(&self) -> usize {
        self.slots + self.size
    }

    /// Follows how fast answers come: `finished` since the last commit.
    pub(super) fn commits(&mut self, finished: usize, now: Instant) {
        if self.is_allowed && finished > 0 {
            let took = now.duration_since(self.committed_at).max(Duration::from_micros(100));
            self.size = ((finished as f64 * SPAN.as_secs_f64() / took.as_secs_f64()) as usize).min(MOST);
        }
        self.committed_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(is_allowed: bool, committed_at: Instant) -> Ahead {
        Ahead { slots: 4, free: Arc::new(Semaphore::new(4)), is_allowed, size: 0, committed_at }
    }

    #[test]
    fn a_quick_target_is_looked_ahead_of_and_a_slow_one_is_not() {
        let start = Instant::now();
        let mut quick = ahead(true, start);
        quick.commits(4, start + Duration::from_millis(4));
        assert_eq!(quick.most(), 4 + 20);
        quick.commits(24, start + Duration::from_millis(5));
        assert_eq!(quick.most(), 4 + MOST);
        quick.commits(2, start + Duration::from_millis(500));
        assert_eq!(quick.most(), 4);
        let mut without_key = ahead(false, start);
        without_key.commits(4, start + Duration::from_millis(4));
        assert_eq!(without_key.most(), 4);
    }
}
