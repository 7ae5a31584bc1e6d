//! How long to wait before the next attempt: the policy of docs/RECOVERY.md as a value without I/O or clock.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::settings::Settings;
use crate::config::Budget;

/// A watch that worked is opened again after a random part of this time, so that many clients do not
/// reconnect at once.
const AT_ONCE: Duration = Duration::from_millis(100);

/// While the server does not answer, the wait is this fraction (1/6) of the outage so far, within these
/// bounds.
const SHARE: u32 = 6;
const SHORTEST: Duration = Duration::from_millis(50);
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// The wait after a refusal, doubled each time up to the longest.
const FIRST_REFUSAL: Duration = Duration::from_millis(800);

/// The longest `Retry-After` that is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long to wait, depending on what has happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// A watch that worked has ended: retry at once, within the budget.
    AtOnce,
    /// The server does not answer: wait a share of the outage so far.
    Unreachable,
    /// The server refuses: wait longer each time.
    Refused,
    /// The interval between two lists of a kind that is not watched.
    Poll,
    /// The interval between two checks for an absent kind.
    Absent,
}

/// The attempts since the last success, and the remaining budgets.
pub(super) struct Recovery {
    watches: Bucket,
    lists: Bucket,
    poll: Duration,
    longest_refusal: Duration,
    absent_poll: Duration,
    /// Since when nothing has gone well.
    troubled_since: Option<Instant>,
    /// When the last attempt began. The time that an attempt hangs counts as waiting.
    attempted: Option<Instant>,
    refusals: u32,
    random: SmallRng,
}

/// A budget and its current level. It fills again over time.
#[derive(Debug)]
struct Bucket {
    budget: Budget,
    /// When it is full again.
    full: Option<Instant>,
}

// === impl Recovery ===

impl Recovery {
    pub(super) fn new(settings: &Settings) -> Self {
        let config = &settings.config;
        Self {
            watches: Bucket::new(config.watches),
            lists: Bucket::new(config.lists),
            poll: config.poll,
            longest_refusal: config.longest_refusal,
            absent_poll: settings.absent_poll,
            troubled_since: None,
            attempted: None,
            refusals: 0,
            random: config.seed.map_or_else(|| SmallRng::from_rng(&mut rand::rng()), SmallRng::seed_from_u64),
        }
    }

    /// The informer follows the server again: resets the waits.
    pub(super) fn progress(&mut self) {
        self.troubled_since = None;
        self.refusals = 0;
    }

    /// A list succeeded, so the server answers. Whether it can be watched is not known yet.
    pub(super) fn listed(&mut self) {
        self.troubled_since = None;
    }

    /// Something failed or ended.
    pub(super) fn failed(&mut self, now: Instant) {
        self.troubled_since.get_or_insert(now);
    }

    /// A wait is over, and an attempt is made.
    pub(super) fn attempts(&mut self, now: Instant) {
        self.attempted = Some(now);
    }

    /// When the last attempt began.
    pub(super) fn attempted(&self, now: Instant) -> Instant {
        self.attempted.unwrap_or(now)
    }

    /// Since when nothing has gone well.
    pub(super) fn troubled_since(&self, now: Instant) -> Instant {
        self.troubled_since.unwrap_or(now)
    }

    /// How long to wait now, never less than the server asks for. Counts as one wait at that pace.
    pub(super) fn delay(&mut self, pace: Pace, retry_after: Option<Duration>, now: Instant) -> Duration {
        let delay = match pace {
            Pace::AtOnce => {
                let spread = AT_ONCE.mul_f64(self.random.random_range(0.0..=1.0));
                spread.max(self.watches.take(now))
            }
            Pace::Unreachable => {
                let factor = self.factor();
                next_try(self.troubled_since(now), self.attempted(now), now, LONGEST, factor)
            }
            Pace::Refused => {
                let whole =
                    FIRST_REFUSAL.saturating_mul(1_u32.checked_shl(self.refusals).unwrap_or(u32::MAX));
                if whole < self.longest_refusal {
                    self.refusals += 1;
                }
                self.spread(whole.min(self.longest_refusal) / 2)
            }
            Pace::Poll => self.poll.mul_f64(self.random.random_range(0.9..=1.1)),
            Pace::Absent => self.absent_poll.mul_f64(self.random.random_range(1.0..=1.25)),
        };
        delay.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }

    /// How long until a list may be made.
    pub(super) fn until_list(&self, now: Instant) -> Duration {
        self.lists.until(now)
    }

    /// A list was made, or failed after it cost the server work.
    pub(super) fn spend_list(&mut self, now: Instant) {
        self.lists.spend(now);
    }

    /// The random factor of waits that are a share of the outage.
    pub(super) fn factor(&mut self) -> f64 {
        self.random.random_range(0.5..=1.5)
    }

    /// A random time between `least` and twice that.
    pub(super) fn spread(&mut self, least: Duration) -> Duration {
        least.mul_f64(self.random.random_range(1.0..=2.0))
    }

    /// A random time up to `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.random_range(0.0..=1.0))
    }
}

/// How long to wait after an attempt that got no answer: a share of the outage, counted from when the attempt began.
pub(super) fn next_try(
    since: Instant,
    attempted: Instant,
    now: Instant,
    longest: Duration,
    factor: f64,
) -> Duration {
    let share = (now.duration_since(since) / SHARE).clamp(SHORTEST, longest).mul_f64(factor);
    share.saturating_sub(now.duration_since(attempted)).max(SHORTEST.mul_f64(factor))
}

