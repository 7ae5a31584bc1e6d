//! An informer of events that a benchmark holds ready, run by its thread.

use std::iter;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use futures_util::stream::{BoxStream, StreamExt, poll_fn};
use kube_informer::Informer;
use kube_runtime::watcher::{Event, Result};

use crate::driver::Driver;

/// An informer of a stream of `K`, and its driver.
pub(crate) struct Driven<K, T> {
    pub(crate) informer: Informer<T>,
    feed: Arc<Feed<K>>,
    driver: Driver,
}

/// Events, of which some may be read.
struct Feed<K>(Mutex<Queue<K>>);

struct Queue<K> {
    events: Box<dyn Iterator<Item = Event<K>> + Send>,
    /// How many of them the informer may read now.
    open: usize,
}

// === impl Driven ===

impl<K: Send + 'static, T> Driven<K, T> {
    /// `build` makes an informer of the stream it gets: `Builder::build`.
    pub(crate) fn new<F>(build: impl FnOnce(BoxStream<'static, Result<Event<K>>>) -> (Informer<T>, F)) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let feed = Arc::new(Feed(Mutex::new(Queue { events: Box::new(iter::empty()), open: 0 })));
        let events = {
            let feed = feed.clone();
            // Nothing wakes it: after each change of the feed, the driver is polled.
            poll_fn(move |_| feed.poll()).boxed()
        };
        let (informer, driver) = Driver::new(|| build(events));
        Self { informer, feed, driver }
    }

    /// Lists these objects, and returns when that is published. They are made while it reads.
    pub(crate) fn list(&mut self, objects: impl Iterator<Item = K> + Send + 'static) {
        let list = iter::once(Event::Init).chain(objects.map(Event::InitApply)).chain([Event::InitDone]);
        self.feed.lock().events = Box::new(list);
        self.publish(usize::MAX);
    }

    /// Holds events ready that the informer may not read yet. All before them were read.
    pub(crate) fn prepare(&self, events: Vec<Event<K>>) {
        self.feed.lock().events = Box::new(events.into_iter());
    }

    /// Lets the informer read the next `count` prepared events, and runs it until it has published them, in one
    /// version if they are at most 4,096.
    pub(crate) fn publish(&mut self, count: usize) {
        self.feed.lock().open = count;
        self.driver.run();
        self.feed.lock().open = 0;
    }

    /// Lets the informer free what no one holds any more.
    pub(crate) fn free(&mut self) {
        self.driver.free();
    }
}

impl<K> Feed<K> {
    fn poll(&self) -> Poll<Option<Result<Event<K>>>> {
        let mut queue = self.lock();
        if queue.open == 0 {
            return Poll::Pending;
        }
        match queue.events.next() {
            Some(event) => {
                queue.open -= 1;
                Poll::Ready(Some(Ok(event)))
            }
            None => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        self.0.lock().expect("not poisoned")
    }
}
