//! Statistics of a queue, readable without a metrics library.
//!
//! The stats are those of client-go's `workqueue_*` metrics. They are updated under the queue's lock, which
//! each operation holds anyway. This costs a few integer additions without atomics, and every sample is
//! consistent.

use std::time::Duration;

use super::priority::{LEVELS, Priority};

/// Statistics of a queue, from [`WorkQueue::stats`](super::WorkQueue::stats).
///
/// The names of client-go's `workqueue_*` metrics are given where they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Number of keys that are ready.
    pub depth: usize,
    pub(super) depths: [usize; LEVELS],
    /// Number of keys that wait for a deadline, including retries.
    pub delayed: usize,
    /// Number of claimed keys.
    pub processing: usize,
    /// Count of keys queued, also by a deadline. An add of a key that is queued already does not count.
    pub adds: u64,
    /// Count of failures, by [`add_rate_limited`](super::WorkQueue::add_rate_limited).
    pub retries: u64,
    /// Sum of the ages of all current claims (`unfinished_work_seconds`). It grows by a second per second for each
    /// stuck worker.
    pub unfinished: Duration,
    /// Age of the oldest current claim (`longest_running_processor_seconds`).
    pub longest_running: Duration,
    /// Times from an add (or a deadline) to the claim (`queue_duration_seconds`). A key that is added while claimed
    /// waits from that add on.
    pub wait: Timings,
    /// Durations of the claims that ended (`work_duration_seconds`).
    pub work: Timings,
}

/// A summary of durations: exact count, sum and maximum, and estimated quantiles.
///
/// Quantiles come from buckets that double in width from a microsecond to about 12 days. Less than 400 bytes.
///
/// ```
/// # use kube_informer::queue::WorkQueue;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # use std::time::Duration;
/// let queue = WorkQueue::new();
/// queue.add("a");
/// tokio::time::sleep(Duration::from_millis(3)).await; // no worker comes
/// queue.get().await.unwrap().done();
///
/// let wait = queue.stats().wait;
/// assert_eq!(wait.count(), 1);
/// assert_eq!(wait.max(), wait.mean());
/// assert_eq!(wait.quantile(0.99), wait.max()); // never above what was seen
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    count: u64,
    sum: Duration,
    max: Duration,
    /// Bucket `i` counts durations below `2^i` microseconds and not below half of that.
    buckets: [u64; BUCKETS],
}

/// The last bucket counts all longer durations.
const BUCKETS: usize = 41;

/// The counters of a queue.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) adds: u64,
    pub(super) retries: u64,
    pub(super) wait: Timings,
    pub(super) work: Timings,
}

// === impl Stats ===

impl Stats {
    /// Number of ready keys of this priority. All of them together are [`depth`](Self::depth).
    #[must_use]
    pub fn depth_of(&self, priority: Priority) -> usize {
        self.depths[priority.level()]
    }
}

// === impl Timings ===

impl Timings {
    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the durations.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest duration; zero if there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The mean duration; zero if there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match self.count {
            0 => Duration::ZERO,
            count => Duration::from_nanos((self.sum.as_nanos() / u128::from(count)) as u64),
        }
    }

    /// An upper bound of the quantile (0.5 is the median): at most twice the true quantile, or a microsecond, and at
    /// most the maximum. A share below 0 or above 1 counts as 0 or 1. O(1).
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let bucket = self.buckets().find(|(_, up_to_here)| *up_to_here >= rank.max(1));
        bucket.map_or(self.max, |(bound, _)| bound.min(self.max))
    }

    /// The cumulative histogram, as pairs of an upper bound and the number of durations below it, as metrics libraries
    /// use it. Durations above the last bound are only in [`count`](Self::count).
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = (0..BUCKETS - 1).map(|i| Duration::from_micros(1 << i));
        bounds.zip(self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        self.max = self.max.max(duration);
        let bits = (u128::BITS - duration.as_micros().leading_zeros()) as usize;
        self.buckets[bits.min(BUCKETS - 1)] += 1;
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self { count: 0, sum: Duration::ZERO, max: Duration::ZERO, buckets: [0; BUCKETS] }
    }
}

// === impl Recorder ===

impl Recorder {
    pub(super) fn added(&mut self) {
        self.adds += 1;
    }

    pub(super) fn retried(&mut self) {
        self.retries += 1;
    }

    pub(super) fn handed_out(&mut self, waited: Duration) {
        self.wait.record(waited);
    }

    pub(super) fn worked(&mut self, took: Duration) {
        self.work.record(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(micros: impl IntoIterator<Item = u64>) -> Timings {
        let mut timings = Timings::default();
        micros.into_iter().for_each(|micros| timings.record(Duration::from_micros(micros)));
        timings
    }

    #[test]
    fn quantiles_are_within_a_factor_of_two_of_the_true_ones() {
        let sorted: Vec<u64> = (0..1000_u64).map(|n| n * n).collect();
        let timings = timings(sorted.iter().copied());
        for (share, index) in [(0.001, 0), (0.25, 249), (0.5, 499), (0.99, 989), (1.0, 999)] {
            let (seen, exact) = (timings.quantile(share), Duration::from_micros(sorted[index]));
            assert!(exact <= seen, "{share}: {seen:?} of {exact:?}");
            assert!(seen <= (2 * exact).max(Duration::from_micros(1)), "{share}: {seen:?} of {exact:?}");
        }
        assert_eq!(timings.quantile(7.0), timings.max());
        assert_eq!(timings.sum(), Duration::from_micros(sorted.iter().sum()));
    }

    #[test]
    fn nothing_recorded_is_zero_and_anything_can_be() {
        assert_eq!((timings([]).quantile(0.5), timings([]).mean()), (Duration::ZERO, Duration::ZERO));
        let mut timings = timings([0]);
        timings.record(Duration::MAX);
        timings.record(Duration::MAX);
        assert_eq!((timings.count(), timings.max(), timings.sum()), (3, Duration::MAX, Duration::MAX));
        assert_eq!(timings.quantile(0.9), Duration::MAX);
        assert_eq!(timings.buckets().last().unwrap().1, 1, "the endless ones are in no bounded bucket");
    }

    #[test]
    fn the_buckets_are_cumulative_and_bounded_from_above() {
        let buckets: Vec<_> = timings([0, 1, 2, 3, 4]).buckets().take(4).collect();
        let micros = [(1, 1), (2, 2), (4, 4), (8, 5)];
        assert_eq!(buckets, micros.map(|(bound, count)| (Duration::from_micros(bound), count)));
    }
}
