//! The queue as its users see it, mostly on a paused clock: a test that would wait for ever fails at once, when
//! the runtime has nothing to do but to let an hour pass.

mod cancel;
mod client_go;
mod model;
mod priorities;
mod retries;
mod shutdown;
mod workers;

use std::time::Duration;

use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{Claim, WorkQueue};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What a test on the real clock is given before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next key, which must come within an hour.
async fn get<K: std::hash::Hash + Eq>(queue: &WorkQueue<K>) -> Claim<K> {
    timeout(HOUR, queue.get()).await.expect("a key comes").expect("the queue is open")
}

/// Gets a key and ends its claim in a task of its own.
fn spawn_get(queue: &WorkQueue<&'static str>) -> JoinHandle<Option<&'static str>> {
    let queue = queue.clone();
    tokio::spawn(async move { queue.get().await.map(|claim| *claim) })
}

/// What a task returned, within an hour.
async fn join<T>(task: JoinHandle<T>) -> T {
    timeout(HOUR, task).await.expect("the task ends").expect("and does not panic")
}

/// What all tasks returned: soon, or (on a paused clock) at once.
async fn join_all<T: Send + 'static>(tasks: JoinSet<T>) -> Vec<T> {
    timeout(PATIENCE, tasks.join_all()).await.expect("all tasks end")
}

/// Lets every task run until all wait (on a single-threaded runtime).
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
