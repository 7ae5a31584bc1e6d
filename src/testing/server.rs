//! [`ApiServer`]: the handle that tests hold, and direct access to what the server stores.

use std::sync::Arc;
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
use super::status::Status;
use super::write::{Edit, Target};

/// A Kubernetes API server in this process.
///
/// Cheap to clone; all clones are the same server, and it lives as long as one of them, a [`service`] or a
/// [`Serving`] does. It runs no task of its own.
///
/// The functions that read and write objects do what the same request over HTTP does, without authorization,
/// latency, faults and the request log: for arranging a test and for driving load. They take one short lock and
/// never block for anything else. Resources are called `pods` or `subnets.kubeovn.io`; the namespace is `None`
/// for cluster-scoped ones.
///
/// ```
/// # fn main() -> Result<(), kube_informer::testing::Status> {
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

    /// The server as a tower service, for clients that take one instead of a network. Cheap.
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

    /// Serves HTTP/1.1 on a free loopback port until the result is shut down or dropped.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn serve(&self) -> std::io::Result<Serving> {
        Serving::start(self.service()).await
    }

    /// Creates an object; the kind follows from its `apiVersion` and `kind`, the namespace from its metadata
    /// (`default` when a namespaced object names none).
    ///
    /// # Errors
    /// What the API would answer: unknown kind, missing namespace, invalid name, name taken, ...
    pub fn create(&self, object: Value) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object).ok_or_else(Status::no_such_resource)?;
        let namespace = kind.is_namespaced().then(|| match super::object::meta_str(&object, "namespace") {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        });
        state.create(&kind.name(), namespace.as_deref(), object, false).map(|stored| stored.value().clone())
    }

    /// Replaces an object, found by its own kind, namespace and name. A `resourceVersion` in it is a
    /// precondition, and custom resources must carry one. A change of the status is ignored where the status is a
    /// subresource.
    ///
    /// # Errors
    /// What the API would answer: not found, conflict, ...
    pub fn update(&self, object: Value) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object).ok_or_else(Status::no_such_resource)?;
        let meta = |field| super::object::meta_str(&object, field).to_owned();
        let (namespace, name) = (meta("namespace"), meta("name"));
        let namespace = match namespace.as_str() {
            "" if kind.is_namespaced() => Some("default"),
            "" => None,
            namespace => Some(namespace),
        };
        let target = Target { resource: &kind.name(), namespace, name: &name, status: false, dry_run: false };
        state.edit(target, Edit::Replace(object)).map(|stored| stored.value().clone())
    }

    /// Applies a merge patch (RFC 7386); a `resourceVersion` in it is a precondition.
    ///
    /// # Errors
    /// What the API would answer: not found, conflict, ...
    pub fn merge_patch<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
        patch: Value,
    ) -> Result<Value, Status> {
        self.patch(resource, namespace.into(), name, patch, false)
    }

    /// Applies a merge patch to the status subresource; all but the status is ignored, as the API does.
    ///
    /// # Errors
    /// What the API would answer; 404 for a kind without the subresource.
    pub fn patch_status<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
        patch: Value,
    ) -> Result<Value, Status> {
        self.patch(resource, namespace.into(), name, patch, true)
    }

    fn patch(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        patch: Value,
        status: bool,
    ) -> Result<Value, Status> {
        let target = Target { resource, namespace, name, status, dry_run: false };
        self.shared.state().edit(target, Edit::Merge(patch)).map(|stored| stored.value().clone())
    }

    /// Deletes an object; one with finalizers is marked and stays until they are gone. The answer is what the
    /// API sends: a Status, or the object.
    ///
    /// # Errors
    /// What the API would answer: not found.
    pub fn delete<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let id = state.resolve(resource)?;
        let kind = state.collection(id)?.kind().clone();
        let deleted = state.delete(resource, namespace.into(), name, &DeleteOptions::default())?;
        Ok(deleted.answer(&kind))
    }

    /// The newest version of an object. O(log n) and a clone of it.
    ///
    /// # Errors
    /// Not found, or a kind that is not served.
    pub fn get<'a>(
        &self,
        resource: &str,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Value, Status> {
        let state = self.shared.state();
        let collection = state.collection(state.resolve(resource)?)?;
        match collection.get(&key(namespace.into(), name)) {
            Some(object) => Ok(object.value().clone()),
            None => Err(Status::not_found(collection.kind(), name)),
        }
    }

    /// The list object with every object of a namespace, or of all (`None`), in key order. Clones them.
    ///
    /// # Errors
    /// A kind that is not served.
    pub fn list<'a>(&self, resource: &str, namespace: impl Into<Option<&'a str>>) -> Result<Value, Status> {
        let state = self.shared.state();
        let id = state.resolve(resource)?;
        let page = state.list(id, namespace.into(), &Query::default())?;
        Ok(page.to_value(state.collection(id)?.kind()))
    }

    /// How many objects of a resource there are; 0 for a kind that is not served. O(1).
    #[must_use]
    pub fn count(&self, resource: &str) -> usize {
        let state = self.shared.state();
        state.find(resource).and_then(|id| state.collection(id).ok()).map_or(0, |all| all.len())
    }

    /// The version of the newest write to anything. O(1).
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.state().version()
    }

    /// Serves another kind from now on. A custom one gets a CustomResourceDefinition, as if it had been posted.
    ///
    /// # Errors
    /// When its definition cannot be stored.
    pub fn install(&self, kind: Kind) -> Result<(), Status> {
        install(&mut self.shared.state(), kind)
    }

    /// Stops serving a kind, as deleting its definition does: its objects are deleted, its watches see that and
    /// end, then its paths answer 404. False when it was not served.
    pub fn uninstall(&self, resource: &str) -> bool {
        let mut state = self.shared.state();
        let options = DeleteOptions::default();
        match state.delete(definition::DEFINITIONS, None, resource, &options) {
            Ok(_) => true,
            Err(_) => state.unserve(resource),
        }
    }

    /// Forgets the history up to `version`, as etcd's compaction does: lists, pages and watches at an older one
    /// get 410, open watches that are behind get the ERROR event.
    pub fn compact(&self, version: u64) {
        self.shared.state().compact(version);
    }

    /// Forgets all history.
    pub fn compact_all(&self) {
        self.compact(u64::MAX);
    }

    /// What was asked over HTTP or the service so far. Clones the log.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.log().clone()
    }

    /// Starts the request log anew.
    pub fn reset_requests(&self) {
        *self.shared.log() = Requests::default();
    }

    /// Makes every request from now on wait this long before it is answered.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.shared.latency) = latency;
    }

    /// Registers a bearer token for `user`. After the first one, requests without a registered token get 401.
    pub fn add_token(&self, token: &str, user: &str) {
        self.shared.access().add_token(token, user);
    }

    /// Makes `token` unknown again.
    pub fn remove_token(&self, token: &str) {
        self.shared.access().remove_token(token);
    }

    /// Allows what the rule describes, against older rules.
    pub fn allow(&self, rule: Rule) {
        self.shared.access().add_rule(rule, true);
    }

    /// Answers 403 to what the rule describes, against older rules. Open watches stay open, as on a real server.
    pub fn deny(&self, rule: Rule) {
        self.shared.access().add_rule(rule, false);
    }

    /// Ends every open watch stream, cleanly.
    pub fn disconnect_watches(&self) {
        self.shared.hang_up.send_modify(|count| *count += 1);
    }

    /// Arms a fault; those armed earlier are met first.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// Disarms all faults. Requests that hang stay so.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }
}
