//! A kind that the server serves: names, scope, subresources, and the form of its requests and responses.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::{Schema, built_in_schema, described_schema};
use super::object::metadata;
use super::status::ApiStatus;

/// A kind that the server serves.
///
/// A kind is a custom resource, or a [`built_in`](Kind::built_in) kind. The two differ in requests and responses: for
/// example, list items of built-in kinds have no `apiVersion` and `kind`, and updates of custom resources need a
/// `resourceVersion`.
///
/// ```
/// use kube_informer::testing::Kind;
///
/// let subnets = Kind::cluster("kubeovn.io", "v1", "Subnet", "subnets").with_status();
/// assert_eq!(subnets.name(), "subnets.kubeovn.io");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    group: String,
    version: String,
    kind: String,
    list_kind: String,
    plural: String,
    singular: String,
    namespaced: bool,
    status: bool,
    custom: bool,
    generation: bool,
    returns_deleted: bool,
    versions: Versions,
    selectable: Vec<String>,
    schema: Arc<Schema>,
}

/// Whether lists and objects have a resourceVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Versions {
    Given,
    Absent,
    AbsentButWatched,
}

impl Kind {
    /// A namespaced custom resource, by API group (`""` for the core group), version, kind and plural. Allocates.
    #[must_use]
    pub fn namespaced(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            namespaced: true,
            status: false,
            custom: true,
            generation: true,
            returns_deleted: false,
            versions: Versions::Given,
            selectable: Vec::new(),
            schema: Arc::new(described_schema(None)),
        }
    }

    /// A cluster-scoped custom resource; the parameters are those of [`namespaced`](Kind::namespaced).
    #[must_use]
    pub fn cluster(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self { namespaced: false, ..Self::namespaced(group, version, kind, plural) }
    }

    /// Adds the status subresource: a write to `/status` changes only the status, and no other write changes it.
    #[must_use]
    pub fn with_status(self) -> Self {
        Self { status: true, ..self }
    }

    /// Serves the kind as kube-apiserver serves its own kinds.
    ///
    /// List items have no `apiVersion` and `kind`, strategic merge patches and updates without `resourceVersion` are
    /// accepted, and objects have no `metadata.generation`. A server-side apply merges the lists of common kinds by
    /// their keys (docs/TESTING.md).
    #[must_use]
    pub fn built_in(self) -> Self {
        let schema = Arc::new(built_in_schema(&self.group, &self.kind));
        Self { custom: false, generation: false, schema, ..self }
    }

    /// Counts changes of the spec in `metadata.generation`. Custom resources always have this; only some built-in kinds
    /// do.
    #[must_use]
    pub fn with_generation(self) -> Self {
        Self { generation: true, ..self }
    }

    /// Accepts `path`, such as `spec.nodeName`, in field selectors, besides the name and the namespace.
    #[must_use]
    pub fn selectable(mut self, path: &str) -> Self {
        self.selectable.push(path.to_owned());
        self
    }

    /// Serves the kind without versions and without watches, like `pods.metrics.k8s.io` and `componentstatuses`.
    ///
    /// Lists and objects have no `resourceVersion`, objects have no `uid`, a list is never paged, and a watch gets 405.
    /// Everything else is as with [`built_in`](Kind::built_in).
    #[must_use]
    pub fn unversioned(self) -> Self {
        Self { versions: Versions::Absent, ..self.built_in() }
    }

    /// Serves the kind without versions, but with a watch, like the kinds of `controlplane.antrea.io`.
    ///
    /// Each watch, whatever its parameters, sends all objects as ADDED, then a bookmark without a version, then
    /// changes. Objects have a `uid`. Everything else is as with [`unversioned`](Kind::unversioned).
    #[must_use]
    pub fn unversioned_with_watch(self) -> Self {
        Self { versions: Versions::AbsentButWatched, ..self.built_in() }
    }

    /// Responds to a delete with the object and not with a `Status`, as some built-in kinds do.
    pub(super) fn returning_deleted(self) -> Self {
        Self { returns_deleted: true, ..self }
    }

    /// Merges objects by the `openAPIV3Schema` of a definition.
    pub(super) fn described(self, schema: Option<&Value>) -> Self {
        Self { schema: Arc::new(described_schema(schema)), ..self }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn with_names(mut self, list_kind: Option<&str>, singular: Option<&str>) -> Self {
        if let Some(list_kind) = list_kind {
            self.list_kind = list_kind.to_owned();
        }
        if let Some(singular) = singular {
            self.singular = singular.to_owned();
        }
        self
    }

    /// The name of the resource in the methods of the server: `plural.group`, or `plural` for the core group.
    /// Allocates.
    #[must_use]
    pub fn name(&self) -> String {
        self.qualified()
    }

    /// The `apiVersion` of its objects. Allocates.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn list_kind(&self) -> &str {
        &self.list_kind
    }

    pub(super) fn plural(&self) -> &str {
        &self.plural
    }

    pub(super) fn singular(&self) -> &str {
        &self.singular
    }

    pub(super) fn is_namespaced(&self) -> bool {
        self.namespaced
    }

    pub(super) fn has_status(&self) -> bool {
        self.status
    }

    pub(super) fn has_versions(&self) -> bool {
        self.versions == Versions::Given
    }

    pub(super) fn can_be_watched(&self) -> bool {
        self.versions != Versions::Absent
    }

    /// Writes the version into an object, or removes what objects of the kind do not have.
    pub(super) fn stamp(&self, object: &mut Value, version: u64) {
        let metadata = metadata(object);
        if self.has_versions() {
            metadata.insert("resourceVersion".into(), json!(version.to_string()));
            return;
        }
        metadata.remove("resourceVersion");
        if self.versions == Versions::Absent {
            metadata.remove("uid");
        }
    }

    pub(super) fn is_custom(&self) -> bool {
        self.custom
    }

    pub(super) fn counts_generation(&self) -> bool {
        self.generation
    }

    pub(super) fn returns_deleted(&self) -> bool {
        self.returns_deleted
    }

    pub(super) fn selectable_fields(&self) -> &[String] {
        &self.selectable
    }

    /// Whether this is the kind of this name in the core group.
    pub(super) fn is_core(&self, kind: &str) -> bool {
        self.group.is_empty() && self.kind == kind
    }

    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(super) fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Whether a field selector may name `path`. Errors have the text of the real server.
    pub(super) fn check_selectable(&self, path: &str) -> Result<(), ApiStatus> {
        let always = path == "metadata.name" || (path == "metadata.namespace" && self.namespaced);
        if always || self.selectable.iter().any(|known| known == path) {
            return Ok(());
        }
        Err(ApiStatus::bad_request(if self.custom || !self.selectable.is_empty() {
            format!("field label not supported: {path}")
        } else {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }))
    }
}
