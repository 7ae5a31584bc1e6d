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

/// The next step for a key after its reconcile, as kube-runtime's `Action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Action {
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Next {
    #[default]
    AwaitChange,
    After(Duration),
    Retry,
}

/// How a reconcile ended, for the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded(Action),
    Failed(Action),
    /// The key was not reconciled, and is queued again by other means.
    Postponed,
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

/// Runs `reconcile` on the keys of the queue. Returns at once.
///
/// It uses `n` tasks (at least one) of the current tokio runtime.
///
/// * `Ok(action)` applies the [`Action`], and resets the failure count of the key unless it is [`Action::retry`].
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

/// [`workers`], with a hook for logs and counters.
///
/// The hook receives the key and the [`Failure`] before the retry, and runs on the worker's task. A panic of the hook
/// has no other effect.
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
    spawn(queue, n, move |claim: &Claim<K>| {
        let (shared, key) = (Arc::clone(&shared), (**claim).clone());
        async move { run(key, &shared.0, &shared.1).await }
    })
}

/// The tasks of [`workers`], for a `reconcile` that does not panic.
pub(crate) fn spawn<K, F, Fut>(queue: &WorkQueue<K>, n: usize, reconcile: F) -> Workers<K>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    F: Fn(&Claim<K>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send,
{
    let reconcile = Arc::new(reconcile);
    let mut tasks = JoinSet::new();
    for _ in 0..n.max(1) {
        let (queue, reconcile) = (queue.clone(), Arc::clone(&reconcile));
        tasks.spawn(async move {
            while let Some(claim) = queue.get().await {
                let attempt = Attempt { claim, settled: false };
                let outcome = reconcile(&attempt.claim).await;
                attempt.settle(outcome);
            }
        });
    }
    Workers { queue: queue.clone(), tasks }
}

/// One reconcile. A panic of any code of the application, including the drop of the error, is caught.
async fn run<K, F, Fut, E, H>(key: K, reconcile: &F, hook: &H) -> Outcome
where
    K: Clone,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Result<Action, E>>,
    H: Fn(&K, Failure<'_, E>),
{
    let attempt = async {
        let error = match reconcile(key.clone()).await {
            Ok(action) => return Outcome::Succeeded(action),
            Err(error) => error,
        };
        tracing::debug!("a reconcile failed, its key will be retried");
        // A panic of the hook is not one of the reconcile.
        let _ = catch_unwind(AssertUnwindSafe(|| hook(&key, Failure::Error(&error))));
        Outcome::Failed(Action::retry())
    };
    if let Ok(outcome) = AssertUnwindSafe(attempt).catch_unwind().await {
        return outcome;
    }
    tracing::warn!("a reconcile panicked, its key will be retried");
    let _ = catch_unwind(AssertUnwindSafe(|| hook(&key, Failure::Panicked)));
    Outcome::Failed(Action::retry())
}

// === impl Action ===

impl Action {
    /// Waits until the key is added again.
    pub fn await_change() -> Self {
        Self { next: Next::AwaitChange }
    }

    /// Reconciles the key again after this time, as [`add_after`](WorkQueue::add_after) does, with the priority that it
    /// had.
    pub fn requeue(delay: Duration) -> Self {
        Self { next: Next::After(delay) }
    }

    /// Counts a failure and reconciles the key again with backoff, as
    /// [`add_rate_limited`](WorkQueue::add_rate_limited) does.
    pub fn retry() -> Self {
        Self { next: Next::Retry }
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

impl<K: Hash + Eq> Workers<K> {
    /// Discards the queued keys, and joins every task. Tasks that are still running at the deadline are aborted.
    pub(crate) async fn finish(mut self, within: Duration) -> Result<(), Unfinished> {
        self.queue.shut_down_now();
        let joined = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, joined).await.is_ok() {
            return Ok(());
        }
        let in_flight = self.queue.stats().processing;
        self.tasks.shutdown().await;
        if in_flight == 0 { Ok(()) } else { Err(Unfinished { discarded: 0, in_flight }) }
    }
}

impl<K> fmt::Debug for Workers<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

// === impl Attempt ===

impl<K: Hash + Eq + Clone> Attempt<K> {
    fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        let (key, queue) = (&self.claim, self.claim.queue());
        let (action, failed) = match outcome {
            Outcome::Succeeded(action) => (action, false),
            Outcome::Failed(action) => (action, true),
            Outcome::Postponed => return,
        };
        match action.next {
            Next::Retry => queue.add_rate_limited((**key).clone()),
            Next::After(_) if failed => {}
            Next::AwaitChange | Next::After(_) => queue.forget(key),
        }
        if let Next::After(delay) = action.next {
            queue.add_after_with(Arc::clone(key.key()), delay, key.priority());
        }
    }
}

impl<K: Hash + Eq> Drop for Attempt<K> {
    fn drop(&mut self) {
        if !self.settled {
            self.claim.queue().add_again(Arc::clone(self.claim.key()));
        }
    }
}
