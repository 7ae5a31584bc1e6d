//! What a reconcile function is given.

use crate::key::ObjectKey;
use crate::object::Obj;
use crate::snapshot::View;

/// What a reconcile function is given: `Obj<T>`, or `Option<Obj<T>>` after
/// [`Controller::with_deleted`](super::Controller::with_deleted). Sealed.
pub trait Subject<T>: sealed::Sealed + Clone + Send + Sized + 'static {
    /// Whether keys without an object are reconciled.
    #[doc(hidden)]
    const WITH_DELETED: bool;

    #[doc(hidden)]
    fn find(view: &View<T>, key: &ObjectKey) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for super::Obj<T> {}
    impl<T> Sealed for Option<super::Obj<T>> {}
}

impl<T: Send + Sync + 'static> Subject<T> for Obj<T> {
    const WITH_DELETED: bool = false;

    fn find(view: &View<T>, key: &ObjectKey) -> Option<Self> {
        view.get(key).cloned()
    }
}

impl<T: Send + Sync + 'static> Subject<T> for Option<Obj<T>> {
    const WITH_DELETED: bool = true;

    fn find(view: &View<T>, key: &ObjectKey) -> Option<Self> {
        Some(view.get(key).cloned())
    }
}
