//! Closures that also receive the key of the object.

use super::{IndexBy, IntoKeys};
use crate::key::Key;

/// An index by a closure that receives the key of the object, and the object. See [`with_key`].
#[derive(Clone, Copy, Debug)]
pub struct WithKey<F>(F);

/// An index by a closure that receives the key of the object, and the object.
///
/// Use it for stored types without metadata, which do not contain their own namespace and name.
///
/// ```
/// use kube_informer::index::{self, IndexSet, Pair};
/// use kube_informer::{Key, Snapshot};
///
/// struct Service {
///     app: String,
/// }
///
/// let mut indexes = IndexSet::new();
/// let by_app = indexes.index(index::with_key(|key: Key<'_>, service: &Service| {
///     Pair(key.namespace().to_owned(), service.app.clone())
/// }));
/// let services = [(("default", "a"), Service { app: "web".to_owned() })];
/// let services = Snapshot::from_objects(indexes, services);
/// assert_eq!(services.by_index(&by_app, &("default", "web")).len(), 1);
/// assert_eq!(services.by_index(&by_app, &("other", "web")).len(), 0);
/// ```
pub fn with_key<T, F, R>(keys: F) -> WithKey<F>
where
    F: Fn(Key<'_>, &T) -> R + Send + 'static,
    R: IntoKeys,
{
    WithKey(keys)
}

impl<T, F, R> IndexBy<T> for WithKey<F>
where
    F: Fn(Key<'_>, &T) -> R + Send + 'static,
    R: IntoKeys,
{
    type Key = R::Key;

    fn index(&self, key: Key<'_>, object: &T, emit: &mut dyn FnMut(R::Key)) {
        self.0(key, object).for_each_key(emit);
    }
}
