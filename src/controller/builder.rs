//! What a controller consists of, before it runs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use kube_core::Resource;

use super::changed::Predicate;
use super::handle::{Handle, Shared};
use super::owners::owners;
use super::settings::Settings;
use super::tenure::Sharding;
use super::trigger::{Primary, Trigger, Watched, World};
use crate::index::{Index, SelectorKey};
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::queue::Options;
use crate::subscribe::Change;

/// Runs a reconcile function for each object of an informer that changed, or that another change concerns.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use k8s_openapi::api::{apps::v1::Deployment, core::v1::{Pod, Secret}};
/// # use kube_client::{Api, api::{Patch, PatchParams}};
/// # use serde_json::json;
/// use kube_informer::controller::{Action, Context, Controller, changed};
/// use kube_informer::{Informer, Obj};
///
/// struct Shared {
///     api: Api<Deployment>,
/// }
///
/// async fn reconcile(deployment: Obj<Deployment>, ctx: Context<Shared>) -> Result<Action, kube_client::Error> {
///     let name = Obj::name(&deployment);
///     // Compare, and write only what differs. `ctx` dereferences to `Shared`.
///     if deployment.metadata.labels.is_none() {
///         let patch = Patch::Merge(json!({ "metadata": { "labels": { "app": name } } }));
///         let written = ctx.api.patch(name, &PatchParams::default(), &patch).await?;
///         ctx.written(&written); // the next reconcile sees this version or a later one
///     }
///     Ok(Action::requeue(Duration::from_secs(600)))
/// }
///
/// # async fn example(
/// #     deployments: Informer<Deployment>, pods: Informer<Pod>, secrets: Informer<Secret>, shared: Arc<Shared>,
/// # ) -> Result<(), kube_informer::Error> {
/// let controller = Controller::new(&deployments)
///     .when(changed::generation().or(changed::labels()))
///     .owns(&pods)
///     .watches(&secrets, |change, world, emit| {
///         for deployment in world.primary.iter().filter(|d| Obj::namespace(d) == change.key().namespace()) {
///             emit(Obj::key(deployment).to_owned());
///         }
///     })
///     .concurrency(4);
/// controller.run(reconcile, |_, _error, _| Action::retry(), shared).await?;
/// # Ok(())
/// # }
/// ```
///
/// - **Level-triggered.** A reconcile is given the newest object, not a change. Changes of one object during its
///   reconcile lead to one more reconcile. No two reconciles of one key run at the same time.
/// - **Complete caches.** The first reconcile begins when all informers of the controller have synced.
/// - **Own writes.** After [`Context::written`](super::Context::written), no reconcile of that object begins from an older version.
/// - **Priorities.** A change in a running cluster is reconciled before the objects of the initial list, and before
///   what a refresh found. See [`Priority`](crate::queue::Priority).
/// - **Contained.** A panic of a closure or of a reconcile concerns only its key.
///
/// `T` is what the informer stores. `S` is what the reconcile function is given: [`Obj<T>`], or `Option<Obj<T>>` after
/// [`with_deleted`](Self::with_deleted). The controller keeps its informers running.
pub struct Controller<T, S = Obj<T>> {
    pub(super) primary: Informer<T>,
    pub(super) triggers: Vec<Arc<dyn Trigger>>,
    pub(super) when: Option<Arc<dyn Predicate<T>>>,
    pub(super) settings: Settings,
    pub(super) sharding: Option<Box<dyn Sharding>>,
    pub(super) shared: Arc<Shared>,
    subject: PhantomData<fn() -> S>,
}

impl<T: Send + Sync + 'static> Controller<T> {
    /// A controller of the objects of this informer. Sends no request and starts no task before [`run`](Self::run).
    pub fn new(primary: &Informer<T>) -> Self {
        Self {
            primary: primary.clone(),
            triggers: Vec::new(),
            when: None,
            settings: Settings::new(),
            sharding: None,
            shared: Arc::new(Shared::new(primary.name())),
            subject: PhantomData,
        }
    }

    /// Reconciles keys without an object too: deleted objects, and keys that were emitted for an object that does not
    /// exist. The reconcile function is then given an `Option<Obj<T>>`, and the key as
    /// [`Context::key`](super::Context::key).
    ///
    /// Without this, such keys are skipped. Note that a delete is not seen while the controller does not run; a
    /// [`finalizer`](super::finalizer()) is the way to clean up for certain.
    #[must_use]
    pub fn with_deleted(self) -> Controller<T, Option<Obj<T>>> {
        let Self { primary, triggers, when, settings, sharding, shared, .. } = self;
        Controller { primary, triggers, when, settings, sharding, shared, subject: PhantomData }
    }
}

