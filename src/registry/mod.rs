//! Shared informers: each part of an application declares what it needs, and each kind is listed and watched once.
//!
//! ```text
//!  part A --declare::<Nad>(), index-----.
//!  part B --declare::<Nad>(), index------+--> entry (Nad, kind, scope) --start--> Informer<Nad>
//!  part C --declare::<Subnet>(), after --'--> entry (Subnet, ..), waits for Nad
//! ```

mod entry_key;
mod informer_stats;
mod member;
mod not_synced;
mod shared_informer;
mod slot;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::{DashMap, Entry};
use futures_util::future::{join_all, try_join_all};
use kube_client::Client;
use kube_core::Resource;

use self::entry_key::EntryKey;
pub use self::informer_stats::InformerStats;
use self::member::{Member, Patience, lock};
pub use self::not_synced::NotSynced;
pub use self::shared_informer::SharedInformer;
use self::slot::{AnySlot, Slot};
use crate::config::Config;
use crate::error::Error;
use crate::reflector::Gate;
use crate::scope::Scope;
pub use crate::stored::{Projected, Stored, StoredWith};

/// The informers of one client, shared by all parts of an application (client-go's `SharedInformerFactory`).
///
/// ```
/// use std::time::Duration;
///
/// use k8s_openapi::api::core::v1::{Node, Pod};
/// use kube_client::Client;
/// use kube_informer::{Error, Index, Informer, Registry, Scope};
/// use tokio::time::timeout;
///
/// /// One part of an application. Other parts may declare the same kinds, and then share the informers.
/// struct Drainer {
///     nodes: Informer<Node>,
///     pods: Informer<Pod>,
///     by_node: Index<Pod, String>,
/// }
///
/// impl Drainer {
///     fn new(registry: &Registry) -> Result<Self, Error> {
///         let nodes = registry.declare::<Node>();
///         let pods = registry.declare::<Pod>();
///         pods.after(&nodes)?;
///         let by_node = pods.index(|pod: &Pod| pod.spec.as_ref()?.node_name.clone())?;
///         Ok(Self { nodes: nodes.informer(), pods: pods.informer(), by_node })
///     }
/// }
///
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = kube_informer::testing::ApiServer::builder()
/// #     .kind(kube_informer::testing::Kind::cluster("", "v1", "Node", "nodes").built_in())
/// #     .kind(kube_informer::testing::Kind::namespaced("", "v1", "Pod", "pods").built_in())
/// #     .build();
/// # let client = Client::new(server.service(), "default");
/// let registry = Registry::new(client);
/// let drainer = Drainer::new(&registry)?;
/// let system = registry.declare_in::<Pod>(Scope::namespace("kube-system")).informer(); // another scope, another informer
/// registry.start();
/// if timeout(Duration::from_secs(30), registry.synced()).await.is_err() {
///     for missing in registry.not_synced() {
///         eprintln!("{missing}"); // pods: listing; list pods: the API server returned 403 Forbidden
///     }
/// }
/// assert_eq!(drainer.pods.read(|pods| pods.by_index(&drainer.by_node, "node-1").len()), 0);
/// # assert!(drainer.nodes.is_synced() && drainer.pods.is_synced() && system.is_synced());
/// registry.shutdown().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))]
/// # fn main() {}
/// ```
///
/// There is one informer for each stored type, kind (group, version and plural), and [`Scope`]. Equal declarations
/// share one informer: its objects, its indexes and its watch.
///
/// - **Declare.** Each part declares the kinds it needs and keeps the handles. Until the start, any part may add
///   indexes, set the configuration, or make the informer wait for another.
/// - **Start.** [`start`](Self::start) starts all declared informers, in the order of declaration. Informers declared
///   later start with the next call.
/// - **Wait.** [`synced`](Self::synced) waits for all of them. [`not_synced`](Self::not_synced) lists those that are
///   missing, with the reason.
///
/// The registry keeps informers alive until they are started. After that it has weak references only: an informer runs
/// until its last [`Informer`](crate::Informer), [`SharedInformer`] and [`Subscription`](crate::Subscription) are
/// dropped, and a later declaration makes a new one. Dropping the registry does not stop a running informer; informers
/// that were never started end with it.
///
/// No consistency guarantee spans two informers of a registry.
///
/// Cloning copies a pointer.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: Mutex<Config>,
    gate: Arc<Gate>,
    /// Hold no guard over an await, or while application code runs.
    entries: DashMap<EntryKey, Arc<dyn AnySlot>>,
    declared: AtomicU64,
    /// Informers that may still run, even without handles. A declaration removes those that have ended.
    running: Mutex<Vec<Arc<Member>>>,
}

