//! One entry of a registry: an informer that is held until it is started, and only known of afterwards.

use std::any::Any;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, try_join_all};
use kube_client::{Api, Client};
use kube_core::Resource;
use tokio_util::sync::CancellationToken;

use super::member::{Member, lock};
use super::scope::Scope;
use super::stored::Stored;
use crate::config::Config;
use crate::error::{Error, Kind};
use crate::informer::{Builder, FromApi, Informer, Prepared, WeakInformer};
use crate::reflector::Gate;

/// See the [module](self).
pub(super) struct Slot<T: Stored> {
    pub(super) member: Arc<Member>,
    informer: WeakInformer<T>,
    /// `None` once started.
    idle: Mutex<Option<Idle<T>>>,
}

/// What there is before the start.
pub(super) struct Idle<T: Stored> {
    pub(super) prepared: Prepared<T::Object, T, FromApi<T::Object>>,
    /// Each ends when a prerequisite has synced, and holds it until then.
    pub(super) prerequisites: Vec<BoxFuture<'static, Result<(), Error>>>,
    informer: Informer<T>,
}

/// A [`Slot`] of a type that only its key knows.
pub(super) trait AnySlot: Any + Send + Sync {
    fn member(&self) -> &Arc<Member>;

    /// Whether somebody holds it, and it was not stopped.
    fn is_live(&self) -> bool;

    /// Whether nobody holds it any more.
    fn is_forgotten(&self) -> bool;

    /// Starts the informer as a task, unless it was started, or nobody holds it.
    fn start(&self);

    /// Gives up what was not started.
    fn abandon(&self);
}

// === impl Slot ===

impl<T: Stored> Slot<T> {
    pub(super) fn new(
        client: Client,
        beside: (Arc<Gate>, Config),
        scope: &Scope,
        dyntype: <T::Object as Resource>::DynamicType,
        number: u64,
        name: String,
    ) -> (Self, Informer<T>) {
        let (gate, config) = beside;
        let mut from =
            FromApi::new(Api::<T::Object>::all_with(client, &dyntype), dyntype).beside(gate, config);
        if let Some(namespace) = &scope.namespace {
            from = from.in_namespace(namespace);
        }
        let builder = Builder::new(from).labels(&*scope.labels).fields(&*scope.fields);
        let (informer, prepared) = builder.stored::<T>().prepare();
        let (stop, tasks) = (prepared.stop().clone(), prepared.tasks().clone());
        let member = Member::new(number, name, informer.status_receiver(), stop, tasks);
        let idle = Idle { prepared, prerequisites: Vec::new(), informer: informer.clone() };
        let slot =
            Self { member: Arc::new(member), informer: informer.downgrade(), idle: Mutex::new(Some(idle)) };
        (slot, informer)
    }

    /// A handle, unless nobody else has one any more.
    pub(super) fn informer(&self) -> Option<Informer<T>> {
        let held = lock(&self.idle).as_ref().map(|idle| idle.informer.clone());
        held.or_else(|| self.informer.upgrade())
    }

    /// Changes what is to be started.
    pub(super) fn settle<R>(&self, change: impl FnOnce(&mut Idle<T>) -> R) -> Result<R, Error> {
        match &mut *lock(&self.idle) {
            Some(idle) => Ok(change(idle)),
            None => Err(Kind::AlreadyStarted { resource: self.member.name.clone() }.into()),
        }
    }
}

impl<T: Stored> AnySlot for Slot<T> {
    fn member(&self) -> &Arc<Member> {
        &self.member
    }

    fn is_live(&self) -> bool {
        !self.is_forgotten() && !self.member.is_stopped()
    }

    fn is_forgotten(&self) -> bool {
        self.informer.holders() == 0
    }

    fn start(&self) {
        let Some(Idle { prepared, prerequisites, informer }) = lock(&self.idle).take() else { return };
        self.member.set_started();
        if self.informer.holders() > 1 {
            let (stop, tasks) = (prepared.stop().clone(), prepared.tasks().clone());
            let drive = prepared.drive();
            // The tracker owns the task: `shutdown` waits for it.
            tasks.spawn(async move {
                stop.run_until_cancelled(all_synced(prerequisites, &stop)).await;
                drive.await;
            });
        }
        drop(informer);
    }

    fn abandon(&self) {
        drop(lock(&self.idle).take());
    }
}

/// Waits for prerequisites; for ever, when one has stopped before it synced.
async fn all_synced(prerequisites: Vec<BoxFuture<'static, Result<(), Error>>>, stop: &CancellationToken) {
    if try_join_all(prerequisites).await.is_err() {
        stop.cancelled().await;
    }
}
