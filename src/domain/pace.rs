//! How fast a connection may be used, and whether it may be used at all. Pure; the ledger keeps one `Traffic` for each connection,
//! so that every process and every job obeys the same one.
//!
//! Instants are Unix microseconds, lengths are microseconds.

/// Failures in a row after which a connection is only probed.
const OPENS_AFTER: u32 = 5;

/// A clock that is this far behind the latest that was seen was set back, and is not merely late.
const SET_BACK: i64 = 2_000_000;

/// How long a delivery that found no seat counts as waiting for one, without asking again.
pub const ASKS_FOR: i64 = 1_000_000;

/// `rate` of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Most requests under way at once, over all jobs and processes.
    pub concurrency: u32,
    /// Most requests a second; `None`: no limit.
    pub per_second: Option<u32>,
    /// Most requests a minute; `None`: no limit.
    pub per_minute: Option<u32>,
    /// How many may leave at once after a quiet time; the pace is even otherwise.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { concurrency: 4, per_second: None, per_minute: None, burst: 1 }
    }
}

impl Rate {
    /// Whether it limits how many may leave in a time.
    pub fn is_limited(&self) -> bool {
        self.gap().is_some()
    }

    /// The time from one request to the next: the longer of what both limits ask for.
    fn gap(&self) -> Option<i64> {
        let second = self.per_second.map(|limit| i64::from(1_000_000_u32.div_ceil(limit.max(1))));
        let minute = self.per_minute.map(|limit| i64::from(60_000_000_u32.div_ceil(limit.max(1))));
        second.max(minute)
    }
}

/// What a request says about the health of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered, whatever it said of the records.
    Alive,
    /// It could not be reached, did not answer, or answered with a fault of its own.
    Failing,
}

/// The traffic of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The first free place in the even stream of requests.
    pub next_place: i64,
    /// The end of a pause that the target asked for.
    pub paused_until: i64,
    /// Failures in a row.
    pub failures: u32,
    /// Once `failures` opened the circuit: when one request may try again.
    pub next_probe: i64,
    /// The latest instant at which this was written.
    pub seen: i64,
}

/// What may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// For each request that may leave, how long from now.
    pub departures: Vec<i64>,
    /// How long to wait before asking for the others.
    pub look_again: Option<i64>,
    /// The target failed so often in a row that it is only probed.
    pub is_open: bool,
}

impl Traffic {
    /// Brings the row to `now`, which is given back; a clock that was set back takes every instant with it, so that no pause
    /// outlives what was asked for.
    fn advance_to(&mut self, now: i64) -> i64 {
        if self.seen - now > SET_BACK {
            let by = self.seen - now;
            for at in [&mut self.next_place, &mut self.paused_until, &mut self.next_probe] {
                *at -= by;
            }
            self.seen = now;
        }
        self.seen = self.seen.max(now);
        self.seen
    }

    /// Nothing leaves for `wait`; never shortens a pause.
    pub fn pause(&mut self, now: i64, wait: i64) {
        let now = self.advance_to(now);
        self.paused_until = self.paused_until.max(now + wait);
    }

