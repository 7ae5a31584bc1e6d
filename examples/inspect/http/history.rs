//! The last two minutes, for the sparklines, and the last errors.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube_informer::Status;
use tokio::time::{MissedTickBehavior, interval};

use super::App;

const EVERY: Duration = Duration::from_secs(1);
const SAMPLES: usize = 120;
const ERRORS: usize = 9;

#[derive(Default)]
pub(super) struct History(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    series: HashMap<String, VecDeque<f64>>,
    /// The newest first.
    errors: VecDeque<Failure>,
    /// The last error of each informer, as it was seen last.
    seen: HashMap<String, (u64, String)>,
}

/// An error of an informer.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) at: Instant,
    pub(super) informer: String,
    pub(super) error: String,
}

// === impl History ===

impl History {
    /// Samples until it is dropped.
    pub(super) async fn sample(&self, app: &App) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.take(app);
        }
    }

    pub(super) fn series(&self, name: &str) -> Vec<f64> {
        self.lock().series.get(name).map(|values| values.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn errors(&self) -> Vec<Failure> {
        self.lock().errors.iter().cloned().collect()
    }

    fn take(&self, app: &App) {
        let mut kept = self.lock();
        for informer in app.registry.stats() {
            let name = format!("{} {}", informer.kind, informer.scope);
            if informer.status.synced {
                kept.push(format!("objects {name}"), informer.stats.objects as f64);
            }
            kept.note(name, informer.stats.errors, &informer.status);
        }
        for (name, queue) in &app.queues {
            kept.push(format!("depth {name}"), queue.stats().depth as f64);
        }
        for (name, handle) in &app.controllers {
            let depth = handle.stats().queue.map_or(0, |queue| queue.depth);
            kept.push(format!("controller {name}"), depth as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    fn push(&mut self, name: String, value: f64) {
        let values = self.series.entry(name).or_default();
        if values.len() == SAMPLES {
            values.pop_front();
        }
        values.push_back(value);
    }

    /// An error that several failures in a row have in common is noted once.
    fn note(&mut self, informer: String, count: u64, status: &Status) {
        let Some(error) = status.last_error.as_ref().map(ToString::to_string) else { return };
        let before = self.seen.insert(informer.clone(), (count, error.clone()));
        if before.as_ref().is_none_or(|(before, _)| *before < count) {
            self.errors.push_front(Failure { at: Instant::now(), informer, error });
            self.errors.truncate(ERRORS);
        }
    }
}