impl<T: Send + Sync + 'static, S> Controller<T, S> {
    /// Ignores modifications of primary objects for which the predicate is false. Additions, deletes, and objects that
    /// replace another one of the same name always lead to a reconcile. See [`changed`](super::changed). Replaces an
    /// earlier predicate.
    #[must_use]
    pub fn when(mut self, predicate: impl Predicate<T> + 'static) -> Self {
        self.when = Some(Arc::new(predicate));
        self
    }

    /// Reconciles the owner of a changed object: the primary object that its controller reference
    /// (`metadata.ownerReferences`, `controller: true`) names by group, kind and name, before the change and after it.
    /// controller-runtime's `Owns`.
    #[must_use]
    pub fn owns<O>(self, owned: &Informer<O>) -> Self
    where
        T: Resource<DynamicType: Default, Scope: 'static>,
        O: Resource + Send + Sync + 'static,
    {
        self.watches(owned, |change, _, emit| owners::<T, O>(change).for_each(emit))
    }

    /// Reconciles the keys that `keys` emits for each change of another kind.
    ///
    /// `keys` receives the change, the snapshots of both kinds ([`World`]), and a function that emits the key of a
    /// primary object. It runs on a task of the controller, and should be fast. If it panics, the keys that it has not
    /// emitted are lost; this is logged and counted.
    ///
    /// A reference that a primary object makes after the change needs no key: that change of the primary object leads
    /// to a reconcile, which reads the newest snapshot.
    #[must_use]
    pub fn watches<U, F>(mut self, watched: &Informer<U>, keys: F) -> Self
    where
        U: Send + Sync + 'static,
        F: Fn(Change<'_, U>, &World<'_, T, U>, &mut dyn FnMut(ObjectKey)) + Send + Sync + 'static,
    {
        self.triggers.push(Arc::new(Watched {
            primary: self.primary.clone(),
            watched: watched.clone(),
            keys: Arc::new(keys),
        }));
        self
    }

    /// Reconciles the primary objects that an index finds under the key of each changed object: those that refer to it.
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::{Pod, Secret};
    /// # use kube_client::Api;
    /// # use kube_informer::{Informer, ObjectKey, controller::Controller};
    /// # fn example(pods: Api<Pod>, secrets: Informer<Secret>) {
    /// let mut pods = Informer::builder(pods);
    /// let by_secret = pods.index(|pod: &Pod| -> Vec<ObjectKey> {
    ///     let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    ///     let secrets = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    ///     secrets.map(|secret| ObjectKey::new(namespace, &secret.name)).collect()
    /// });
    /// let controller = Controller::new(&pods.start()).watches_by_index(&secrets, by_secret);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer.
    #[must_use]
    #[track_caller]
    pub fn watches_by_index<U>(self, watched: &Informer<U>, index: Index<T, ObjectKey>) -> Self
    where
        U: Send + Sync + 'static,
    {
        self.primary.read(|view| drop(view.by_index(&index, &ObjectKey::cluster(""))));
        self.watches(watched, move |change, world, emit| {
            let primaries = world.primary.by_index(&index, &change.key().to_owned());
            primaries.for_each(|object| emit(Obj::key(object).to_owned()));
        })
    }

    /// Reconciles the primary objects that select each changed object, by its labels before and after the change: the
    /// Services of a Pod. The index is declared by [`index::selector`](crate::index::selector()).
    ///
    /// ```
    /// # use k8s_openapi::api::core::v1::{Pod, Service};
    /// # use kube_client::Api;
    /// # use kube_informer::{Informer, controller::Controller, index};
    /// # fn example(services: Api<Service>, pods: Informer<Pod>) {
    /// let mut services = Informer::builder(services);
    /// let by_selector = services.index(index::selector(|service: &Service| service.spec.as_ref()?.selector.clone()));
    /// let controller = Controller::new(&services.start()).watches_by_selector(&pods, by_selector);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the index belongs to another informer.
    #[must_use]
    #[track_caller]
    pub fn watches_by_selector<U>(self, watched: &Informer<U>, index: Index<T, SelectorKey>) -> Self
    where
        U: Resource + Send + Sync + 'static,
    {
        self.primary.read(|view| drop(view.selecting(&index, "", [("", ""); 0])));
        self.watches(watched, move |change, world, emit| {
            for object in change.old().into_iter().chain(change.new()) {
                let primaries = world.primary.selecting_object(&index, object);
                primaries.for_each(|object| emit(Obj::key(object).to_owned()));
            }
        })
    }

    /// Sets how many reconciles run at the same time. At least 1, which is the default (as in controller-runtime).
    #[must_use]
    pub fn concurrency(mut self, reconciles: usize) -> Self {
        self.settings.concurrency = reconciles.max(1);
        self
    }

    /// Sets the delays of [`Action::retry`](super::Action::retry), per key and for all keys. The default is
    /// client-go's: 5 ms, doubled up to 1000 s.
    #[must_use]
    pub fn retries(mut self, options: Options) -> Self {
        self.settings.retries = options;
        self
    }

    /// Limits the time of one reconcile. One that takes longer is dropped at its next `.await`, counts as a failure,
    /// and is retried with backoff. No limit by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets how long a key waits for a write of its own ([`Context::written`](super::Context::written)) to arrive in
    /// the informer. After that it is reconciled from the older version; this is logged and counted. 30 s by default.
    #[must_use]
    pub fn written_within(mut self, limit: Duration) -> Self {
        self.settings.written_within = limit;
        self
    }

    /// When the controller stops, reconciles all queued keys first, for at most this time; reconciles that still run
    /// then are aborted. This is the default, with 30 s.
    #[must_use]
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.settings.stop_within = limit;
        self.settings.drains = true;
        self
    }

    /// When the controller stops, discards the queued keys, and lets the running reconciles finish for at most this
    /// time. For leader election: a replica that lost its lease begins no further reconcile.
    #[must_use]
    pub fn finish_within(mut self, limit: Duration) -> Self {
        self.settings.stop_within = limit;
        self.settings.drains = false;
        self
    }

    /// Returns a handle, which stops the controller and returns its statistics while it runs. O(1).
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// All triggers, that of the primary objects last.
    pub(super) fn all_triggers(&self) -> Vec<Arc<dyn Trigger>> {
        let primary = Primary { informer: self.primary.clone(), when: self.when.clone() };
        let mut triggers = self.triggers.clone();
        triggers.push(Arc::new(primary));
        triggers
    }
}

impl<T, S> fmt::Debug for Controller<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<_> = self.triggers.iter().map(|trigger| trigger.name().to_owned()).collect();
        f.debug_struct("Controller")
            .field("primary", &self.shared.name)
            .field("watched", &watched)
            .finish_non_exhaustive()
    }
}
