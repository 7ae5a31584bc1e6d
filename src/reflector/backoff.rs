//! How long to wait after a failure: longer each time, at random within bounds, and never less than the server asks.

use std::time::Duration;

use tokio::time::Instant;

use super::options::BackoffOptions;

/// Waiting times that double from failure to failure.
///
/// A success does not start them over, since a list may succeed and its watch fail, again and again; two minutes of
/// health do.
#[derive(Debug)]
pub(super) struct Backoff {
    options: BackoffOptions,
    attempt: u32,
    healthy_since: Option<Instant>,
}

// === impl Backoff ===

impl Backoff {
    pub(super) fn new(options: BackoffOptions) -> Self {
        Self { options, attempt: 0, healthy_since: None }
    }

    /// Things go well from now on, if they did not before.
    pub(super) fn well(&mut self, now: Instant) {
        self.healthy_since.get_or_insert(now);
    }

    /// Something failed. To be told of every failure, also of one that is not waited for.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.healthy_since.take().is_some_and(|since| now.duration_since(since) >= self.options.healthy) {
            self.attempt = 0;
        }
    }

    /// How long to wait: between half of the current waiting time and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let whole = self.options.first.saturating_mul(1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX));
        if whole < self.options.longest {
            self.attempt += 1;
        }
        spread(whole.min(self.options.longest) / 2)
    }

    /// How long to wait when it is known that trying sooner is of no use.
    pub(super) fn longest(&self) -> Duration {
        spread(self.options.longest / 2)
    }

    /// What the server asked for, within reason.
    pub(super) fn obeyed(&self, retry_after: Option<Duration>) -> Duration {
        retry_after.unwrap_or_default().min(self.options.longest_retry_after)
    }
}

/// A time between `least` and twice that.
pub(super) fn spread(least: Duration) -> Duration {
    least.mul_f64(rand::random_range(1.0..=2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: Instant, seconds: u64) -> Instant {
        base + Duration::from_secs(seconds)
    }

    #[test]
    fn waiting_times_double_up_to_the_longest_and_never_exceed_it() {
        let mut backoff = Backoff::new(BackoffOptions::default());
        for expected in [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0] {
            backoff.failed(Instant::now());
            let waited = backoff.next().as_secs_f64();
            assert!((expected / 2.0..=expected).contains(&waited), "{waited} is not within {expected}");
        }
        for _ in 0..100 {
            assert!((15.0..=30.0).contains(&backoff.next().as_secs_f64()));
        }
    }

    #[test]
    fn only_two_minutes_of_health_start_over() {
        let start = Instant::now();
        let mut backoff = Backoff::new(BackoffOptions::default());
        for _ in 0..8 {
            backoff.next();
        }
        backoff.well(start);
        backoff.failed(at(start, 119));
        assert!(backoff.next() >= Duration::from_secs(15));
        backoff.well(at(start, 200));
        backoff.well(at(start, 300)); // still well, not newly
        backoff.failed(at(start, 320));
        assert!(backoff.next() <= Duration::from_millis(800));
    }

    #[test]
    fn waiting_times_are_spread() {
        let mut backoff = Backoff::new(BackoffOptions::default());
        let first = backoff.longest();
        assert!((0..50).any(|_| backoff.longest() != first));
        backoff.next();
    }

    #[test]
    fn retry_after_is_obeyed_within_reason() {
        let backoff = Backoff::new(BackoffOptions::default());
        assert_eq!(backoff.obeyed(Some(Duration::from_secs(45))), Duration::from_secs(45));
        assert_eq!(backoff.obeyed(Some(Duration::from_secs(u64::MAX))), Duration::from_secs(300));
        assert_eq!(backoff.obeyed(None), Duration::ZERO);
    }
}