impl Registry {
    /// Creates a registry of informers that use this client.
    ///
    /// While the server cannot be reached, one informer retries and the others wait for it, so that the number of
    /// requests does not grow with the number of informers.
    pub fn new(client: Client) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                config: Mutex::new(Config::new()),
                gate: Arc::default(),
                entries: DashMap::new(),
                declared: AtomicU64::new(0),
                running: Mutex::default(),
            }),
        }
    }

    /// Sets the configuration of all informers declared from now on. [`SharedInformer::config`] sets that of one
    /// informer.
    #[must_use]
    pub fn with_config(self, config: Config) -> Self {
        *lock(&self.inner.config) = config;
        self
    }

    /// Declares an informer of all objects of a kind, or returns a handle to the one declared before. Sends no request
    /// before [`start`](Self::start). Allocates; O(declared informers) for a new one.
    pub fn declare<T: Stored>(&self) -> SharedInformer<T>
    where
        <T::Object as Resource>::DynamicType: Default,
    {
        self.declare_in(Scope::all())
    }

    /// [`declare`](Self::declare) for the objects of one scope.
    pub fn declare_in<T: Stored>(&self, scope: Scope) -> SharedInformer<T>
    where
        <T::Object as Resource>::DynamicType: Default,
    {
        self.declare_with(scope, Default::default())
    }

    /// [`declare_in`](Self::declare_in) for a kind known only at run time, such as `DynamicObject`.
    pub fn declare_with<T: Stored>(
        &self,
        scope: Scope,
        dyntype: <T::Object as Resource>::DynamicType,
    ) -> SharedInformer<T> {
        self.shared(scope, dyntype, Arc::new(()))
    }

    /// [`declare_with`](Self::declare_with) for a type whose projection depends on settings of the application
    /// ([`StoredWith`]). For a kind known at compile time, `dyntype` is `()`.
    ///
    /// The settings of the first declaration hold for all callers that share the informer, until its last handle is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] if an earlier declaration had different settings, which stay.
    pub fn declare_projected<T: StoredWith>(
        &self,
        scope: Scope,
        dyntype: <T::Object as Resource>::DynamicType,
        settings: T::Settings,
    ) -> Result<SharedInformer<T>, Error> {
        let settings = Arc::new(settings);
        let shared = self.shared::<T>(scope, dyntype, settings.clone());
        shared.agree(&settings)?;
        Ok(shared)
    }

    /// The informer declared before, whatever its settings, or a new one.
    fn shared<T: StoredWith>(
        &self,
        scope: Scope,
        dyntype: <T::Object as Resource>::DynamicType,
        settings: Arc<T::Settings>,
    ) -> SharedInformer<T> {
        let entries = &self.inner.entries;
        let key = EntryKey::new::<T>(scope, &dyntype);
        let known = entries.get(&key).map(|slot| slot.value().clone());
        if let Some(declared) = known.as_ref().and_then(declared) {
            return declared;
        }
        let number = self.inner.declared.fetch_add(1, Ordering::Relaxed);
        let client = self.inner.client.clone();
        let beside = (self.inner.gate.clone(), lock(&self.inner.config).clone());
        let (slot, informer) = Slot::<T>::new(client, beside, &key, dyntype, settings, number);
        // Remove ended entries, which would accumulate if scopes are declared and dropped repeatedly.
        let mut ended = Vec::new(); // dropped after the guards: it may contain closures of the application
        entries.retain(|_, slot| {
            let live = slot.is_live();
            ended.extend((!live).then(|| slot.clone()));
            live
        });
        loop {
            let known = match entries.entry(key.clone()) {
                Entry::Occupied(known) if known.get().is_live() => known.get().clone(),
                Entry::Occupied(mut other) => {
                    ended.push(other.insert(slot.clone()));
                    break;
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(slot.clone());
                    break;
                }
            };
            // Another thread has declared it meanwhile.
            if let Some(declared) = declared(&known) {
                return declared;
            }
        }
        self.inner.remember(&slot.member);
        SharedInformer::new(slot, informer)
    }

    /// Starts all informers declared since the last start, as tasks on the current tokio runtime, in the order of
    /// declaration.
    ///
    /// An informer that waits for others ([`SharedInformer::after`]) lists once those have synced.
    ///
    /// From here on the registry does not keep an informer alive. An informer without handles is not started, and is
    /// removed from the registry.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(&self) {
        for slot in self.slots() {
            slot.start();
        }
    }

    /// Waits until all declared informers have synced, including those declared meanwhile (client-go's
    /// `WaitForCacheSync`).
    ///
    /// Call [`start`](Self::start) first. A kind that is not installed counts as synced with
    /// [`Absent::Empty`](crate::Absent::Empty) and [`Absent::Clear`](crate::Absent::Clear).
    ///
    /// The wait continues through all errors of the API server, denied permissions included. Use a timeout, and call
    /// [`not_synced`](Self::not_synced) when it expires. Cancel-safe: a later call waits for the rest.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`] if an informer that still has a handle stops first; the error names its kind.
    pub async fn synced(&self) -> Result<(), Error> {
        self.all_synced(Patience::Endless).await
    }

    /// [`synced`](Self::synced), but returns early on an error that retrying will not fix, as
    /// [`Informer::synced_or_blocked`](crate::Informer::synced_or_blocked) does. The informers themselves continue to
    /// retry. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The error of the API server, which names the kind, or [`Error::is_stopped`].
    pub async fn synced_or_blocked(&self) -> Result<(), Error> {
        self.all_synced(Patience::UntilBlocked).await
    }

    /// Lists the informers that have not synced, with the reason, in the order of declaration. Allocates.
    pub fn not_synced(&self) -> Vec<NotSynced> {
        self.slots().iter().filter_map(|slot| slot.member().not_synced()).collect()
    }

    /// Returns the status and the statistics of each informer, in the order of declaration. O(informers), and allocates;
    /// see [`Informer::stats`](crate::Informer::stats) for the cost of one.
    ///
    /// ```no_run
    /// # fn example(registry: &kube_informer::Registry) {
    /// for informer in registry.stats() {
    ///     println!("{informer}"); // pods in shop: watching, 3 objects at version 42, last event 0.4s ago, ..
    /// }
    /// # }
    /// ```
    pub fn stats(&self) -> Vec<InformerStats> {
        self.slots().iter().filter_map(|slot| slot.stats()).collect()
    }

    /// Returns the informers that have synced and may have been behind the API server for longer than `limit`, in the
    /// order of declaration.
    ///
    /// Those that have stopped are among them. O(informers), and allocates.
    ///
    /// An informer is stale for a moment after each watch that ends, and between the lists of a kind that is polled
    /// ([`Config::poll_interval`]), so a limit of a minute or more is sensible. [`not_synced`](Self::not_synced) has the
    /// informers that have not synced. `docs/OBSERVING.md` makes readiness and liveness probes of both.
    pub fn stale(&self, limit: Duration) -> Vec<InformerStats> {
        let mut stats = self.stats();
        stats.retain(|informer| informer.status.synced && informer.stale_for() > limit);
        stats
    }

    /// Stops every informer declared here, including those that still have handles, and waits until their tasks have
    /// ended.
    ///
    /// Cancel-safe: once first polled, all of them stop even if the call is dropped.
    ///
    /// Snapshots stay readable. A declaration after this makes a new informer.
    pub async fn shutdown(&self) {
        // `running` includes informers without handles, which may not have ended yet. Read the entries last:
        // an informer that was just declared is in them before it is in `running`.
        let running = lock(&self.inner.running).clone();
        for slot in self.slots().iter().rev() {
            slot.member().stop();
            slot.abandon();
        }
        running.iter().for_each(|member| member.stop());
        join_all(running.iter().map(|member| member.ended())).await;
    }

    async fn all_synced(&self, patience: Patience) -> Result<(), Error> {
        loop {
            let mut slots = self.slots();
            slots.retain(|slot| !slot.member().is_synced());
            if slots.is_empty() {
                return Ok(());
            }
            try_join_all(slots.into_iter().map(|slot| synced(slot, patience))).await?;
        }
    }

    /// The entries in use, in the order of declaration.
    fn slots(&self) -> Vec<Arc<dyn AnySlot>> {
        let mut slots: Vec<_> = self.inner.entries.iter().map(|entry| entry.value().clone()).collect();
        slots.retain(|slot| !slot.is_forgotten());
        slots.sort_by_key(|slot| slot.member().number);
        slots
    }
}

