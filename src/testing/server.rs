//! [`ApiServer`]: the handle of a server, with direct access to what it stores.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::access::Rule;
use super::definition;
use super::delete::DeleteOptions;
use super::faults::Fault;
use super::install::install;
use super::kind::Kind;
use super::list::Query;
use super::requests::Requests;
use super::serve::Serving;
use super::service::ApiService;
use super::shared::{Shared, lock};
use super::state::key;
use super::status::ApiStatus;
use super::write::{By, Edit, Target};

/// A Kubernetes API server in this process.
///
/// Cloning copies a pointer. All clones are the same server, which lives as long as a clone, a [`service`] or a
/// [`Serving`] exists. It has no task of its own.
///
/// The methods that read and write objects have the same effect as the request over HTTP, but without authorization,
/// latency, faults and the request log. Use them to prepare a test and to change objects during it. They take one short
/// lock and do not block otherwise. Their field manager is `test`. The name of a resource is `pods` or
/// `subnets.kubeovn.io`; the namespace is `None` for a cluster-scoped kind.
///
/// ```
/// # fn main() -> Result<(), kube_informer::testing::ApiStatus> {
/// use kube_informer::testing::{ApiServer, Kind};
/// use serde_json::json;
///
/// let server = ApiServer::builder().kind(Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets")).build();
/// let subnet = server.create(json!({
///     "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
///     "metadata": { "name": "ovn-default" }, "spec": { "cidrBlock": "10.16.0.0/16" },
/// }))?;
/// assert_eq!(subnet["metadata"]["generation"], 1);
/// server.delete("subnets.kubeovn.io", None, "ovn-default")?;
/// assert_eq!(server.get("subnets.kubeovn.io", None, "ovn-default").unwrap_err().code(), 404);
/// # Ok(())
/// # }
/// ```
///
/// [`service`]: ApiServer::service
#[derive(Clone, Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

