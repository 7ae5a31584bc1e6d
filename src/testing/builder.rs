//! [`ApiServerBuilder`]: what a server serves, and how.

use std::time::Duration;

use super::access::{Access, Rule};
use super::default_kinds;
use super::install::install;
use super::kind::Kind;
use super::server::ApiServer;
use super::shared::{Settings, Shared};
use super::state::State;

/// Builds an [`ApiServer`]. From [`ApiServer::builder`].
#[derive(Debug)]
pub struct ApiServerBuilder {
    kinds: Vec<Kind>,
    built_ins: bool,
    version: u64,
    history: usize,
    bookmark_interval: Duration,
    latency: Duration,
    managed_fields: bool,
    garbage_collection: bool,
    shards: bool,
    access: Access,
}

impl ApiServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            kinds: Vec::new(),
            built_ins: true,
            version: 1,
            history: 100_000,
            bookmark_interval: Duration::from_secs(60),
            latency: Duration::ZERO,
            managed_fields: false,
            garbage_collection: false,
            shards: false,
            access: Access::default(),
        }
    }

    /// Adds a kind to those that the server serves.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Serves only CustomResourceDefinitions and the kinds that [`kind`](ApiServerBuilder::kind) adds. Without a
    /// Namespace kind, objects can be created in any namespace.
    #[must_use]
    pub fn without_built_ins(self) -> Self {
        Self { built_ins: false, ..self }
    }

    /// Sets the resourceVersion before the first write. Default: 1.
    #[must_use]
    pub fn start_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Sets how many changes of each kind the server remembers, which bounds its memory. Default: 100,000. A watch from
    /// an older version gets 410.
    #[must_use]
    pub fn history(self, changes: usize) -> Self {
        Self { history: changes, ..self }
    }

    /// Sets the time between two bookmarks of a watch that requests them. Default: one minute, as in kube-apiserver.
    #[must_use]
    pub fn bookmark_interval(self, interval: Duration) -> Self {
        Self { bookmark_interval: interval, ..self }
    }

    /// Sets how long the server waits before it responds to a request. Default: no wait. The timer of tokio rounds the
    /// wait up to whole milliseconds.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Sets whether objects have `metadata.managedFields`, as on a real server. Default: off, which saves memory and
    /// the time to send them. Server-side apply works either way.
    #[must_use]
    pub fn managed_fields(self, shown: bool) -> Self {
        Self { managed_fields: shown, ..self }
    }

    /// Sets whether dependents are deleted with their owners, as by the garbage collector of a cluster. Default: off,
    /// as on a kube-apiserver without a controller manager.
    ///
    /// With `propagationPolicy` `Background` (the default), the request that deletes the owner also deletes its
    /// dependents. With `Foreground`, the request that removes the last blocking dependent also removes the owner. With
    /// `Orphan`, the references are removed. An object is deleted as soon as it is written with owner references of
    /// which none exists. A delete costs O(dependents).
    #[must_use]
    pub fn garbage_collection(self, collects: bool) -> Self {
        Self { garbage_collection: collects, ..self }
    }

    /// Sets whether the server knows the parameter `shardSelector` of lists and watches, as with the feature gate
    /// `ShardedListAndWatch` of Kubernetes 1.36. Default: off, as there; it ignores the parameter.
    /// [`ApiServer::set_shards`] changes it later.
    #[must_use]
    pub fn shards(self, known: bool) -> Self {
        Self { shards: known, ..self }
    }

    /// Registers a bearer token for `user`. From then on, requests without a registered token get 401.
    #[must_use]
    pub fn token(mut self, token: &str, user: &str) -> Self {
        self.access.add_token(token, user);
        self
    }

    /// Allows the requests that the rule applies to. It overrides earlier rules.
    #[must_use]
    pub fn allow(mut self, rule: Rule) -> Self {
        self.access.add_rule(rule, true);
        self
    }

    /// Denies the requests that the rule applies to, with 403. It overrides earlier rules.
    #[must_use]
    pub fn deny(mut self, rule: Rule) -> Self {
        self.access.add_rule(rule, false);
        self
    }

    /// Builds the server, with the namespaces `default`, `kube-node-lease`, `kube-public` and `kube-system`.
    ///
    /// # Panics
    /// If a kind given to [`kind`](ApiServerBuilder::kind) has an invalid name (`plural.group` must be a DNS name).
    #[must_use]
    #[track_caller]
    pub fn build(self) -> ApiServer {
        let mut state = State::new(self.version, self.history, self.managed_fields, self.garbage_collection);
        if self.built_ins {
            default_kinds::all().into_iter().for_each(|kind| state.serve(kind));
        } else {
            state.serve(default_kinds::definitions());
        }
        let founded = state
            .found()
            .and_then(|()| self.kinds.into_iter().try_for_each(|kind| install(&mut state, kind)));
        if let Err(status) = founded {
            panic!("the server cannot be built: {status}");
        }
        let settings = Settings { bookmark_interval: self.bookmark_interval };
        ApiServer::of(Shared::new(state, self.access, settings, self.latency, self.shards))
    }
}

impl ApiServer {
    /// Creates a server of the usual built-in kinds. It allows all requests.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns the builder of a server with other kinds, or with settings such as tokens and latency.
    #[must_use]
    pub fn builder() -> ApiServerBuilder {
        ApiServerBuilder::new()
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}