async fn synced(slot: Arc<dyn AnySlot>, patience: Patience) -> Result<(), Error> {
    match slot.member().synced(patience).await {
        // Do not wait for an informer without handles.
        Err(_) if slot.is_forgotten() => Ok(()),
        synced => synced,
    }
}

/// A handle to an entry, if it is in use. The entry's key implies its type.
fn declared<T: StoredWith>(slot: &Arc<dyn AnySlot>) -> Option<SharedInformer<T>> {
    let slot = (slot.clone() as Arc<dyn Any + Send + Sync>).downcast::<Slot<T>>().ok()?;
    let informer = slot.informer().filter(|_| !slot.member.is_stopped())?;
    Some(SharedInformer::new(slot, informer))
}

impl Inner {
    /// Records an entry until it has ended, so that [`shutdown`](Registry::shutdown) waits for it.
    fn remember(&self, member: &Arc<Member>) {
        let mut ended = Vec::new(); // dropped without the lock
        let mut running = lock(&self.running);
        running.retain(|member| {
            let ends = member.has_ended();
            ended.extend(ends.then(|| member.clone()));
            !ends
        });
        running.push(member.clone());
    }
}

impl Drop for Inner {
    /// Ends the waits for informers that were not started.
    fn drop(&mut self) {
        let slots: Vec<_> = self.entries.iter().map(|entry| entry.value().clone()).collect();
        slots.iter().for_each(|slot| slot.abandon());
    }
}

/// One line: each kind with its phase, or the reason why it has not synced.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots();
        let mut list = f.debug_list();
        for member in slots.iter().map(|slot| slot.member()) {
            match member.not_synced() {
                Some(missing) => list.entry(&format_args!("{missing}")),
                None => list.entry(&format_args!("{}: {:?}", member.name, member.phase())),
            };
        }
        list.finish()
    }
}
