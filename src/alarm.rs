//! A timer for deadlines that move later.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Ends a wait at its deadline, as [`timeout_at`](tokio::time::timeout_at) does, but stays set from one wait to the next.
///
/// Each timer that is set can wake the thread that waits for the network, which costs more than an event of a watch.
/// Where a deadline moves later with each wait, this is set once for many waits: it rings at an earlier deadline, and
/// is set to the newest one then.
pub(crate) struct Alarm(Pin<Box<Sleep>>);

// === impl Alarm ===

impl Alarm {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self(Box::pin(sleep_until(deadline)))
    }

    /// Waits for the output of `work`, or returns `None` at the deadline. `work` is polled first. Cancel-safe if it is.
    pub(crate) async fn wait<F: Future>(&mut self, deadline: Instant, work: F) -> Option<F::Output> {
        let Self(sleep) = self;
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            loop {
                ready!(sleep.as_mut().poll(cx));
                if sleep.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                sleep.as_mut().reset(deadline);
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Each wait has its own deadline, whether that is later or earlier than the one before.
    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_its_own_deadline() {
        let start = Instant::now();
        let mut alarm = Alarm::new(start + seconds(5));
        for (within, waited) in [(10, 10), (15, 15), (12, 15), (90, 90), (100, 100)] {
            assert_eq!(alarm.wait(start + seconds(within), pending::<()>()).await, None);
            assert_eq!(start.elapsed(), seconds(waited), "a deadline after {within} s");
        }
        let long = start + seconds(1_000);
        for second in 101..200 {
            let work = tokio::time::sleep_until(start + seconds(second));
            assert_eq!(alarm.wait(long + seconds(second), work).await, Some(()));
            assert_eq!(start.elapsed(), seconds(second));
        }
        assert_eq!(alarm.wait(start + seconds(300), pending::<()>()).await, None);
        assert_eq!(start.elapsed(), seconds(300), "earlier than the alarm was set to");
    }

    /// Also at a deadline that has passed.
    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_returned_at_the_deadline() {
        let mut alarm = Alarm::new(Instant::now());
        assert_eq!(alarm.wait(Instant::now(), ready(1)).await, Some(1));
        assert_eq!(alarm.wait(Instant::now(), pending::<()>()).await, None);
    }

    /// It is polled by the task that waits now, which may not be the one that set it.
    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_waits_now() {
        let start = Instant::now();
        let mut alarm = Alarm::new(start + seconds(5));
        assert_eq!(alarm.wait(start + seconds(9), tokio::time::sleep(seconds(1))).await, Some(()));
        let other = tokio::spawn(async move { alarm.wait(start + seconds(9), pending::<()>()).await });
        assert_eq!(other.await.expect("it does not panic"), None);
        assert_eq!(start.elapsed(), seconds(9));
    }
}
