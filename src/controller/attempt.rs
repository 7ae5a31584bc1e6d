//! One reconcile: from a claimed key to what becomes of it.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::context::Context;
use super::settings::Settings;
use super::subject::Subject;
use super::tenure::Place;
use super::term::Term;
use super::written::{Begin, Cause, Written};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::queue::{Action, Outcome, Priority, after};

/// A warning is logged at this many reconciles in a row that wrote because of the write before.
const LOOP: u32 = 8;

/// What all reconciles of a run share.
pub(super) struct Reconciler<T, S, C, F, P> {
    pub(super) primary: Informer<T>,
    pub(super) term: Arc<Term>,
    pub(super) settings: Settings,
    pub(super) context: Arc<C>,
    pub(super) reconcile: F,
    pub(super) error_policy: P,
    pub(super) subject: PhantomData<fn() -> S>,
}

/// How a reconcile returned.
enum Returned {
    Succeeded(Action),
    Failed(Action),
    TimedOut,
}

impl<T, S, C, F, P> Reconciler<T, S, C, F, P>
where
    T: Send + Sync + 'static,
    S: Subject<T>,
{
    /// Reconciles a key, unless it has to wait.
    pub(super) async fn attempt<Fut, E>(&self, key: &ObjectKey, priority: Priority) -> Outcome
    where
        F: Fn(S, Context<C>) -> Fut,
        Fut: Future<Output = Result<Action, E>>,
        P: Fn(S, &E, Context<C>) -> Action,
    {
        let Term { first, writes, tally, tenure, .. } = &*self.term;
        let kind = self.primary.name();
        let (mut place, cause, subject, uid, epoch) = loop {
            let view = self.primary.snapshot();
            let uid = view.get(key).map(|object| Obj::uid(object).into_owned());
            let Some(place) = Place::enter(tenure.as_deref(), key, uid.as_deref()) else {
                return self.not_held(key);
            };
            match writes.begin(key, &view, priority) {
                Begin::Ready(cause) => break (place, cause, S::find(&view, key), uid, view.epoch),
                Begin::Parked => {
                    tally.waited_for_write.fetch_add(1, Relaxed);
                    return Outcome::Postponed;
                }
                Begin::Wait(until) => {
                    tally.waited_for_write.fetch_add(1, Relaxed);
                    if place.guard(writes.arrived(key, &self.primary, until)).await.is_none() {
                        return self.not_held(key);
                    }
                }
            }
        };
        if cause.stale {
            tally.write_not_received.fetch_add(1, Relaxed);
            tracing::warn!(kind, %key, "a reconcile begins without its last write, which did not arrive in time");
        }
        let Some(subject) = subject else {
            tally.skipped.fetch_add(1, Relaxed);
            writes.end(key, cause, None);
            first.reconciled(key, false);
            return Outcome::Succeeded(Action::await_change());
        };
        let context = Context::of(self.context.clone(), key.clone(), uid);
        let active = tally.begin();
        let started = Instant::now();
        let ended = AssertUnwindSafe(place.guard(self.call(subject, &context))).catch_unwind().await;
        tally.took(started.elapsed());
        drop(active);
        self.end_write(key, cause, &context, epoch);
        let (counter, outcome) = match ended {
            Ok(Some(Returned::Succeeded(action))) => {
                place.done();
                (&tally.succeeded, Outcome::Succeeded(action))
            }
            Ok(Some(Returned::Failed(action))) => (&tally.failed, Outcome::Failed(action)),
            Ok(Some(Returned::TimedOut)) => {
                tracing::warn!(kind, %key, "a reconcile timed out and will be retried");
                (&tally.timed_out, Outcome::Failed(Action::retry()))
            }
            Ok(None) => {
                tracing::warn!(kind, %key, "a reconcile was dropped since another replica may have its key");
                (&tally.aborted, Outcome::Succeeded(Action::await_change()))
            }
            Err(_) => {
                tracing::warn!(kind, %key, "a reconcile panicked and will be retried");
                (&tally.panicked, Outcome::Failed(Action::retry()))
            }
        };
        counter.fetch_add(1, Relaxed);
        first.reconciled(key, matches!(outcome, Outcome::Failed(_)));
        outcome
    }

    /// Another replica has the key, and reconciles it.
    fn not_held(&self, key: &ObjectKey) -> Outcome {
        self.term.tally.not_held.fetch_add(1, Relaxed);
        self.term.writes.forget(key);
        self.term.first.reconciled(key, false);
        Outcome::Succeeded(Action::await_change())
    }

    async fn call<Fut, E>(&self, subject: S, context: &Context<C>) -> Returned
    where
        F: Fn(S, Context<C>) -> Fut,
        Fut: Future<Output = Result<Action, E>>,
        P: Fn(S, &E, Context<C>) -> Action,
    {
        let span = tracing::info_span!("reconcile", kind = self.primary.name(), key = %context.key());
        let reconcile = (self.reconcile)(subject.clone(), context.clone()).instrument(span);
        let result = match self.settings.timeout {
            Some(limit) => match tokio::time::timeout(limit, reconcile).await {
                Ok(result) => result,
                Err(_) => return Returned::TimedOut,
            },
            None => reconcile.await,
        };
        match result {
            Ok(action) => Returned::Succeeded(action),
            Err(error) => Returned::Failed((self.error_policy)(subject, &error, context.clone())),
        }
    }

    /// Notes what the reconcile wrote.
    fn end_write(&self, key: &ObjectKey, cause: Cause, context: &Context<C>, epoch: u64) {
        let until = after(Instant::now(), self.settings.written_within);
        let versions = context.versions();
        let written = (!versions.is_empty()).then_some(Written { versions, epoch, until });
        let streak = self.term.writes.end(key, cause, written);
        if streak > 0 {
            self.term.tally.own_write_loops.fetch_add(1, Relaxed);
        }
        if streak == LOOP {
            tracing::warn!(
                kind = self.primary.name(),
                %key,
                "a reconcile writes on each pass, and its own writes cause the next one"
            );
        }
    }
}
