//! Runs a reconcile function on the keys of a queue, on a fixed number of tasks.

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

/// The next step for a key after its reconcile succeeded, as kube-runtime's `Action`. The failure count of the key is
/// reset in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Action {
    requeue_after: Option<Duration>,
}

/// The reason why a key is retried. For the hook of [`workers_with_hook`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<'a, E> {
    /// The reconcile returned this error.
    Error(&'a E),
    /// The reconcile panicked. The payload went to the panic hook.
    Panicked,
}

/// The tasks of [`workers`]. Dropping this aborts them; the keys that they work on are queued again.
#[must_use = "dropping the handle stops the workers"]
pub struct Workers<K> {
    queue: WorkQueue<K>,
    tasks: JoinSet<()>,
}

/// A key that is being reconciled. An attempt that is dropped before it settles (the task was aborted) queues
/// the key again.
struct Attempt<K: Hash + Eq> {
    claim: Claim<K>,
    settled: bool,
}

/// Runs `reconcile` on the keys of the queue, on `n` tasks (at least one) of the current tokio runtime. Returns at
/// once.
///
/// * `Ok(action)` resets the failure count of the key, and applies the [`Action`].
/// * An error or a panic counts a failure of the key and retries it later
///   ([`add_rate_limited`](WorkQueue::add_rate_limited)); other keys are not affected. This requires panics to unwind.
///
/// Failures are logged without the key, the error or the panic message, since these may contain any data. Use
/// [`workers_with_hook`] to receive them.
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

/// [`workers`], with a hook for logs and counters. It receives the key and the [`Failure`] before the retry, and runs
/// on the worker's task. A panic of the hook has no other effect.
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

/// Runs one reconcile; `None` means failure. Catches a panic of any application code, including the drop of
/// the error.
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
        // A panic of the hook does not count as a panic of the reconcile.
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
    /// Waits until the key is added again.
    pub fn await_change() -> Self {
        Self { requeue_after: None }
    }

    /// Reconciles the key again after this time, as [`add_after`](WorkQueue::add_after) does.
    pub fn requeue(delay: Duration) -> Self {
        Self { requeue_after: Some(delay) }
    }
}

// === impl Workers ===

impl<K: Hash + Eq> Workers<K> {
    /// [Drains](WorkQueue::drain) the queue, which also ends other workers of the same queue, and joins every task. At
    /// the deadline, tasks that are still running are aborted at their next `.await`; a reconcile that blocks its
    /// thread delays this call.
    ///
    /// # Errors
    /// [`Unfinished`] as from [`drain`](WorkQueue::drain).
    ///
    /// # Cancel safety
    /// A dropped call shuts the queue down (if it was polled) and aborts the tasks.
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
