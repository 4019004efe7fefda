//! The system clock. The only place that asks the machine for the time of day.

use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
