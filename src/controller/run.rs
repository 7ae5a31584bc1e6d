//! One run of a controller, from its start to its end.

use std::future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select, select_all, try_join_all};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::attempt::Reconciler;
use super::builder::Controller;
use super::context::Context;
use super::ended::Ended;
use super::settings::Settings;
use super::subject::Subject;
use super::term::Term;
use super::trigger::Trigger;
use crate::error::{Error, ErrorKind};
use crate::key::ObjectKey;
use crate::queue::{Action, Claim, Workers, spawn};

/// How often a controller that waits for its informers logs which have not synced.
const REPORT: Duration = Duration::from_secs(30);

impl<T, S> Controller<T, S>
where
    T: Send + Sync + 'static,
    S: Subject<T>,
{
    /// Runs the controller until [`Handle::stop`](super::Handle::stop) or
    /// [`Handle::shut_down`](super::Handle::shut_down), or until one of its informers stops.
    ///
    /// Waits for its informers, then reconciles. `reconcile` and `error_policy` are those of
    /// `kube::runtime::Controller::run`, with [`Obj`](crate::Obj) in place of `Arc` and a [`Context`] around `context`.
    ///
    /// * `reconcile` returns the next step for the key, or an error.
    /// * `error_policy` returns the next step after an error: usually [`Action::retry`], with the backoff of
    ///   [`retries`](Self::retries).
    /// * A reconcile that panics or times out is retried with the same backoff.
    ///
    /// At the end, no more keys are queued, and the reconciles are ended as [`drain_within`](Self::drain_within) or
    /// [`finish_within`](Self::finish_within) say. All tasks have ended when this returns. The controller can then be
    /// run again, with an empty queue: for example, when a lost lease is regained.
    ///
    /// # Errors
    ///
    /// - [`Error::is_stopped`] if an informer stopped;
    /// - [`Error::is_unfinished`] if reconciles had to be aborted, or keys to be discarded, at the time limit;
    /// - [`Error::is_running`] if the controller runs already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the call ends the run at once: reconciles are aborted at their next `.await`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub async fn run<C, F, Fut, E, P>(
        &self,
        reconcile: F,
        error_policy: P,
        context: Arc<C>,
    ) -> Result<Ended, Error>
    where
        C: Send + Sync + 'static,
        F: Fn(S, Context<C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Action, E>> + Send + 'static,
        E: Send + Sync + 'static,
        P: Fn(S, &E, Context<C>) -> Action + Send + Sync + 'static,
    {
        self.run_until(reconcile, error_policy, context, future::pending()).await
    }

    /// [`run`](Self::run), which also ends gracefully once `until` is complete: for example, on a signal, or when a
    /// lease is lost. The result says which of both it was; if [`Handle::stop`](super::Handle::stop) came too, it is
    /// [`Ended::Stopped`].
    ///
    /// `until` is polled while the controller runs, and not while the run ends: a lease that `until` renews must last
    /// for the time of [`finish_within`](Self::finish_within) without a renewal, or a task of its own has to renew it.
    pub async fn run_until<C, F, Fut, E, P>(
        &self,
        reconcile: F,
        error_policy: P,
        context: Arc<C>,
        until: impl Future<Output = ()>,
    ) -> Result<Ended, Error>
    where
        C: Send + Sync + 'static,
        F: Fn(S, Context<C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Action, E>> + Send + 'static,
        E: Send + Sync + 'static,
        P: Fn(S, &E, Context<C>) -> Action + Send + Sync + 'static,
    {
        let triggers = self.all_triggers();
        let tenure = || self.sharding.as_ref().map(|sharding| sharding.begin(S::WITH_DELETED)).transpose();
        let running = self.shared.begin(&self.settings, triggers.len(), tenure)?;
        let term = &running.term;
        // Dropping a set aborts its tasks.
        let mut share = JoinSet::new();
        if let Some(tenure) = &term.tenure {
            share.spawn(tenure.clone().follow(term.clone()));
        }
        let mut stop = pin!(async {
            tokio::select! {
                biased;
                () = term.stop.cancelled() => Ended::Stopped,
                () = until => Ended::Until,
            }
        });
        tokio::select! {
            biased;
            ended = &mut stop => {
                leave(term, share).await;
                return Ok(ended);
            }
            Some(left) = share.join_next() => return left_group(left),
            synced = all_synced(&triggers) => synced?,
        }
        term.synced.cancel();
        tracing::debug!(kind = self.primary.name(), "the informers have synced, the controller reconciles");

        let mut feeds = JoinSet::new();
        for trigger in &triggers {
            let (feed, name) = (trigger.feed(term.clone()), trigger.name().to_owned());
            feeds.spawn(async move {
                feed.await;
                name
            });
        }
        let mut helper = JoinSet::new();
        let (primary, released) = (self.primary.clone(), term.clone());
        helper.spawn(async move { released.writes.release(&primary, &released.queue).await });
        let reconciler = Arc::new(Reconciler {
            primary: self.primary.clone(),
            term: term.clone(),
            settings: self.settings.clone(),
            context,
            reconcile,
            error_policy,
            subject: PhantomData,
        });
        let workers = spawn(&term.queue, self.settings.concurrency, move |claim: &Claim<ObjectKey>| {
            let (reconciler, key, priority) = (reconciler.clone(), (**claim).clone(), claim.priority());
            async move { reconciler.attempt(&key, priority).await }
        });

        let ended = tokio::select! {
            biased;
            ended = &mut stop => Ok(ended),
            Some(left) = share.join_next() => left_group(left),
            Some(ended) = feeds.join_next() => Err(ErrorKind::SharedStopped { resource: ended.unwrap_or_default() }.into()),
        };
        if !self.settings.drains {
            term.queue.shut_down_now(); // before any wait: no reconcile begins from now on
        }
        feeds.shutdown().await;
        helper.shutdown().await;
        if self.settings.drains {
            term.queue.add_all_with_priority(term.writes.close());
        }
        let finished = end(workers, &self.settings).await;
        leave(term, share).await;
        let ended = ended?;
        finished.map(|()| ended)
    }
}

/// Leaves the group of a sharded controller. No reconcile runs any more.
async fn leave(term: &Term, mut share: JoinSet<Result<(), Error>>) {
    share.shutdown().await;
    if let Some(tenure) = &term.tenure {
        tenure.leave().await;
    }
}

/// The member has left its group, or an informer cannot follow it.
fn left_group(ended: Result<Result<(), Error>, JoinError>) -> Result<Ended, Error> {
    // No panic is expected there. If there is one, an informer cannot follow, either.
    ended.unwrap_or_else(|_| Err(ErrorKind::Stopped.into())).map(|()| Ended::Left)
}

/// Ends the reconciles as the settings say.
async fn end(workers: Workers<ObjectKey>, settings: &Settings) -> Result<(), Error> {
    let ended = if settings.drains {
        workers.shutdown(settings.stop_within).await
    } else {
        workers.finish(settings.stop_within).await
    };
    ended.map_err(|unfinished| ErrorKind::Unfinished(unfinished).into())
}

/// Waits for all informers, or until one stops.
async fn all_synced(triggers: &[Arc<dyn Trigger>]) -> Result<(), Error> {
    let synced = try_join_all(triggers.iter().map(|trigger| trigger.synced()));
    // One that has synced may stop while others have not.
    let stopped = select_all(triggers.iter().map(|trigger| trigger.stopped()));
    let mut ready = select(synced, stopped);
    loop {
        match timeout(REPORT, &mut ready).await {
            Ok(Either::Left((synced, _))) => return synced.map(drop),
            Ok(Either::Right(((stopped, ..), _))) => return Err(stopped),
            Err(_) => report(triggers),
        }
    }
}

/// Logs which informers have not synced.
fn report(triggers: &[Arc<dyn Trigger>]) {
    for (missing, status) in triggers.iter().map(|trigger| (trigger, trigger.status())) {
        if !status.synced {
            tracing::warn!(
                kind = missing.name(),
                phase = ?status.phase,
                error = status.last_error.as_ref().map(tracing::field::display),
                "a controller waits for this informer"
            );
        }
    }
}
