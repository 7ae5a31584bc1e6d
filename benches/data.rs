//! What the peers hold and are asked for: the same objects, the same keys, the same order for all.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_client::{Api, Client};
use kube_core::Resource;
use kube_informer::testing::{ApiServer, Kind};
use kube_informer::{Index, Informer, Obj};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Runtime;

/// How many objects are behind every index key that is asked for.
pub(crate) const HITS: usize = 64;

/// Length of every object's `spec.config`. It is what look-ups read.
pub(crate) const CONFIG: usize = 181;

const PROVIDER: &str = "example.com/provider";

const RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

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

/// Namespace and name, 42 bytes together.
pub(crate) struct Key {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
}

/// What a controller needs of it: 64 bytes, found in the entry itself.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the fields that nobody reads give it the size of a real one")]
pub(crate) struct Projected {
    provider: Box<str>,
    team: Box<str>,
    resource: Box<str>,
    config_len: usize,
    generation: i64,
}

/// What is stored, by every peer.
pub(crate) trait Value: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn of(nad: Nad) -> Self;

    /// What every look-up reads of the object it found: the length of its config.
    fn touch(&self) -> usize;

    fn provider(&self) -> Option<&str>;
}

/// Objects in an informer, and keys to look up.
pub(crate) struct Data<T> {
    pub(crate) informer: Informer<T>,
    pub(crate) by_provider: Index<T, String>,
    /// Every object's key, shuffled: neither the order of creation nor that of any hash.
    pub(crate) keys: Vec<Key>,
    /// As many keys of the same form without an object.
    pub(crate) missing: Vec<Key>,
    /// Keys of the index with [`HITS`] objects each, shuffled.
    pub(crate) providers: Vec<String>,
}

// === impl Nad ===

impl Nad {
    fn annotation(&self, name: &str) -> Option<&str> {
        Some(self.metadata.annotations.as_ref()?.get(name)?)
    }
}

impl Value for Nad {
    const NAME: &'static str = "whole";

    fn of(nad: Nad) -> Self {
        nad
    }

    #[inline]
    fn touch(&self) -> usize {
        self.spec.config.len()
    }

    fn provider(&self) -> Option<&str> {
        self.annotation(PROVIDER)
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

impl Value for Projected {
    const NAME: &'static str = "projected";

    fn of(nad: Nad) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().into();
        let labels = nad.metadata.labels.as_ref();
        Self {
            provider: text(nad.provider()),
            team: text(labels.and_then(|labels| labels.get("team")).map(String::as_str)),
            resource: text(nad.annotation(RESOURCE)),
            config_len: nad.spec.config.len(),
            generation: nad.metadata.generation.unwrap_or_default(),
        }
    }

    #[inline]
    fn touch(&self) -> usize {
        self.config_len
    }

    fn provider(&self) -> Option<&str> {
        Some(&self.provider)
    }
}

// === impl Data ===

impl<T: Value> Data<T> {
    /// Creates `n` objects in an in-process API server and lets an informer list them. The server and the
    /// informer's task are gone when this returns, so that nothing runs beside the look-ups.
    pub(crate) fn new(n: usize) -> Self {
        let kind = Kind::namespaced(&Nad::group(&()), &Nad::version(&()), &Nad::kind(&()), &Nad::plural(&()));
        let server = ApiServer::builder().without_built_ins().kind(kind).history(1).build();
        for i in 0..n {
            server.create(object(i, n)).expect("the server takes the object");
        }
        let runtime = Runtime::new().expect("a runtime");
        let (informer, by_provider) = runtime.block_on(async {
            let api = Api::<Nad>::all(Client::new(server.service(), "default"));
            let mut nads = Informer::builder(api).project(T::of);
            let by_provider = nads.index(|nad: &T| nad.provider().map(str::to_owned));
            let nads = nads.start();
            nads.synced().await.expect("the informer syncs");
            nads.shutdown().await;
            (nads, by_provider)
        });
        let snapshot = informer.snapshot();
        assert_eq!((snapshot.len(), snapshot.invalid_len()), (n, 0));
        let mut keys: Vec<Key> = shuffled(n).into_iter().map(|i| key(i, "net")).collect();
        for key in &mut keys {
            let nad = snapshot.get((&*key.namespace, &*key.name)).expect("every key has its object");
            assert_eq!((Obj::namespace(nad), Obj::name(nad)), (&*key.namespace, &*key.name));
            assert_eq!(nad.touch(), CONFIG);
        }
        let missing = shuffled(n).into_iter().map(|i| key(i, "not")).collect();
        let providers: Vec<String> = shuffled(n / HITS).into_iter().map(provider).collect();
        for provider in &providers {
            assert_eq!(snapshot.by_index(&by_provider, provider.as_str()).len(), HITS);
        }
        Self { informer, by_provider, keys, missing, providers }
    }

    /// A copy of every object, in the order of creation, for peers that are not filled by a server.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (Key, T)> {
        let snapshot = self.informer.snapshot();
        (0..self.keys.len()).map(move |i| {
            let key = key(i, "net");
            let value = T::clone(snapshot.get((&*key.namespace, &*key.name)).expect("the object is there"));
            (key, value)
        })
    }
}

fn key(i: usize, kind: &str) -> Key {
    Key {
        namespace: format!("tenant-{:04}", i % 97).into(),
        name: format!("{kind}-attach-definition-{i:09}").into(),
    }
}

fn provider(group: usize) -> String {
    format!("net-{group:06}.default.ovn")
}

/// One object of `n`. As many as fill groups of [`HITS`] share a provider with those, scattered over the
/// order of creation; the rest have one of their own.
fn object(i: usize, n: usize) -> serde_json::Value {
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
            "labels": { "app.kubernetes.io/managed-by": "tenant-operator", "team": format!("team-{}", i % 31) },
            "annotations": {
                PROVIDER: provider,
                RESOURCE: format!("example.com/vf{}", i % 7),
            },
        },
        "spec": { "config": format!("{config:<CONFIG$}") },
    })
}

/// The numbers below `n` in an order that is the same in every run.
fn shuffled(n: usize) -> Vec<usize> {
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
