//! How a queue limits retries.

use std::time::Duration;

/// Settings of a [`WorkQueue`](super::WorkQueue), given to
/// [`with_options`](super::WorkQueue::with_options). The defaults are client-go's.
///
/// ```
/// use std::time::Duration;
/// use kube_informer::queue::{Options, WorkQueue};
///
/// // Failed keys wait 50 ms, then 100 ms, and so on up to a minute. All keys together get 20 retries at once,
/// // then one every 10 ms.
/// let options = Options::new()
///     .backoff(Duration::from_millis(50), Duration::from_secs(60))
///     .bucket(20, Duration::from_millis(10));
/// let queue = WorkQueue::<String>::with_options(options);
/// # assert!(queue.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub(super) base: Duration,
    pub(super) cap: Duration,
    pub(super) burst: u32,
    pub(super) refill: Duration,
}

// === impl Options ===

impl Options {
    /// client-go's defaults: per key 5 ms, doubled up to 1000 s; for all keys 100 retries at once, then one every 100
    /// ms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            base: Duration::from_millis(5),
            cap: Duration::from_secs(1000),
            burst: 100,
            refill: Duration::from_millis(100),
        }
    }

    /// Sets the delay of a key after its first failure; each further failure doubles it, up to `cap`.
    #[must_use]
    pub fn backoff(self, base: Duration, cap: Duration) -> Self {
        Self { base, cap, ..self }
    }

    /// Sets the token bucket that the retries of all keys share: `burst` at once, then one per `refill`. A `refill` of
    /// zero means no limit.
    #[must_use]
    pub fn bucket(self, burst: u32, refill: Duration) -> Self {
        Self { burst, refill, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
