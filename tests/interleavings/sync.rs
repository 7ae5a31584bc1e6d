//! Stand-ins for what `src/store/sync.rs` names: they promise as little as the real ones do, and loom watches
//! them.
//!
//! - [`ArcSwap`]: a `load` is an acquire and a `swap` an acquire and release of one atomic. arc-swap promises that
//!   much, and its loads take part in more.
//! - [`AtomicWaker`]: that of loom, with the interface of futures'. Both promise the same of a waker that is left before a
//!   flag is read, and woken after it was written.
//! - [`Mutex`]: that of loom.
//! - [`OnceLock`]: what is set is there for who sees the flag.
//!
//! Locks of std here only keep values in a place. They are never held over a step that loom sees, and so neither
//! block nor order anything in a model.

use std::ops::Deref;
use std::sync::{self, Arc};
use std::task::Waker;

pub(crate) use loom::sync::Mutex;
use loom::sync::atomic::Ordering;
use loom::sync::atomic::{AtomicBool, AtomicUsize};

use Ordering::{AcqRel, Acquire, Release};

/// Why a wait has ended. As in `src/subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Failed,
}

/// What the crate keeps beside, and no order depends on: where its subscriptions stand.
pub(crate) struct Positions;

/// The cell: which of all values it ever held is the newest.
pub(crate) struct ArcSwap<V> {
    newest: AtomicUsize,
    values: sync::Mutex<Vec<Arc<V>>>,
}

/// The newest value at the time.
pub(crate) struct Guard<P>(P);

/// The waker of one task.
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

/// A cell that is written once.
pub(crate) struct OnceLock<E> {
    is_set: AtomicBool,
    value: std::sync::OnceLock<E>,
}

impl Positions {
    pub(crate) fn new() -> Self {
        Self
    }
}

impl<V> ArcSwap<V> {
    pub(crate) fn new(first: Arc<V>) -> Self {
        Self { newest: AtomicUsize::new(0), values: sync::Mutex::new(vec![first]) }
    }

    pub(crate) fn load(&self) -> Guard<Arc<V>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Arc<V> {
        self.value(self.newest.load(Acquire))
    }

    pub(crate) fn swap(&self, new: Arc<V>) -> Arc<V> {
        let place = {
            let mut values = self.values.lock().unwrap();
            values.push(new);
            values.len() - 1
        };
        self.value(self.newest.swap(place, AcqRel))
    }

    fn value(&self, place: usize) -> Arc<V> {
        self.values.lock().unwrap()[place].clone()
    }
}

impl<P> Deref for Guard<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<E> OnceLock<E> {
    pub(crate) fn new() -> Self {
        Self { is_set: AtomicBool::new(false), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn set(&self, value: E) -> Result<(), E> {
        self.value.set(value)?;
        self.is_set.store(true, Release);
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<&E> {
        if self.is_set.load(Acquire) { self.value.get() } else { None }
    }
}

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(loom::future::AtomicWaker::new())
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}
