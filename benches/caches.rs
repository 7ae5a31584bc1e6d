//! Caches that list and watch what a [`Wire`] answers, run by the thread of a benchmark.

use std::fmt::Debug;
use std::future::ready;
use std::hash::Hash;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use kube_client::Api;
use kube_core::metadata::PartialObjectMeta;
use kube_core::{ApiResource, DynamicObject, Resource};
use kube_informer::builder::Builder;
use kube_informer::{Config, Informer, Obj, index};
use kube_runtime::reflector::{Lookup, ObjectRef, reflector, store::Writer};
use kube_runtime::watcher::{self, Event, InitialListStrategy, watcher};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clock::cpu_time;
use crate::driver::Driver;
use crate::nads::{Nad, Projected, declare};
use crate::rounds::Sample;
use crate::wire::{self, Wire, event};

pub(crate) const PAGE: usize = 500;

/// A cache that has listed, and follows a watch.
pub(crate) struct Running {
    pub(crate) wire: Wire,
    pub(crate) driver: Driver,
    /// The rounds so far: each has newer versions.
    pub(crate) rounds: usize,
    held: Held,
}

/// The version that a reader finds of an object, by namespace and name.
type Held = Box<dyn Fn(&str, &str) -> Option<u64>>;

/// Starts a cache on these answers, and runs it until it has listed. The flag asks for a list by a stream.
pub(crate) type Start = fn(&Wire, bool) -> Running;

// === impl Running ===

impl Running {
    /// Follows the watch through these updates.
    pub(crate) fn follow(&mut self, updates: &[Value], at_once: bool) -> Sample {
        self.rounds += 1;
        let lines: Vec<Bytes> = updates.iter().map(|object| event("MODIFIED", object)).collect();
        let count = lines.len() as f64;
        let chunks = if at_once { wire::chunks(&lines.concat()) } else { lines };
        let opened = chunks.len();
        self.wire.prepare(chunks);
        let began = cpu_time();
        if at_once {
            self.wire.open(opened);
            self.driver.run();
        } else {
            for _ in 0..opened {
                self.wire.open(1);
                self.driver.run();
            }
        }
        let published = cpu_time();
        self.driver.free();
        let freed = cpu_time();
        let last = &updates[updates.len() - 1];
        let version = last["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
        assert_eq!(self.version(last), version, "the last event is published");
        let nanos = |from, to: std::time::Duration| (to - from).as_nanos() as f64 / count;
        vec![("ns", nanos(began, freed)), ("published_ns", nanos(began, published))]
    }

    /// Runs until a reader finds this version of an object.
    pub(crate) fn run_to_version(&mut self, object: &Value, version: u64) {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let held = &self.held;
        self.driver.run_until(|| held(&namespace, &name) == Some(version));
    }

    pub(crate) fn version(&self, object: &Value) -> Option<u64> {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        (self.held)(&text("namespace"), &text("name"))
    }
}

// === ours ===

fn ours<K, T>(wire: &Wire, streaming: bool, builder: impl FnOnce(&Wire) -> Builder<K, T>) -> Running
where
    K: Resource + Clone + DeserializeOwned + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    let config = Config::new().streaming_lists(streaming).page_size(PAGE as u32);
    let (informer, mut driver) = Driver::new(|| builder(wire).config(config).build());
    driver.run_until(|| informer.status().synced);
    let held = move |namespace: &str, name: &str| {
        let snapshot = informer.snapshot();
        Obj::resource_version(snapshot.get((namespace, name))?).to_string().parse().ok()
    };
    Running { wire: wire.clone(), driver, rounds: 0, held: Box::new(held) }
}

pub(crate) fn ours_whole(wire: &Wire, streaming: bool) -> Running {
    ours(wire, streaming, |wire| {
        let mut nads = Informer::builder(Api::<Nad>::all(wire.client()));
        declare(nads.indexes(), 2);
        nads
    })
}

pub(crate) fn ours_projected(wire: &Wire, streaming: bool) -> Running {
    ours(wire, streaming, |wire| {
        indexed(Informer::builder(Api::<Nad>::all(wire.client())).project(Projected::of))
    })
}

pub(crate) fn ours_decoded(wire: &Wire, streaming: bool) -> Running {
    ours(wire, streaming, |wire| {
        indexed(Informer::builder(Api::<Nad>::all(wire.client())).decode(Projected::decode))
    })
}

fn indexed(mut nads: Builder<Nad, Projected>) -> Builder<Nad, Projected> {
    nads.index(|nad: &Projected| nad.provider.to_string());
    nads.index(|nad: &Projected| nad.team.to_string());
    nads
}

pub(crate) fn ours_dynamic(wire: &Wire, streaming: bool) -> Running {
    ours(wire, streaming, |wire| {
        let resource = ApiResource::erase::<Nad>(&());
        let api = Api::<DynamicObject>::all_with(wire.client(), &resource);
        let mut nads = Informer::builder_with(api, resource);
        nads.index(index::annotation("example.com/provider"));
        nads.index(index::label("team"));
        nads
    })
}

pub(crate) fn ours_metadata(wire: &Wire, streaming: bool) -> Running {
    ours(wire, streaming, |wire| {
        let mut nads = Informer::builder(Api::<PartialObjectMeta<Nad>>::all(wire.client()));
        nads.index(index::annotation("example.com/provider"));
        nads.index(index::label("team"));
        nads
    })
}

// === kube-runtime ===

fn kube<K>(
    wire: &Wire,
    streaming: bool,
    kind: <K as Resource>::DynamicType,
    watch: impl FnOnce(&Wire, watcher::Config) -> BoxStream<'static, watcher::Result<Event<K>>>,
) -> Running
where
    K: Resource + Lookup<DynamicType = <K as Resource>::DynamicType> + Clone + Debug + Send + Sync + 'static,
    <K as Resource>::DynamicType: Eq + Hash + Clone + Unpin,
{
    let strategy =
        if streaming { InitialListStrategy::StreamingList } else { InitialListStrategy::ListWatch };
    let config = watcher::Config {
        initial_list_strategy: strategy,
        page_size: (!streaming).then_some(PAGE as u32),
        ..watcher::Config::default()
    };
    let writer = Writer::<K>::new(kind.clone());
    let reader = writer.as_reader();
    let ((), mut driver) = Driver::new(|| {
        let events = reflector(writer, watch(wire, config));
        (
            (),
            // An error (410) makes it list again.
            events.for_each(|_| ready(())),
        )
    });
    driver.run_until(|| !reader.is_empty());
    let held = move |namespace: &str, name: &str| {
        let key = ObjectRef::new_with(name, kind.clone()).within(namespace);
        reader.get(&key)?.meta().resource_version.as_deref()?.parse().ok()
    };
    Running { wire: wire.clone(), driver, rounds: 0, held: Box::new(held) }
}

pub(crate) fn kube_whole(wire: &Wire, streaming: bool) -> Running {
    kube::<Nad>(wire, streaming, (), |wire, config| watcher(Api::all(wire.client()), config).boxed())
}

pub(crate) fn kube_dynamic(wire: &Wire, streaming: bool) -> Running {
    let resource = ApiResource::erase::<Nad>(&());
    kube::<DynamicObject>(wire, streaming, resource.clone(), move |wire, config| {
        watcher(Api::all_with(wire.client(), &resource), config).boxed()
    })
}

pub(crate) fn kube_metadata(wire: &Wire, streaming: bool) -> Running {
    kube::<PartialObjectMeta<Nad>>(wire, streaming, (), |wire, config| {
        watcher(Api::all(wire.client()), config).boxed()
    })
}
