//! A custom kind, a server for it, and the comparison of an informer with that server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube_client::{Api, Client};
use kube_core::{ObjectMeta, Resource};
use kube_informer::testing::{ApiServer, Fault, FaultAction, Kind};
use kube_informer::{Batch, Index, Informer, Obj, Snapshot, Subscription, View, builder::Builder, index};
use serde::Deserialize;
use serde_json::{Value, json};

/// The name of the resource at the server.
pub(crate) const WIDGETS: &str = "widgets.example.com";

/// A custom resource whose spec the server does not validate.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Widget {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Spec {
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) group: String,
    /// Only decoded, never read.
    #[serde(default, rename = "tags")]
    pub(crate) _tags: Vec<u32>,
}

/// The projection of a widget.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) group: String,
}

/// An informer with three indexes of different kinds.
#[derive(Clone)]
pub(crate) struct Indexed {
    pub(crate) informer: Informer<Kept>,
    pub(crate) by_number: Index<Kept, u64>,
    pub(crate) by_group: Index<Kept, String>,
    pub(crate) by_namespace: Index<Kept, String>,
}

/// The content of a view as a std map, from key to uid, version and value.
pub(crate) type Content = BTreeMap<String, (String, String, Kept)>;

impl Resource for Widget {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "Widget".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        "example.com".into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "widgets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl From<Widget> for Kept {
    fn from(widget: Widget) -> Self {
        Self { number: widget.spec.number, group: widget.spec.group }
    }
}

// --- the server's side ---

pub(crate) fn widgets() -> Kind {
    Kind::namespaced("example.com", "v1", "Widget", "widgets")
}

/// A server of widgets, on which they may be created in any namespace.
pub(crate) fn server() -> ApiServer {
    ApiServer::builder().without_built_ins().kind(widgets()).build()
}

/// A server without streaming lists, so that informers list in pages.
pub(crate) fn paging_server() -> ApiServer {
    let server = server();
    refuse_streaming(&server);
    server
}

/// Responds to the next watch like a server that does not support streaming lists.
pub(crate) fn refuse_streaming(server: &ApiServer) {
    let refuse = FaultAction::Respond { code: 400, retry_after: None };
    server.inject(Fault::new(refuse).verb("watch").resource(WIDGETS));
}

pub(crate) fn api(server: &ApiServer) -> Api<Widget> {
    Api::all(Client::new(server.service(), "default"))
}

pub(crate) fn widget(namespace: &str, name: &str, number: u64) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "number": number, "group": format!("g{}", number % 3), "tags": [1, 2] },
    })
}

/// Creates `count` widgets `w000..` in the namespace `a`, all with this number.
pub(crate) fn populate(server: &ApiServer, count: usize, number: u64) {
    for at in 0..count {
        server.create(widget("a", &name(at), number)).unwrap();
    }
}

pub(crate) fn name(at: usize) -> String {
    format!("w{at:03}")
}

/// The response that a client receives for a write.
pub(crate) fn from_json(widget: &Value) -> Widget {
    Widget::deserialize(widget).unwrap()
}

/// Gives a widget another number and the group of that number.
pub(crate) fn set(server: &ApiServer, namespace: &str, name: &str, number: u64) {
    let spec = json!({ "spec": { "number": number, "group": format!("g{}", number % 3) } });
    server.merge_patch(WIDGETS, namespace, name, spec).unwrap();
}

/// Compacts all versions and ends every watch, so that a list finds the latest writes.
pub(crate) fn force_relist(server: &ApiServer) {
    server.disconnect_watches();
    server.compact_all();
}

/// The content of the server, in the form of [`content`].
pub(crate) fn truth(server: &ApiServer) -> Content {
    let list = server.list(WIDGETS, None).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let (meta, spec) = (&item["metadata"], &item["spec"]);
            let key = format!("{}/{}", text(&meta["namespace"]), text(&meta["name"]));
            let kept = Kept { number: spec["number"].as_u64().unwrap(), group: text(&spec["group"]) };
            (key, (text(&meta["uid"]), text(&meta["resourceVersion"]), kept))
        })
        .collect()
}

// --- the informer's side ---

pub(crate) fn kept(server: &ApiServer) -> Builder<Widget, Kept> {
    Informer::builder(api(server)).project(Kept::from)
}