    /// Takes note of how a request ended. `probe_every` is the time between two probes of a target that fails.
    pub fn hear(&mut self, health: Health, now: i64, probe_every: i64) {
        let now = self.advance_to(now);
        match health {
            Health::Alive => (self.failures, self.next_probe) = (0, 0),
            Health::Failing => {
                self.failures = self.failures.saturating_add(1);
                if self.is_open() {
                    self.next_probe = now + probe_every;
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        self.failures >= OPENS_AFTER
    }

    /// Which of `wanted` requests may leave within `horizon` from now. Their places are taken.
    pub fn admit(&mut self, rate: &Rate, wanted: usize, now: i64, horizon: i64, probe_every: i64) -> Admission {
        let now = self.advance_to(now);
        let is_open = self.is_open();
        let shut_until = self.paused_until.max(if is_open { self.next_probe } else { 0 });
        if wanted == 0 || shut_until > now {
            let look_again = (shut_until > now).then_some(shut_until - now);
            return Admission { departures: Vec::new(), look_again, is_open };
        }
        let wanted_now = if is_open { 1 } else { wanted };
        let (departures, mut look_again) = self.places(rate, wanted_now, now, horizon);
        if is_open && !departures.is_empty() {
            self.next_probe = now + probe_every;
            look_again = Some(probe_every);
        }
        Admission { departures, look_again, is_open }
    }

    /// Places in the even stream, of which `burst` may be taken at once.
    fn places(&mut self, rate: &Rate, wanted: usize, now: i64, horizon: i64) -> (Vec<i64>, Option<i64>) {
        let Some(gap) = rate.gap() else { return (vec![0; wanted], None) };
        let ahead = gap * i64::from(rate.burst.max(1) - 1);
        let mut departures = Vec::with_capacity(wanted);
        while departures.len() < wanted {
            let at = now.max(self.next_place - ahead);
            if at - now > horizon {
                return (departures, Some(at - now));
            }
            departures.push(at - now);
            self.next_place = self.next_place.max(at) + gap;
        }
        (departures, None)
    }
}

/// What one delivery has of a connection's `concurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Requests under way.
    pub taken: u32,
    /// It would send more.
    pub wants: bool,
    /// When it was last given a seat.
    pub served_at: i64,
}

/// How many more seats a delivery may take: all that are free, or its share while others want some too. Where there are fewer
/// seats than deliveries, whoever was served longest ago comes first.
pub fn seats(concurrency: u32, mine: Seat, others: &[Seat]) -> u32 {
    let taken = mine.taken + others.iter().map(|seat| seat.taken).sum::<u32>();
    let free = concurrency.saturating_sub(taken);
    let waiting = others.iter().filter(|seat| seat.wants);
    let sharers = 1 + waiting.clone().count() as u32;
    if sharers == 1 {
        return free;
    }
    let share = concurrency.div_ceil(sharers).max(1);
    let first = waiting.filter(|seat| seat.taken == 0 && (mine.taken > 0 || seat.served_at < mine.served_at)).count();
    free.saturating_sub(first as u32).min(share.saturating_sub(mine.taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const MINUTE: i64 = 60 * SECOND;
    const NOW: i64 = 1_700_000_000 * SECOND;

    fn rate(per_second: Option<u32>, per_minute: Option<u32>, burst: u32) -> Rate {
        Rate { concurrency: 4, per_second, per_minute, burst }
    }

    fn admitted(traffic: &mut Traffic, rate: &Rate, wanted: usize, now: i64) -> (Vec<i64>, Option<i64>) {
        let admission = traffic.admit(rate, wanted, now, SECOND / 4, MINUTE);
        (admission.departures, admission.look_again)
    }

    #[test]
    fn requests_leave_evenly_in_blocks_that_are_taken_at_once() {
        let mut traffic = Traffic::default();
        let ten = rate(Some(10), None, 1);
        assert_eq!(admitted(&mut traffic, &ten, 4, NOW), (vec![0, 100_000, 200_000], Some(300_000)));
        assert_eq!(admitted(&mut traffic, &ten, 4, NOW + 100_000), (vec![200_000], Some(300_000)));
        assert_eq!(admitted(&mut traffic, &rate(None, None, 1), 3, NOW), (vec![0, 0, 0], None));
    }

    #[test]
    fn a_burst_leaves_at_once_and_is_earned_again_by_quiet() {
        let mut traffic = Traffic::default();
        let burst = rate(Some(2), None, 3);
        assert_eq!(admitted(&mut traffic, &burst, 5, NOW), (vec![0, 0, 0], Some(SECOND / 2)));
        assert_eq!(admitted(&mut traffic, &burst, 5, NOW + 10 * SECOND), (vec![0, 0, 0], Some(SECOND / 2)));
    }

    #[test]
    fn of_two_limits_the_stricter_counts() {
        assert_eq!(rate(Some(10), Some(60), 1).gap(), Some(SECOND));
        assert_eq!(rate(Some(1), Some(600), 1).gap(), Some(SECOND));
    }

    #[test]
    fn over_any_stretch_no_more_leave_than_the_rate_and_the_burst_allow() {
        let (mut traffic, rate) = (Traffic::default(), rate(Some(7), None, 4));
        let mut left = Vec::new();
        for step in 0..400 {
            let now = NOW + step * 37_000;
            left.extend(admitted(&mut traffic, &rate, 3, now).0.into_iter().map(|delay| now + delay));
        }
        for (at, first) in left.iter().enumerate() {
            let within = left[at..].iter().take_while(|leaves| *leaves - first < SECOND).count();
            assert!(within <= 7 + 4, "{within} in a second");
        }
        assert!(left.len() >= 100, "{}: it is not slower than the rate either", left.len());
    }

    #[test]
    fn a_pause_holds_everybody_and_is_never_shortened() {
        let mut traffic = Traffic::default();
        traffic.pause(NOW, 30 * SECOND);
        traffic.pause(NOW, SECOND);
        let free = rate(None, None, 1);
        assert_eq!(admitted(&mut traffic, &free, 2, NOW + SECOND), (vec![], Some(29 * SECOND)));
        assert_eq!(admitted(&mut traffic, &free, 2, NOW + 30 * SECOND), (vec![0, 0], None));
    }

    #[test]
    fn a_pause_does_not_outlive_a_clock_that_is_set_back() {
        let mut traffic = Traffic::default();
        let free = rate(None, None, 1);
        traffic.pause(NOW, 30 * SECOND);
        let before = NOW - 3600 * SECOND;
        assert_eq!(admitted(&mut traffic, &free, 1, before), (vec![], Some(30 * SECOND)));
        assert_eq!(admitted(&mut traffic, &free, 1, before + 30 * SECOND), (vec![0], None));
    }

    #[test]
    fn e34_after_five_failures_in_a_row_one_request_a_minute_probes_until_one_is_answered() {
        let (mut traffic, free) = (Traffic::default(), rate(None, None, 1));
        for _ in 0..4 {
            traffic.hear(Health::Failing, NOW, MINUTE);
        }
        assert_eq!(admitted(&mut traffic, &free, 9, NOW).0.len(), 9, "four are not enough");
        traffic.hear(Health::Failing, NOW, MINUTE);
        let mut probes = Vec::new();
        let three_days = 3 * 24 * 60 * 60;
        for second in 0..three_days {
            let now = NOW + second * SECOND;
            if !admitted(&mut traffic, &free, 9, now).0.is_empty() {
                probes.push(second);
                traffic.hear(Health::Failing, now, MINUTE);
            }
        }
        assert!(probes.windows(2).all(|two| two[1] - two[0] >= 60), "at most one a minute");
        assert!(probes.len() >= 4_000, "{}: and one about every minute", probes.len());
        let after = NOW + (three_days + 60) * SECOND;
        assert_eq!(admitted(&mut traffic, &free, 9, after).0.len(), 1);
        assert_eq!(admitted(&mut traffic, &free, 9, after).0.len(), 0, "while the probe is under way");
        traffic.hear(Health::Alive, after, MINUTE);
        assert_eq!(admitted(&mut traffic, &free, 9, after).0.len(), 9);
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let mut traffic = Traffic::default();
        for health in [Health::Failing; 4].into_iter().chain([Health::Alive]).chain([Health::Failing; 4]) {
            traffic.hear(health, NOW, MINUTE);
        }
        assert!(!traffic.is_open());
    }

    #[test]
    fn seats_are_shared_and_the_one_that_waits_longest_comes_first() {
        let seat = |taken, wants, served_at| Seat { taken, wants, served_at };
        assert_eq!(seats(4, seat(1, true, 0), &[]), 3);
        assert_eq!(seats(4, seat(1, true, 0), &[seat(1, false, 0)]), 2, "nobody else wants any");
        assert_eq!(seats(4, seat(3, true, 9), &[seat(0, true, 1)]), 0, "beyond its share");
        assert_eq!(seats(4, seat(0, true, 1), &[seat(2, true, 9)]), 2);
        assert_eq!(seats(1, seat(0, true, 9), &[seat(0, true, 1)]), 0, "the other has waited longer");
        assert_eq!(seats(1, seat(0, true, 1), &[seat(0, true, 9)]), 1);
    }
}
