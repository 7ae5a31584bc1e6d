//! A handle that does not keep its informer running.

use std::sync::{Arc, Weak};

use super::{Informer, Inner};

/// A weak reference to an informer: `upgrade` returns it while another handle exists.
pub(crate) struct WeakInformer<T>(Weak<Inner<T>>);

impl<T> WeakInformer<T> {
    pub(crate) fn upgrade(&self) -> Option<Informer<T>> {
        self.0.upgrade().map(|inner| Informer { inner })
    }

    /// The number of handles, readers and subscriptions.
    pub(crate) fn holders(&self) -> usize {
        self.0.strong_count()
    }
}

impl<T> Informer<T> {
    pub(crate) fn downgrade(&self) -> WeakInformer<T> {
        WeakInformer(Arc::downgrade(&self.inner))
    }
}
