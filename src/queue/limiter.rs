//! How long a failed key waits: the longer of its exponential delay and the wait for the shared bucket.
//!
//! Defaults as in client-go: 5 ms doubling up to 1000 s per key; 100 retries at once, then 10 per second.

use std::{hash::Hash, time::Duration};

use dashmap::DashMap;
use tokio::time::Instant;

use super::{delay::after, options::Options};

/// Failures per key, and the delay that follows from them. The counts are outside the queue's lock because
/// every success reads the count of its key.
pub(super) struct Backoff<K> {
    base: Duration,
    cap: Duration,
    failures: DashMap<K, u32>,
}

/// A token bucket for all keys, stored as the time at which it will be full again. This needs no arithmetic
/// on rates.
pub(super) struct Bucket {
    /// The time after which one token is added; zero means no limit.
    refill: Duration,
    /// The time in which an empty bucket fills.
    window: Duration,
    full_at: Option<Instant>,
}

// === impl Backoff ===

impl<K: Hash + Eq> Backoff<K> {
    pub(super) fn new(options: &Options) -> Self {
        Self { base: options.base, cap: options.cap, failures: DashMap::new() }
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).map_or(0, |count| *count)
    }

    /// The delay after the next failure, given the number of earlier ones.
    pub(super) fn delay(&self, failures: u32) -> Duration {
        // Nanoseconds in 128 bits. A Duration needs 94, so only a shift by 35 or more can saturate.
        let nanos = self.base.as_nanos().saturating_mul(1 << failures.min(100));
        if nanos >= self.cap.as_nanos() {
            return self.cap;
        }
        // Less than the cap, so it fits into a Duration.
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds, (nanos % 1_000_000_000) as u32)
    }

    pub(super) fn forget(&self, key: &K) {
        self.failures.remove(key);
    }
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// Counts a failure and returns how many there were before.
    pub(super) fn fail(&self, key: &K) -> u32 {
        let mut count = self.failures.entry(key.clone()).or_insert(0);
        let before = *count;
        *count = before.saturating_add(1);
        before
    }
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(options: &Options) -> Self {
        let window = options.refill.saturating_mul(options.burst);
        Self { refill: options.refill, window, full_at: None }
    }

    /// When the next token is available: now or later. Does not take it.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let full_at = self.full_after_one_more(now);
        full_at.checked_sub(self.window).map_or(now, |at| at.max(now))
    }

    /// Takes the token that [`Bucket::next`] has returned the time of.
    pub(super) fn take(&mut self, now: Instant) {
        self.full_at = Some(self.full_after_one_more(now));
    }

    fn full_after_one_more(&self, now: Instant) -> Instant {
        after(self.full_at.map_or(now, |at| at.max(now)), self.refill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn delays(options: Options, failures: &[u32]) -> Vec<Duration> {
        let backoff = Backoff::<()>::new(&options);
        failures.iter().map(|n| backoff.delay(*n)).collect()
    }

    #[test]
    fn delays_double_from_the_base_up_to_the_cap() {
        let millis: Vec<_> = delays(Options::new(), &[0, 1, 2, 3, 10, 17, 18, 19]);
        assert_eq!(millis, [5, 10, 20, 40, 5120, 655_360, 1_000_000, 1_000_000].map(|n| n * MS));
    }

    #[test]
    fn no_count_of_failures_overflows() {
        let failures = [31, 32, 33, 63, 64, 65, 99, 100, 101, 127, 128, u32::MAX];
        let cap = Duration::from_secs(1000);
        assert_eq!(delays(Options::new(), &failures), [cap; 12]);
        let widest = Options::new().backoff(Duration::MAX, Duration::MAX);
        assert_eq!(delays(widest, &[0, 1, 64, u32::MAX]), [Duration::MAX; 4]);
        // A small base still doubles after a factor of 32 or 64 bits would have overflowed.
        let small = Options::new().backoff(Duration::from_nanos(1), Duration::MAX);
        let expected =
            [Duration::from_nanos(1 << 40), Duration::from_secs(36_893_488_147) + 419_103_232 * NS];
        assert_eq!(delays(small, &[40, 65]), expected);
    }

    const NS: Duration = Duration::from_nanos(1);

    #[test]
    fn a_zero_base_never_waits_and_a_cap_below_the_base_holds() {
        assert_eq!(delays(Options::new().backoff(Duration::ZERO, MS), &[0, 9]), [Duration::ZERO; 2]);
        assert_eq!(delays(Options::new().backoff(5 * MS, MS), &[0, 9]), [MS; 2]);
    }

    #[test]
    fn failures_are_counted_per_key_until_forgotten() {
        let backoff = Backoff::new(&Options::new());
        assert_eq!(
            [backoff.fail(&"a"), backoff.fail(&"a"), backoff.fail(&"b"), backoff.fail(&"a")],
            [0, 1, 0, 2]
        );
        backoff.forget(&"a");
        assert_eq!((backoff.failures(&"a"), backoff.failures(&"b")), (0, 1));
        assert_eq!(backoff.fail(&"a"), 0);
        backoff.forget(&"a");
        backoff.forget(&"b");
        assert!(backoff.failures.is_empty(), "a forgotten key takes no memory");
    }

    #[test]
    fn the_bucket_gives_a_burst_then_one_token_per_refill() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&Options::new().bucket(3, 100 * MS));
        let mut draw = |now: Instant| {
            let at = bucket.next(now);
            bucket.take(now);
            at.checked_duration_since(now).expect("never in the past")
        };
        let burst: Vec<_> = (0..6).map(|_| draw(start)).collect();
        assert_eq!(burst, [0, 0, 0, 100, 200, 300].map(|n| n * MS));
        // After 450 ms, three borrowed tokens are repaid and one more was added.
        let later = start + 450 * MS;
        assert_eq!([draw(later), draw(later)], [Duration::ZERO, 50 * MS]);
        // Never more than the burst, after any idle time.
        let rested = start + Duration::from_secs(3600);
        let burst: Vec<_> = (0..4).map(|_| draw(rested)).collect();
        assert_eq!(burst, [0, 0, 0, 100].map(|n| n * MS));
    }

    #[test]
    fn a_bucket_that_refills_in_no_time_is_no_limit_and_one_that_never_does_is_no_panic() {
        let now = Instant::now();
        let mut open = Bucket::new(&Options::new().bucket(0, Duration::ZERO));
        let mut shut = Bucket::new(&Options::new().bucket(u32::MAX, Duration::MAX));
        let mut slow = Bucket::new(&Options::new().bucket(1, Duration::MAX));
        for _ in 0..1000 {
            open.take(now);
            shut.take(now);
            slow.take(now);
        }
        assert_eq!(open.next(now), now);
        assert!(shut.next(now) >= now && slow.next(now) >= now);
    }
}