// === impl Bucket ===

impl Bucket {
    fn new(budget: Budget) -> Self {
        Self { budget, full: None }
    }

    /// The time until one more can be spent.
    fn until(&self, now: Instant) -> Duration {
        // After a full burst was spent, it takes `burst` times `every` to be full again.
        let Budget { burst, every } = self.budget;
        let missing = self.full.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        (missing + every).saturating_sub(every.saturating_mul(burst))
    }

    fn spend(&mut self, at: Instant) {
        self.full = Some(self.full.map_or(at, |full| full.max(at)) + self.budget.every);
    }

    /// Spends one, now or as soon as one is available, and returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let until = self.until(now);
        self.spend(now);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn recovery() -> Recovery {
        Recovery::new(&Settings { config: Config::new().jitter_seed(7), ..Settings::default() })
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn what_is_refused_waits_twice_as_long_each_time_up_to_30_seconds_until_there_is_progress() {
        let (mut recovery, now) = (recovery(), Instant::now());
        let mut next = || recovery.delay(Pace::Refused, None, now).as_secs_f64();
        for expected in [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0] {
            let waited = next();
            assert!((expected / 2.0..=expected).contains(&waited), "{waited} is not within {expected}");
        }
        recovery.listed();
        assert!(
            recovery.delay(Pace::Refused, None, now) >= seconds(15.0),
            "a list is no progress of a watch"
        );
        recovery.progress();
        assert!(recovery.delay(Pace::Refused, None, now) <= seconds(0.8));
    }

    #[test]
    fn an_outage_is_waited_for_in_shares_of_its_length() {
        let (mut recovery, start) = (recovery(), Instant::now());
        recovery.failed(start);
        for (outage, share) in [(0.0, 0.05), (0.1, 0.05), (3.0, 0.5), (24.0, 4.0), (40.0, 5.0), (9000.0, 5.0)]
        {
            let now = start + seconds(outage);
            recovery.failed(now); // not the first one
            let waits = (0..100).map(|_| recovery.delay(Pace::Unreachable, None, now).as_secs_f64());
            let (least, most) =
                waits.fold((f64::MAX, 0.0_f64), |(least, most), wait| (least.min(wait), most.max(wait)));
            assert!((0.499 * share..0.7 * share).contains(&least), "{outage}: {least}");
            assert!((1.3 * share..1.501 * share).contains(&most), "{outage}: {most}");
        }
        let now = start + seconds(9000.0);
        recovery.attempts(now - seconds(4.0));
        let waits = (0..100).map(|_| recovery.delay(Pace::Unreachable, None, now).as_secs_f64());
        assert!(waits.fold(0.0, f64::max) <= 3.501, "an attempt that hangs is a wait in itself");
        recovery.listed();
        assert!(recovery.delay(Pace::Unreachable, None, start + seconds(9001.0)) <= seconds(0.075));
    }

    #[test]
    fn ten_watches_are_opened_at_once_and_then_one_a_second() {
        let (mut recovery, start) = (recovery(), Instant::now());
        let mut now = start;
        let mut opened = 0;
        // A proxy that cuts each watch at once.
        while now < start + seconds(60.0) {
            now += recovery.delay(Pace::AtOnce, None, now);
            opened += 1;
        }
        assert!((60..=71).contains(&opened), "{opened}");
        let first = |recovery: &mut Recovery, now| recovery.delay(Pace::AtOnce, None, now);
        assert!(first(&mut recovery, now) > AT_ONCE);
        let rested = now + seconds(30.0);
        for _ in 0..10 {
            assert!(first(&mut recovery, rested) <= AT_ONCE, "after a rest there is a burst again");
        }
        assert!(first(&mut recovery, rested) > seconds(0.9));
    }

    #[test]
    fn three_lists_are_made_at_once_and_then_one_in_10_seconds() {
        let (mut recovery, start) = (recovery(), Instant::now());
        let mut times = Vec::new();
        let mut now = start;
        for _ in 0..6 {
            now += recovery.until_list(now);
            recovery.spend_list(now);
            times.push((now - start).as_secs());
        }
        assert_eq!(times, [0, 0, 0, 10, 20, 30]);
    }

    #[test]
    fn retry_after_is_obeyed_within_reason() {
        let (mut recovery, now) = (recovery(), Instant::now());
        for pace in [Pace::AtOnce, Pace::Unreachable, Pace::Refused, Pace::Poll, Pace::Absent] {
            assert_eq!(recovery.delay(pace, Some(seconds(45.0)), now), seconds(45.0));
            assert_eq!(recovery.delay(pace, Some(Duration::MAX), now), LONGEST_RETRY_AFTER);
        }
    }

    #[test]
    fn one_seed_makes_the_same_choices() {
        let choices = |mut recovery: Recovery| {
            (0..20).map(|_| recovery.delay(Pace::Poll, None, Instant::now())).collect::<Vec<_>>()
        };
        assert_eq!(choices(recovery()), choices(recovery()));
        let other = Settings { config: Config::new(), ..Settings::default() };
        assert_ne!(choices(recovery()), choices(Recovery::new(&other)));
    }
}
