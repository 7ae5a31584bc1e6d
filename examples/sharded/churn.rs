//! Changes of the objects, at a constant rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::unix::world::World;

/// The number of tasks that make changes, each of objects of its own.
const TASKS: u32 = 8;
/// One of so many changes deletes an object and creates it again.
const REPLACED: u32 = 50;

/// See the [module](self). It ends when it is dropped.
pub struct Churn {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    made: Arc<AtomicU64>,
}

// === impl Churn ===

impl Churn {
    /// Starts to make so many changes a second.
    pub fn start(world: &Arc<World>, rate: u32, seed: u64) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let made = Arc::new(AtomicU64::new(0));
        for task in 0..TASKS {
            let random = StdRng::seed_from_u64(seed.wrapping_add(task.into()));
            tasks.spawn(change(world.clone(), task, rate, random, stop.clone(), made.clone()));
        }
        Self { tasks, stop, made }
    }

    /// Ends the changes, and returns how many there were. Each has been answered.
    ///
    /// # Errors
    ///
    /// When the API server refused one.
    pub async fn end(mut self) -> anyhow::Result<u64> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.made.load(Relaxed))
    }
}

async fn change(
    world: Arc<World>,
    task: u32,
    rate: u32,
    mut random: StdRng,
    stop: CancellationToken,
    made: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs_f64(f64::from(TASKS) / f64::from(rate)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let value = random.random::<u64>().to_string();
        let number = random.random_range(0..world.objects() / TASKS) * TASKS + task;
        if random.random_range(0..REPLACED) == 0 {
            world.replace(number, &value).await?;
        } else {
            world.change(number, &value).await?;
        }
        made.fetch_add(1, Relaxed);
    }
    Ok(())
}
