//! A reconcile function run on the keys of a queue by a fixed number of tasks.

use std::{
    fmt,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::{claim::Claim, drain::Unfinished, work_queue::WorkQueue};

/// What to do with a key whose reconcile succeeded. Its failures are forgotten either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Action {
    requeue_after: Option<Duration>,
}

/// Why a key is going to be retried, for the hook of [`workers_with_hook`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<'a, E> {
    /// The reconcile returned this.
    Error(&'a E),
    /// The reconcile panicked. What with, the process's panic hook has seen.
    Panicked,
}

/// The tasks started by [`workers`]. Dropped, it aborts them; what they were at is queued again.
#[must_use = "dropping the handle stops the workers"]
pub struct Workers<K> {
    queue: WorkQueue<K>,
    tasks: JoinSet<()>,
}

/// A key being reconciled. Dropped before it settled - the task was aborted - it queues the key again.
struct Attempt<K: Hash + Eq> {
    claim: Claim<K>,
    settled: bool,
}

/// Runs `reconcile` on each key the queue hands out, on `n` tasks (at least one) of the current runtime.
///
/// * `Ok(action)` forgets the key's failures and does what the [`Action`] says.
/// * An error or a panic counts a failure of that key and retries it, and nothing else, later
///   ([`add_rate_limited`](WorkQueue::add_rate_limited)). A panic needs to unwind for that.
///
/// Failures are traced without key, error or panic message, which may hold anything; see
/// [`workers_with_hook`] to see them.
///
/// # Panics
/// Outside of a tokio runtime.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use kube_informer::queue::{Action, WorkQueue, workers};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let queue = WorkQueue::new();
/// let workers = workers(&queue, 4, async |key: String| {
///     println!("reconciling {key}");
///     Ok::<_, Infallible>(Action::await_change())
/// });
/// queue.add("default/net1".to_owned());
/// workers.shutdown(Duration::from_secs(30)).await.unwrap();
/// # assert_eq!(queue.stats().work.count(), 1);
/// # }
/// ```
pub fn workers<K, F, Fut, E>(queue: &WorkQueue<K>, n: usize, reconcile: F) -> Workers<K>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Action, E>> + Send,
    E: Send + Sync,
{
    workers_with_hook(queue, n, reconcile, |_, _| {})
}

/// As [`workers`], and calls `hook` with the key and its [`Failure`] before it is retried, on the worker's task:
/// the place for logs and counters. A hook that panics changes nothing else.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn workers_with_hook<K, F, Fut, E, H>(queue: &WorkQueue<K>, n: usize, reconcile: F, hook: H) -> Workers<K>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Action, E>> + Send,
    E: Send + Sync,
    H: Fn(&K, Failure<'_, E>) + Send + Sync + 'static,
{
    let shared = Arc::new((reconcile, hook));
    let mut tasks = JoinSet::new();
    for _ in 0..n.max(1) {
        let (queue, shared) = (queue.clone(), Arc::clone(&shared));
        tasks.spawn(async move {
            let (reconcile, hook) = &*shared;
            while let Some(claim) = queue.get().await {
                let attempt = Attempt { claim, settled: false };
                let outcome = run(&*attempt.claim, reconcile, hook).await;
                attempt.settle(outcome);
            }
        });
    }
    Workers { queue: queue.clone(), tasks }
}

/// One reconcile; `None` is a failure. Whatever of the user's runs - also the drop of the error - runs where a
/// panic is caught.
async fn run<K, F, Fut, E, H>(key: &K, reconcile: &F, hook: &H) -> Option<Action>
where
    K: Clone,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Result<Action, E>>,
    H: Fn(&K, Failure<'_, E>),
{
    let attempt = async {
        let error = match reconcile(key.clone()).await {
            Ok(action) => return Some(action),
            Err(error) => error,
        };
        tracing::debug!("a reconcile failed, its key will be retried");
        // A panic of the hook is not one of the reconcile.
        let _ = catch_unwind(AssertUnwindSafe(|| hook(key, Failure::Error(&error))));
        None
    };
    if let Ok(outcome) = AssertUnwindSafe(attempt).catch_unwind().await {
        return outcome;
    }
    tracing::warn!("a reconcile panicked, its key will be retried");
    let _ = catch_unwind(AssertUnwindSafe(|| hook(key, Failure::Panicked)));
    None
}

// === impl Action ===

impl Action {
    /// Nothing to do until the key is added again.
    pub fn await_change() -> Self {
        Self { requeue_after: None }
    }

    /// Look at the key again after this time, as by [`add_after`](WorkQueue::add_after).
    pub fn requeue(delay: Duration) -> Self {
        Self { requeue_after: Some(delay) }
    }
}

// === impl Workers ===

impl<K: Hash + Eq> Workers<K> {
    /// [Drains](WorkQueue::drain) the queue - so nobody else's workers get new keys from it either - and joins
    /// every task. At the deadline those still at work are aborted, at their next `.await`: a reconcile that
    /// blocks its thread delays this call.
    ///
    /// # Errors
    /// [`Unfinished`] as from [`drain`](WorkQueue::drain).
    ///
    /// # Cancel safety
    /// A dropped call has shut the queue down and aborts the tasks.
    pub async fn shutdown(mut self, within: Duration) -> Result<(), Unfinished> {
        let drained = self.queue.drain(within).await;
        if drained.is_err() {
            self.tasks.abort_all();
        }
        while self.tasks.join_next().await.is_some() {}
        drained
    }
}

impl<K> fmt::Debug for Workers<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

// === impl Attempt ===

impl<K: Hash + Eq + Clone> Attempt<K> {
    fn settle(mut self, outcome: Option<Action>) {
        self.settled = true;
        let (key, queue) = (&self.claim, self.claim.queue());
        match outcome {
            Some(action) => {
                queue.forget(key);
                if let Some(delay) = action.requeue_after {
                    queue.add_after((**key).clone(), delay);
                }
            }
            None => queue.add_rate_limited((**key).clone()),
        }
    }
}

impl<K: Hash + Eq> Drop for Attempt<K> {
    fn drop(&mut self) {
        if !self.settled {
            self.claim.queue().add_shared(Arc::clone(self.claim.key()));
        }
    }
}
