//! The objects of the benchmarks: NetworkAttachmentDefinitions with labels and annotations, keys of 42 bytes.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::Resource;
use kube_informer::index::{self, IndexSet};
use serde::Deserialize;
use serde_json::{Value, json};

/// How many objects share a provider.
pub(crate) const HITS: usize = 64;

/// Length of every object's `spec.config`.
pub(crate) const CONFIG: usize = 181;

const PROVIDER: &str = "example.com/provider";

const RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

const TEAM: &str = "team";

/// A NetworkAttachmentDefinition, whole.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Nad {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
struct Spec {
    config: String,
}

/// What a controller needs of it: 64 bytes, found in the entry itself.
#[derive(Clone, Debug)]
pub(crate) struct Projected {
    pub(crate) provider: Box<str>,
    pub(crate) team: Box<str>,
    resource: Box<str>,
    pub(crate) config_len: usize,
    generation: i64,
}

/// What [`Projected`] is made of, borrowed from the text of an object.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    metadata: MetaFields<'a>,
    #[serde(borrow)]
    spec: SpecFields<'a>,
}

#[derive(Deserialize)]
struct MetaFields<'a> {
    #[serde(borrow, default)]
    labels: Labels<'a>,
    #[serde(borrow, default)]
    annotations: Annotations<'a>,
    #[serde(default)]
    generation: i64,
}

#[derive(Default, Deserialize)]
struct Labels<'a> {
    #[serde(borrow, default)]
    team: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Annotations<'a> {
    #[serde(borrow, default, rename = "example.com/provider")]
    provider: Cow<'a, str>,
    #[serde(borrow, default, rename = "k8s.v1.cni.cncf.io/resourceName")]
    resource: Cow<'a, str>,
}

#[derive(Deserialize)]
struct SpecFields<'a> {
    #[serde(borrow)]
    config: Cow<'a, str>,
}

/// Namespace and name, 42 bytes together.
pub(crate) struct Key {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
}

// === impl Nad ===

impl Nad {
    /// One of `n`, as a watch would deliver it in its first version.
    pub(crate) fn new(i: usize, n: usize) -> Self {
        let mut nad: Self = serde_json::from_value(object(i, n)).expect("a valid object");
        nad.metadata.uid = Some(format!("00000000-0000-0000-0000-{i:012x}"));
        nad.set_version(1);
        nad
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        self.metadata.resource_version = Some(version.to_string());
    }

    /// Gives the `i`th of `n` objects other index keys (all but its namespace). Each shift gives others than the one
    /// before; 0 gives those it was made with.
    pub(crate) fn set_shift(&mut self, i: usize, n: usize, shift: usize) {
        if shift == 0 {
            return;
        }
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(PROVIDER.to_owned(), provider((i + shift) % (n / HITS)));
        annotations.insert(RESOURCE.to_owned(), resource(i + shift));
        self.metadata.labels.get_or_insert_default().insert(TEAM.to_owned(), team(i + shift));
    }

    /// What every look-up reads of the object it found: the length of its config.
    #[inline]
    pub(crate) fn config_len(&self) -> usize {
        self.spec.config.len()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn resource_version(&self) -> u64 {
        self.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
    }

    /// Shared by [`HITS`] objects.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.annotation(PROVIDER)
    }

    /// One of 31.
    pub(crate) fn team(&self) -> Option<&str> {
        Some(self.metadata.labels.as_ref()?.get(TEAM)?)
    }

    /// One of 7.
    pub(crate) fn resource(&self) -> Option<&str> {
        self.annotation(RESOURCE)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        Some(self.metadata.annotations.as_ref()?.get(name)?)
    }
}

impl Resource for Nad {
    type DynamicType = ();
    type Scope = kube_core::NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "NetworkAttachmentDefinition".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        "k8s.cni.cncf.io".into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "network-attachment-definitions".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

// === impl Projected ===

impl Projected {
    pub(crate) fn of(nad: Nad) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().into();
        Self {
            provider: text(nad.provider()),
            team: text(nad.team()),
            resource: text(nad.resource()),
            config_len: nad.config_len(),
            generation: nad.metadata.generation.unwrap_or_default(),
        }
    }

    /// Of the text of a `Nad`.
    pub(crate) fn decode(json: &str) -> serde_json::Result<Self> {
        let Fields { metadata, spec } = serde_json::from_str(json)?;
        let MetaFields { labels, annotations, generation } = metadata;
        Ok(Self {
            provider: annotations.provider.into(),
            team: labels.team.into(),
            resource: annotations.resource.into(),
            config_len: spec.config.len(),
            generation,
        })
    }
}

// --- indexes ---

/// Declares the first of these: by provider ([`HITS`] objects behind a key), by team (31 keys), by resource (7 keys), by
/// namespace (97 keys).
pub(crate) fn declare(indexes: &mut IndexSet<Nad>, count: usize) {
    if count > 0 {
        indexes.index(|nad: &Nad| nad.provider().map(str::to_owned));
    }
    if count > 1 {
        indexes.index(|nad: &Nad| nad.team().map(str::to_owned));
    }
    if count > 2 {
        indexes.index(|nad: &Nad| nad.resource().map(str::to_owned));
    }
    if count > 3 {
        indexes.index(index::namespace());
    }
}

// --- how they are made ---

pub(crate) fn key(i: usize, kind: &str) -> Key {
    Key {
        namespace: format!("tenant-{:04}", i % 97).into(),
        name: format!("{kind}-attach-definition-{i:09}").into(),
    }
}

/// The numbers of `n` objects in the order of their keys, in which an API server with etcd lists them.
pub(crate) fn listed(n: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..n).collect();
    numbers.sort_by_cached_key(|i| {
        let Key { namespace, name } = key(*i, "net");
        (namespace, name)
    });
    numbers
}

pub(crate) fn provider(group: usize) -> String {
    format!("net-{group:06}.default.ovn")
}

fn team(number: usize) -> String {
    format!("team-{}", number % 31)
}

fn resource(number: usize) -> String {
    format!("example.com/vf{}", number % 7)
}

/// One object of `n`. As many as fill groups of [`HITS`] share a provider with those, scattered over the
/// order of creation; the rest have one of their own.
pub(crate) fn object(i: usize, n: usize) -> Value {
    let groups = n / HITS;
    let provider = if i < groups * HITS { provider(i % groups) } else { "other.default.ovn".into() };
    let config = format!(
        r#"{{"cniVersion":"0.3.1","type":"kube-ovn","vlan":{:04},"server_socket":"/run/openvswitch/daemon.sock","provider":"{provider}"}}"#,
        i % 4096
    );
    let Key { namespace, name } = key(i, "net");
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": Nad::kind(&()),
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "tenant-operator", TEAM: team(i) },
            "annotations": {
                PROVIDER: provider,
                RESOURCE: resource(i),
            },
        },
        "spec": { "config": format!("{config:<CONFIG$}") },
    })
}

/// The numbers below `n` in an order that is the same in every run.
pub(crate) fn shuffled(n: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..n).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(i, (state % (i as u64 + 1)) as usize);
    }
    numbers
}
