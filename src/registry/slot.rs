//! One entry of a registry: it keeps the informer alive until the start, and has a weak reference afterwards.

use std::any::Any;
use std::sync::{Arc, Mutex, Weak};

use futures_util::future::{BoxFuture, try_join_all};
use kube_client::{Api, Client};
use kube_core::Resource;
use tokio_util::sync::CancellationToken;

use super::entry_key::EntryKey;
use super::informer_stats::{InformerStats, short_name};
use super::member::{Member, lock};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::informer::{Abandon, Builder, FromApi, Informer, Prepared, WeakInformer};
use crate::reflector::Gate;
use crate::stored::StoredWith;

/// See the [module](self).
pub(super) struct Slot<T: StoredWith> {
    pub(super) member: Arc<Member>,
    /// The settings of the first declaration, on which the projection depends.
    pub(super) settings: Arc<T::Settings>,
    informer: WeakInformer<T>,
    /// `None` once started or abandoned. It contains closures of the application, so it is dropped without the lock.
    idle: Mutex<Option<Idle<T>>>,
}

/// The state before the start.
pub(super) struct Idle<T: StoredWith> {
    pub(super) prepared: Prepared<T::Object, T, FromApi<T::Object>>,
    /// The configuration that a caller has set.
    pub(super) config: Option<Config>,
    /// Each completes when a prerequisite has synced, and keeps it alive until then.
    pub(super) prerequisites: Vec<BoxFuture<'static, Result<(), Error>>>,
    informer: Informer<T>,
}

/// A [`Slot`] with its type erased; the key knows the type.
pub(super) trait AnySlot: Abandon + Any {
    fn member(&self) -> &Arc<Member>;

    /// Whether it has a handle and was not stopped.
    fn is_live(&self) -> bool;

    /// Whether it has no handle.
    fn is_forgotten(&self) -> bool;

    /// The health and the statistics; `None` if it has no handle.
    fn stats(&self) -> Option<InformerStats>;

    /// Starts the informer as a task, unless it was started or has no handle.
    fn start(&self);
}

// === impl Slot ===

impl<T: StoredWith> Slot<T> {
    pub(super) fn new(
        client: Client,
        beside: (Arc<Gate>, Config),
        key: &EntryKey,
        dyntype: <T::Object as Resource>::DynamicType,
        settings: Arc<T::Settings>,
        number: u64,
    ) -> (Arc<Self>, Informer<T>) {
        let (gate, config) = beside;
        let api = Api::<T::Object>::all_with(client, &dyntype);
        let from = FromApi::new(api, dyntype).in_registry(gate).absent(T::ABSENT);
        let builder = Builder::new(from).scope(key.scope.clone()).config(config);
        let (informer, prepared) = builder.stored::<T>(settings.clone()).prepare();
        let (stop, tasks) = (prepared.stop().clone(), prepared.tasks().clone());
        let member = Member::new(number, key, informer.status_receiver(), stop, tasks);
        let idle = Idle { prepared, config: None, prerequisites: Vec::new(), informer: informer.clone() };
        let slot = Arc::new(Self {
            member: Arc::new(member),
            settings,
            informer: informer.downgrade(),
            idle: Mutex::new(Some(idle)),
        });
        let abandon: Weak<dyn Abandon> = Arc::downgrade(&slot) as _;
        informer.set_idle(abandon);
        (slot, informer)
    }

    /// Returns a handle, if the informer still has one.
    pub(super) fn informer(&self) -> Option<Informer<T>> {
        let held = lock(&self.idle).as_ref().map(|idle| idle.informer.clone());
        held.or_else(|| self.informer.upgrade())
    }

    /// The error for two different values of what all callers share.
    pub(super) fn conflict(&self, what: &'static str) -> Error {
        ErrorKind::Conflict { resource: self.member.name.clone(), what }.into()
    }

    /// Changes the informer before its start.
    pub(super) fn settle<R>(&self, change: impl FnOnce(&mut Idle<T>) -> R) -> Result<R, Error> {
        let mut idle = lock(&self.idle);
        if let Some(idle) = &mut *idle {
            return Ok(change(idle));
        }
        drop(idle);
        let resource = self.member.name.clone();
        Err(if self.member.is_started() {
            ErrorKind::AlreadyStarted { resource }.into()
        } else {
            ErrorKind::SharedStopped { resource }.into()
        })
    }
}

impl<T: StoredWith> AnySlot for Slot<T> {
    fn member(&self) -> &Arc<Member> {
        &self.member
    }

    fn is_live(&self) -> bool {
        !self.is_forgotten() && !self.member.is_stopped()
    }

    fn is_forgotten(&self) -> bool {
        self.informer.holders() == 0
    }

    fn stats(&self) -> Option<InformerStats> {
        let informer = self.informer()?;
        Some(InformerStats {
            kind: self.member.kind.clone(),
            scope: self.member.scope.clone(),
            stored: short_name(std::any::type_name::<T>()),
            status: informer.status(),
            stats: informer.stats(),
        })
    }

    fn start(&self) {
        let idle = {
            let mut idle = lock(&self.idle);
            if idle.is_some() {
                self.member.set_started();
            }
            idle.take()
        };
        let Some(Idle { prepared, prerequisites, informer, .. }) = idle else { return };
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
}

impl<T: StoredWith> Abandon for Slot<T> {
    fn abandon(&self) {
        let idle = lock(&self.idle).take();
        drop(idle);
    }
}

/// Waits for prerequisites; without end if one has stopped before it synced.
async fn all_synced(prerequisites: Vec<BoxFuture<'static, Result<(), Error>>>, stop: &CancellationToken) {
    if try_join_all(prerequisites).await.is_err() {
        stop.cancelled().await;
    }
}
