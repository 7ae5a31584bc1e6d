//! Stand-ins for what `src/store/sync.rs` names: they promise as little as the real ones do, and loom watches
//! them.
//!
//! - [`ArcSwap`]: a `load` is an acquire and a `swap` an acquire and release of one atomic. arc-swap promises that
//!   much, and its loads take part in more.
//! - [`watch`]: version and end are one atomic, which sending releases and looking at acquires; nothing that takes
//!   the lock of the waiting list orders anything else. So it is in tokio.
//! - [`OnceLock`]: what is set is there for who sees the flag.
//!
//! Locks of std here only keep values in a place. They are never held over a step that loom sees, and so neither
//! block nor order anything in a model.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

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
    values: Mutex<Vec<Arc<V>>>,
}

/// The newest value at the time.
pub(crate) struct Guard<P>(P);

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
        Self { newest: AtomicUsize::new(0), values: Mutex::new(vec![first]) }
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

/// A channel of wake-ups, with the semantics of tokio's: several that come before a look are one, a clone has
/// seen what its original has, and the end is told after the last.
pub(crate) mod watch {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    use loom::sync::Mutex;
    use loom::sync::atomic::AtomicUsize;

    use super::{Acquire, Release};

    /// What is added to the state by the end, and by a version.
    const CLOSED: usize = 1;
    const VERSION: usize = 2;

    struct Channel {
        state: AtomicUsize,
        waiting: Mutex<Vec<Waker>>,
    }

    pub(crate) struct Sender<T> {
        channel: Arc<Channel>,
        value: std::sync::Mutex<T>,
    }

    pub(crate) struct Receiver<T> {
        channel: Arc<Channel>,
        seen: usize,
        value: std::marker::PhantomData<fn() -> T>,
    }

    #[derive(Debug)]
    pub(crate) struct Closed;

    pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel { state: AtomicUsize::new(0), waiting: Mutex::new(Vec::new()) });
        let receiver = Receiver { channel: channel.clone(), seen: 0, value: std::marker::PhantomData };
        (Sender { channel, value: std::sync::Mutex::new(value) }, receiver)
    }

    impl Channel {
        fn advance(&self, by: usize) {
            self.state.fetch_add(by, Release);
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn send_replace(&self, value: T) -> T {
            let old = std::mem::replace(&mut *self.value.lock().unwrap(), value);
            self.channel.advance(VERSION);
            old
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.channel.advance(CLOSED);
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn mark_unchanged(&mut self) {
            self.seen = self.channel.state.load(Acquire) & !CLOSED;
        }

        pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
            poll_fn(|context| {
                // Who sends after this look finds the waker; who sent before is seen.
                let mut waiting = self.channel.waiting.lock().unwrap();
                let state = self.channel.state.load(Acquire);
                if state & !CLOSED != self.seen {
                    self.seen = state & !CLOSED;
                    Poll::Ready(Ok(()))
                } else if state & CLOSED != 0 {
                    Poll::Ready(Err(Closed))
                } else {
                    waiting.push(context.waker().clone());
                    Poll::Pending
                }
            })
            .await
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Self { channel: self.channel.clone(), seen: self.seen, value: self.value }
        }
    }
}
