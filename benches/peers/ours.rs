//! This crate, in the three ways it is asked.

use kube_informer::{Index, Informer, Snapshot, View};

use super::Peer;
use crate::data::{Data, Key, Value};

/// A snapshot held for all look-ups.
pub(super) struct Held<T> {
    snapshot: Snapshot<T>,
    by_provider: Index<T, String>,
}

/// `informer.read(..)` for every look-up.
pub(super) struct Read<T> {
    informer: Informer<T>,
    by_provider: Index<T, String>,
}

/// `informer.get(..)`, which hands out the object; a `snapshot()` for the index.
pub(super) struct Get<T> {
    informer: Informer<T>,
    by_provider: Index<T, String>,
}

#[inline]
fn get<T: Value>(view: &View<T>, key: &Key) -> Option<usize> {
    view.get((&*key.namespace, &*key.name)).map(|nad| nad.touch())
}

#[inline]
fn index<T: Value>(view: &View<T>, by_provider: &Index<T, String>, provider: &str) -> usize {
    view.by_index(by_provider, provider).map(|nad| nad.touch()).sum()
}

impl<T: Value> Held<T> {
    pub(super) fn new(data: &Data<T>) -> Self {
        Self { snapshot: data.informer.snapshot(), by_provider: data.by_provider }
    }
}

impl<T: Value> Peer for Held<T> {
    #[inline]
    fn get(&mut self, key: &Key) -> Option<usize> {
        get(&self.snapshot, key)
    }

    fn index(&mut self, provider: &str) -> usize {
        index(&self.snapshot, &self.by_provider, provider)
    }
}

impl<T: Value> Read<T> {
    pub(super) fn new(data: &Data<T>) -> Self {
        Self { informer: data.informer.clone(), by_provider: data.by_provider }
    }
}

impl<T: Value> Peer for Read<T> {
    #[inline]
    fn get(&mut self, key: &Key) -> Option<usize> {
        self.informer.read(|view| get(view, key))
    }

    fn index(&mut self, provider: &str) -> usize {
        self.informer.read(|view| index(view, &self.by_provider, provider))
    }
}

impl<T: Value> Get<T> {
    pub(super) fn new(data: &Data<T>) -> Self {
        Self { informer: data.informer.clone(), by_provider: data.by_provider }
    }
}

impl<T: Value> Peer for Get<T> {
    #[inline]
    fn get(&mut self, key: &Key) -> Option<usize> {
        self.informer.get((&*key.namespace, &*key.name)).map(|nad| nad.touch())
    }

    fn index(&mut self, provider: &str) -> usize {
        index(&self.informer.snapshot(), &self.by_provider, provider)
    }
}
