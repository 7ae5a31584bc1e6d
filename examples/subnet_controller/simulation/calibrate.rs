//! Finds a rate of changes that shows the difference: more than `direct` can serve, and less than `cached` can serve.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::model::Model;
use super::progress::Progress;
use super::run::{Conditions, run};
use crate::cli::Mode;

/// The duration of each trial.
const TRIAL: Duration = Duration::from_secs(1);

/// The maximum load, as a multiple of the load that `direct` can serve: enough to overload it, without more load on the
/// machine than necessary.
const OVERLOAD: f64 = 1.6;

/// The result of the trials.
pub struct Calibration {
    /// Changes a second in the trials.
    pub trial_rate: f64,
    /// The number of reconciles a second that each mode can do.
    pub direct: f64,
    pub cached: f64,
    /// The number of reconciles per change.
    pub per_change: f64,
    /// The rate to use.
    pub rate: f64,
}

/// Tries both modes for a second each. `None` when it was interrupted.
///
/// # Errors
///
/// When a mode cannot be run.
pub async fn calibrate(
    conditions: Conditions,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Calibration>> {
    // Low enough for both modes: what counts is how long a reconcile takes, not how many there were.
    let request = conditions.latency.max(Duration::from_micros(200)).as_secs_f64();
    let trial_rate = (conditions.workers as f64 / request / 4.0).min(1000.0);
    let conditions = Conditions { rate: trial_rate, length: TRIAL, ..conditions };
    let mut capacity = [0.0; 2];
    for (mode, capacity) in [Mode::Direct, Mode::Cached].into_iter().zip(&mut capacity) {
        *capacity = run(mode, conditions, stop, &Progress::none()).await?.capacity(conditions.workers);
    }
    if stop.is_cancelled() {
        return Ok(None);
    }
    let [direct, cached] = capacity;
    let per_change = reconciles_per_change(conditions);
    anyhow::ensure!(
        direct > 0.0 && per_change > 0.0,
        "no change of the trial led to a reconcile, so the rate cannot be found: give it with --rate"
    );
    Ok(Some(Calibration { trial_rate, direct, cached, per_change, rate: rate(direct, cached) / per_change }))
}

/// Reconciles a second to ask for: in the middle, but not far above what `direct` can do.
fn rate(direct: f64, cached: f64) -> f64 {
    (direct * cached.max(direct)).sqrt().min(direct * OVERLOAD)
}

/// The subnets that a change of the mix concerns, on average.
fn reconciles_per_change(conditions: Conditions) -> f64 {
    const CHANGES: usize = 5000;
    let mut model = Model::new(conditions.size, conditions.seed);
    let subnets: usize = (0..CHANGES).map(|_| model.next_change().subnets.len()).sum();
    subnets as f64 / CHANGES as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_lies_between_what_the_modes_can_serve() {
        for (direct, cached) in [(1000.0, 5000.0), (1000.0, 1200.0), (50.0, 90_000.0)] {
            let rate = rate(direct, cached);
            assert!(rate > direct && rate < cached, "{direct} {rate} {cached}");
        }
        assert_eq!(rate(1000.0, 900.0), 1000.0);
    }
}