/// Adds the indexes and starts. Must run within a runtime.
pub(crate) fn start(mut builder: Builder<Widget, Kept>) -> Indexed {
    let by_number = builder.index(|kept: &Kept| kept.number);
    let by_group = builder.index(|kept: &Kept| [kept.group.clone(), "all".to_owned()]);
    let by_namespace = builder.index(index::namespace());
    Indexed { informer: builder.start(), by_number, by_group, by_namespace }
}

pub(crate) fn content(view: &View<Kept>) -> Content {
    view.iter().map(entry).collect()
}

pub(crate) fn entry(object: &Obj<Kept>) -> (String, (String, String, Kept)) {
    let version = Obj::resource_version(object).to_string();
    (Obj::key(object).to_string(), (Obj::uid(object).into_owned(), version, Kept::clone(object)))
}

/// Waits until the informer has the same content as the server, indexes included.
pub(crate) async fn agree(indexed: &Indexed, server: &ApiServer) -> Snapshot<Kept> {
    let snapshot = until(&indexed.informer, "the informer agrees with the server", |view| {
        view.is_synced() && content(view) == truth(server)
    })
    .await;
    indexed.assert_consistent(&snapshot);
    snapshot
}

/// Waits for a view that satisfies the predicate.
pub(crate) async fn until<T: Send + Sync + 'static>(
    informer: &Informer<T>,
    what: &str,
    condition: impl Fn(&View<T>) -> bool,
) -> Snapshot<T> {
    eventually(what, || Some(informer.snapshot()).filter(|snapshot| condition(snapshot))).await
}

/// Calls `ask` until it returns a value. With a paused clock, the timeout of an hour costs no time.
pub(crate) async fn eventually<R>(what: &str, mut ask: impl FnMut() -> Option<R>) -> R {
    for _ in 0..360_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// Returns the next batch, within a timeout.
pub(crate) async fn next<T: Send + Sync + 'static>(changes: &mut Subscription<T>) -> Batch<T> {
    let next = tokio::time::timeout(Duration::from_secs(600), changes.next());
    next.await.expect("a batch comes").expect("the informer runs")
}

/// Waits until a watch counts as working, so that its next failure is treated as the first one.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

impl Indexed {
    /// Checks that every index has exactly the expected objects, with the same allocations, in order.
    #[track_caller]
    pub(crate) fn assert_consistent(&self, view: &View<Kept>) {
        assert_index(view, &self.by_number, |object| vec![object.number]);
        assert_index(view, &self.by_group, |object| vec![object.group.clone(), "all".to_owned()]);
        assert_index(view, &self.by_namespace, |object| vec![Obj::namespace(object).to_owned()]);
    }
}

#[track_caller]
pub(crate) fn assert_index<K>(view: &View<Kept>, index: &Index<Kept, K>, keys: impl Fn(&Obj<Kept>) -> Vec<K>)
where
    K: std::hash::Hash + Ord + Send + Sync + std::fmt::Debug + 'static,
{
    let mut expected: BTreeMap<K, BTreeMap<String, &Obj<Kept>>> = BTreeMap::new();
    for object in view {
        for key in keys(object) {
            expected.entry(key).or_default().insert(Obj::key(object).to_string(), object);
        }
    }
    assert_eq!(view.index_keys(index).count(), expected.len(), "other keys than those of the objects");
    for (key, objects) in expected {
        let hits = view.by_index(index, &key);
        assert_eq!(hits.len(), objects.len(), "the list of {key:?} has another length");
        // All names have one length, and so do all namespaces, so the order of the text is that of the keys.
        for (hit, (name, object)) in hits.zip(objects) {
            assert_eq!(Obj::key(hit).to_string(), name);
            assert!(Obj::ptr_eq(hit, object), "{name}: the list of {key:?} holds another version");
        }
    }
}

/// The message of panics that a test causes on purpose, which are not printed.
pub(crate) const EXPECTED: &str = "a panic that the test expects";

pub(crate) fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&EXPECTED) {
                print(info);
            }
        }));
    });
}

/// A random generator. Its seed is from the environment or random, and printed.
pub(crate) fn seeded() -> (u64, rand::rngs::StdRng) {
    use rand::SeedableRng;
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("SEED={seed}");
    (seed, rand::rngs::StdRng::seed_from_u64(seed))
}
