//! Tests of the queue's public API, mostly with paused time: a test that would wait for ever fails at once,
//! because an idle runtime advances the clock to the timeout of an hour.

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
/// The timeout of a test on the real clock.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gets the next key, within an hour.
async fn get<K: std::hash::Hash + Eq>(queue: &WorkQueue<K>) -> Claim<K> {
    timeout(HOUR, queue.get()).await.expect("a key comes").expect("the queue is open")
}

/// Gets a key and ends its claim, in a separate task.
fn spawn_get(queue: &WorkQueue<&'static str>) -> JoinHandle<Option<&'static str>> {
    let queue = queue.clone();
    tokio::spawn(async move { queue.get().await.map(|claim| *claim) })
}

/// The result of a task, within an hour.
async fn join<T>(task: JoinHandle<T>) -> T {
    timeout(HOUR, task).await.expect("the task ends").expect("and does not panic")
}

/// The results of all tasks, within the timeout.
async fn join_all<T: Send + 'static>(tasks: JoinSet<T>) -> Vec<T> {
    timeout(PATIENCE, tasks.join_all()).await.expect("all tasks end")
}

/// Lets every task run until all wait (on a single-threaded runtime).
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
