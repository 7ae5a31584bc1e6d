//! What people write by hand: a concurrent map by namespace and name, and another from index key to objects.
//! A map keyed by a pair of strings cannot be asked by a borrowed pair, so callers build one.

use std::sync::Arc;

use dashmap::DashMap;

use super::Peer;
use crate::data::{Data, Key, Value};

pub(super) struct ByHand<T> {
    objects: DashMap<(String, String), Arc<T>>,
    by_provider: DashMap<String, Vec<Arc<T>>>,
}

impl<T: Value> ByHand<T> {
    pub(super) fn new(data: &Data<T>) -> Self {
        let (objects, by_provider) = (DashMap::new(), DashMap::<_, Vec<_>>::new());
        for (key, nad) in data.copies() {
            let nad = Arc::new(nad);
            objects.insert((key.namespace.into(), key.name.into()), nad.clone());
            by_provider.entry(nad.provider().unwrap_or_default().to_owned()).or_default().push(nad.clone());
        }
        Self { objects, by_provider }
    }
}

impl<T: Value> Peer for ByHand<T> {
    fn get(&mut self, key: &Key) -> Option<usize> {
        let key = (String::from(&*key.namespace), String::from(&*key.name));
        // Under the guard: handing out the `Arc` would cost a little more.
        self.objects.get(&key).map(|nad| nad.touch())
    }

    fn index(&mut self, provider: &str) -> usize {
        self.by_provider.get(provider).map_or(0, |nads| nads.iter().map(|nad| nad.touch()).sum())
    }
}
