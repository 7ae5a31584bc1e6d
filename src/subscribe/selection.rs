//! The objects that a subscription selects.

use std::hash::Hash;
use std::sync::Arc;

use crate::index::{Index, in_key_order};
use crate::object::Obj;
use crate::snapshot::{Hits, View};

/// The objects a subscription sees.
pub(crate) enum Selection<T> {
    Everything,
    Namespace(String),
    Key(Arc<dyn KeySelection<T>>),
}

/// The objects under one index key, without the type of the key.
pub(crate) trait KeySelection<T>: Send + Sync {
    fn hits<'a>(&self, view: &'a View<T>) -> Hits<'a, T>;

    /// Whether an object of the view is under the key. O(log n) in the objects under the key.
    fn contains(&self, view: &View<T>, object: &Obj<T>) -> bool;
}

pub(crate) struct ByKey<T, K> {
    pub(crate) index: Index<T, K>,
    pub(crate) key: K,
}

impl<T, K> KeySelection<T> for ByKey<T, K>
where
    T: Send + Sync + 'static,
    K: Hash + Eq + Send + Sync + 'static,
{
    fn hits<'a>(&self, view: &'a View<T>) -> Hits<'a, T> {
        Hits::of(view.posting(&self.index, &self.key).ok().flatten(), view)
    }

    fn contains(&self, view: &View<T>, object: &Obj<T>) -> bool {
        let posting = view.posting(&self.index, &self.key).ok().flatten();
        let slot = Obj::slot(object);
        posting.zip(slot).is_some_and(|(all, slot)| all.contains(&slot, in_key_order(&view.objects, object)))
    }
}

impl<T> Clone for Selection<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Everything => Self::Everything,
            Self::Namespace(namespace) => Self::Namespace(namespace.clone()),
            Self::Key(key) => Self::Key(key.clone()),
        }
    }
}
