//! Applies changes inside the server in an open loop: on schedule, independent of the controller's progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::model::Model;
use super::server::{Server, THREADS};
use super::tracker::Tracker;

/// A thread that makes changes. Dropped, it stops soon.
pub struct Churn {
    thread: Option<thread::JoinHandle<anyhow::Result<Applied>>>,
    stop: Arc<AtomicBool>,
    applied: Arc<AtomicU64>,
}

/// The result of the churn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applied {
    pub changes: u64,
    /// The longest delay behind the schedule.
    pub late: Duration,
}

// === impl Churn ===

impl Churn {
    /// Makes `rate` changes a second, for `length`.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(
        server: Arc<Server>,
        mut model: Model,
        rate: f64,
        length: Duration,
        tracker: Tracker,
    ) -> anyhow::Result<Self> {
        let (stop, applied) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), applied.clone());
        let thread = thread::Builder::new().name(THREADS.to_owned()).spawn(move || {
            let (begin, mut late) = (Instant::now(), Duration::ZERO);
            for number in 0_u64.. {
                let due = Duration::from_secs_f64(number as f64 / rate);
                if due >= length || stopped.load(Ordering::Relaxed) {
                    break;
                }
                let change = model.next_change();
                if let Some(early) = due.checked_sub(begin.elapsed()) {
                    thread::sleep(early);
                }
                late = late.max(begin.elapsed().saturating_sub(due));
                let since = Instant::now();
                let version = server.apply(change.write)?;
                tracker.changed(change.kind, version, since, &change.subnets);
                count.store(number + 1, Ordering::Relaxed);
            }
            Ok(Applied { changes: count.load(Ordering::Relaxed), late })
        })?;
        Ok(Self { thread: Some(thread), stop, applied })
    }

    pub fn changes(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished)
    }

    /// Stops it, if it has not ended by itself.
    ///
    /// # Errors
    ///
    /// When a change could not be made.
    pub fn end(mut self) -> anyhow::Result<Applied> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(thread::JoinHandle::join) {
            Some(Ok(applied)) => applied,
            _ => anyhow::bail!("the thread that makes the changes panicked"),
        }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