impl ApiServer {
    pub(super) fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Returns the server as a tower service, for clients that accept one in place of a network. O(1).
    ///
    /// ```
    /// use kube_informer::testing::ApiServer;
    ///
    /// let server = ApiServer::new();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # let _entered = runtime.enter();
    /// let client = kube_client::Client::new(server.service(), "default");
    /// ```
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService::new(self.shared.clone())
    }

    /// Serves HTTP/1.1 on a free loopback port until the returned [`Serving`] is shut down or dropped.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn serve(&self) -> std::io::Result<Serving> {
        Serving::start(self.service()).await
    }

    /// Creates an object of the kind and namespace that it names. The default namespace of a namespaced object is
    /// `default`.
    ///
    /// # Errors
    /// The error of the API: unknown kind, missing namespace, invalid name, existing name, ...
    pub fn create(&self, object: Value) -> Result<Value, ApiStatus> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object).ok_or_else(ApiStatus::no_such_resource)?;
        let namespace = kind.is_namespaced().then(|| match super::object::meta_str(&object, "namespace") {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        });
        state
            .create(&kind.name(), namespace.as_deref(), object, By::TEST)
            .map(|stored| stored.value().clone())
    }

    /// Replaces the object with the kind, namespace and name of this one.
    ///
    /// A `resourceVersion` in it is a precondition; custom resources need one. If the status is a subresource, a change
    /// of it is ignored.
    ///
    /// # Errors
    /// The error of the API: not found, conflict, ...
    pub fn update(&self, object: Value) -> Result<Value, ApiStatus> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object).ok_or_else(ApiStatus::no_such_resource)?;
        let meta = |field| super::object::meta_str(&object, field).to_owned();
        let (namespace, name) = (meta("namespace"), meta("name"));
        let namespace = match namespace.as_str() {
            "" if kind.is_namespaced() => Some("default"),
            "" => None,
            namespace => Some(namespace),
        };
        let target = Target { resource: &kind.name(), namespace, name: &name, status: false, by: By::TEST };
        state.edit(target, Edit::Replace(object)).map(|stored| stored.value().clone())
    }

    /// Applies a merge patch (RFC 7386). A `resourceVersion` in it is a precondition.
    ///
    /// # Errors
    /// The error of the API: not found, conflict, ...
    pub fn merge_patch<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
        patch: Value,
    ) -> Result<Value, ApiStatus> {
        self.patch(resource, namespace.into(), name, patch, false)
    }

    /// Applies a merge patch to the status subresource. All but the status is ignored, as in the API.
    ///
    /// # Errors
    /// The error of the API; 404 for a kind without the subresource.
    pub fn patch_status<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
        patch: Value,
    ) -> Result<Value, ApiStatus> {
        self.patch(resource, namespace.into(), name, patch, true)
    }

    fn patch(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        patch: Value,
        status: bool,
    ) -> Result<Value, ApiStatus> {
        let target = Target { resource, namespace, name, status, by: By::TEST };
        self.shared.state().edit(target, Edit::Merge(patch)).map(|stored| stored.value().clone())
    }

    /// Deletes an object, and returns the response of the API: a `Status`, or the object. An object with finalizers is
    /// marked, and stays until its finalizers are removed.
    ///
    /// # Errors
    /// The error of the API: not found.
    pub fn delete<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Value, ApiStatus> {
        let mut state = self.shared.state();
        let id = state.resolve(resource)?;
        let kind = state.collection(id)?.kind().clone();
        let deleted = state.delete(resource, namespace.into(), name, &DeleteOptions::default())?;
        Ok(deleted.answer(&kind))
    }

    /// Returns the newest version of an object. O(log n); clones the object.
    ///
    /// # Errors
    /// The object is not found, or the kind is not served.
    pub fn get<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Value, ApiStatus> {
        let state = self.shared.state();
        let collection = state.collection(state.resolve(resource)?)?;
        match collection.get(&key(namespace.into(), name)) {
            Some(object) => Ok(object.value().clone()),
            None => Err(ApiStatus::not_found(collection.kind(), name)),
        }
    }

    /// Returns the list of the objects of a namespace, or of all namespaces (`None`), in the order of their keys.
    /// Clones the objects.
    ///
    /// # Errors
    /// The kind is not served.
    pub fn list<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
    ) -> Result<Value, ApiStatus> {
        let state = self.shared.state();
        let id = state.resolve(resource)?;
        let page = state.list(id, namespace.into(), &Query::default())?;
        Ok(page.to_value(state.collection(id)?.kind()))
    }

    /// The number of objects of a resource; 0 for a kind that is not served. O(1).
    #[must_use]
    pub fn count(&self, resource: &str) -> usize {
        let state = self.shared.state();
        state.find(resource).and_then(|id| state.collection(id).ok()).map_or(0, |all| all.len())
    }

    /// The version of the newest write to any object. O(1).
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.state().version()
    }

    /// Adds a kind to those that the server serves. For a custom resource, this also creates its
    /// CustomResourceDefinition, as a POST of the definition does.
    ///
    /// # Errors
    /// If the definition cannot be stored.
    pub fn install(&self, kind: Kind) -> Result<(), ApiStatus> {
        install(&mut self.shared.state(), kind)
    }

    /// Stops serving a kind, as the deletion of its definition does. Returns false if the kind was not served.
    ///
    /// Its objects are deleted, its watches deliver these deletions and end, and then its paths return 404.
    pub fn uninstall(&self, resource: &str) -> bool {
        let mut state = self.shared.state();
        let options = DeleteOptions::default();
        match state.delete(definition::DEFINITIONS, None, resource, &options) {
            Ok(_) => true,
            Err(_) => state.unserve(resource),
        }
    }

    /// Drops the history up to `version`, as a compaction of etcd does. Lists, pages and watches at an older version
    /// get 410, and open watches that are behind get an ERROR event.
    pub fn compact(&self, version: u64) {
        self.shared.state().compact(version);
    }

    /// Drops all history. See [`compact`](Self::compact).
    pub fn compact_all(&self) {
        self.compact(u64::MAX);
    }

    /// Returns the requests so far, over HTTP and over the service. Clones the log.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.log().clone()
    }

    /// Clears the request log.
    pub fn reset_requests(&self) {
        *self.shared.log() = Requests::default();
    }

    /// Sets how long the server waits before it responds to a request, from now on. See
    /// [`ApiServerBuilder::latency`](super::ApiServerBuilder::latency).
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.shared.latency) = latency;
    }

    /// Sets whether the server knows shards, as [`shards`](super::ApiServerBuilder::shards) of the builder does, for requests
    /// from now on. With [`disconnect_watches`](Self::disconnect_watches), it is as an upgrade or a downgrade of the server.
    pub fn set_shards(&self, known: bool) {
        self.shared.knows_shards.store(known, Ordering::Relaxed);
    }

    /// Registers a bearer token for `user`. After the first one, requests without a registered token get 401.
    pub fn add_token(&self, token: &str, user: &str) {
        self.shared.access().add_token(token, user);
    }

    /// Removes a bearer token.
    pub fn remove_token(&self, token: &str) {
        self.shared.access().remove_token(token);
    }

    /// Allows the requests that the rule applies to. It overrides earlier rules.
    pub fn allow(&self, rule: Rule) {
        self.shared.access().add_rule(rule, true);
    }

    /// Denies the requests that the rule applies to, with 403. It overrides earlier rules. Open watches stay open, as
    /// on a real server.
    pub fn deny(&self, rule: Rule) {
        self.shared.access().add_rule(rule, false);
    }

    /// Ends every open watch cleanly.
    pub fn disconnect_watches(&self) {
        self.shared.hang_up.send_modify(|count| *count += 1);
    }

    /// Adds a fault. If several faults apply to a request, the one added first is used.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// Removes all faults. Requests that hang continue to hang.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }
}
