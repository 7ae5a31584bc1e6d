//! Snapshots without an informer, for unit tests of code that reads them.

use crate::index::IndexSet;
use crate::key::AsKey;
use crate::snapshot::Snapshot;
use crate::source::Meta;
use crate::store::Writer;
use crate::version::ResourceVersion;

impl<T: Send + Sync + 'static> Snapshot<T> {
    /// Makes a snapshot of these objects, with these indexes, to test a reconcile function without a server.
    ///
    /// Needs the feature `testing`. O(n log n).
    ///
    /// Each object gets a unique uid and version. Of two objects with the same key, the later one is stored.
    ///
    /// ```
    /// use kube_informer::index::IndexSet;
    /// use kube_informer::{Index, Snapshot};
    ///
    /// /// What the application declares on `builder.indexes()`.
    /// fn by_provider(indexes: &mut IndexSet<String>) -> Index<String, String> {
    ///     indexes.index(|provider: &String| provider.clone())
    /// }
    ///
    /// let mut indexes = IndexSet::new();
    /// let by_provider = by_provider(&mut indexes);
    /// let nads = Snapshot::from_objects(indexes, [(("default", "net1"), "net1.default.ovn".to_owned())]);
    /// assert!(nads.get(("default", "net1")).is_some());
    /// assert_eq!(nads.by_index(&by_provider, "net1.default.ovn").len(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If an index panics for one of the objects.
    #[track_caller]
    pub fn from_objects<Q: AsKey>(indexes: IndexSet<T>, objects: impl IntoIterator<Item = (Q, T)>) -> Self {
        let (store, indexers) = indexes.into_parts();
        let mut writer = Writer::new(store, indexers);
        let objects = (1..).zip(objects).map(|(version, (key, object))| {
            let meta = Meta {
                key: key.as_key().to_owned(),
                uid: version.to_string().into(),
                resource_version: ResourceVersion::from_number(version),
            };
            (meta, object)
        });
        writer.fill(objects);
        let snapshot = writer.shared().snapshot();
        if let Some(invalid) = snapshot.invalid().next() {
            panic!("{invalid}");
        }
        snapshot
    }
}
