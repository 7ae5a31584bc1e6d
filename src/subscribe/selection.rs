//! The objects that a subscription selects.

use std::hash::Hash;
use std::sync::Arc;

use crate::index::{Index, Posting};
use crate::object::Obj;
use crate::snapshot::View;

/// The objects a subscription sees.
pub(crate) enum Selection<T> {
    Everything,
    Namespace(String),
    Key(Arc<dyn KeySelection<T>>),
}

/// The objects under one index key, without the type of the key.
pub(crate) trait KeySelection<T>: Send + Sync {
    fn posting<'a>(&self, view: &'a View<T>) -> Option<&'a Posting<Obj<T>>>;
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
    fn posting<'a>(&self, view: &'a View<T>) -> Option<&'a Posting<Obj<T>>> {
        view.posting(&self.index, &self.key).ok().flatten()
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
