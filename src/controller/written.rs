//! A controller's own writes: no reconcile begins before the informer has received them, and a reconcile that only its
//! own writes keep running is noticed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::queue::{Priority, WorkQueue};
use crate::snapshot::View;
use crate::version::ResourceVersion;

/// At most this many versions are kept per key.
pub(super) const VERSIONS: usize = 8;

/// What a run knows of its own writes.
#[derive(Default)]
pub(super) struct Writes {
    known: Mutex<Known>,
    parked: Notify,
}

#[derive(Default)]
struct Known {
    /// The last writes of the keys whose last reconcile wrote.
    own: HashMap<ObjectKey, Own, RandomState>,
    /// What queued the keys that are reconciled now, since their reconcile began.
    running: HashMap<ObjectKey, Noted, RandomState>,
    /// Keys that wait for their writes, and the priority with which they will be queued.
    parked: HashMap<ObjectKey, Priority, RandomState>,
    /// The queue is about to be drained: keys wait with their worker.
    closed: bool,
}

/// The last writes of one key.
struct Own {
    written: Written,
    /// A write itself queued the key.
    echoed: bool,
    /// Something else queued the key.
    other: bool,
    /// How many reconciles in a row wrote, each caused only by the write of the one before.
    streak: u32,
}

/// What queued a key during its reconcile. Whose version that was is known when the reconcile has ended: an event may
/// arrive before the response to the write.
#[derive(Default)]
struct Noted {
    versions: Vec<ResourceVersion>,
    other: bool,
}

/// Whether a key may be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// From now on the reconcile is responsible for the key, until [`Writes::end`].
    Ready(Cause),
    /// The informer has not received the last write. The key will be queued again.
    Parked,
    /// The informer has not received the last write. The caller has to wait for it, until this time.
    Wait(Instant),
}

/// What is known of a reconcile that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cause {
    /// Only the write of the reconcile before led to this one.
    pub(super) own_write: bool,
    /// The informer has not received the last write in time.
    pub(super) stale: bool,
    streak: u32,
}

/// What a reconcile wrote.
pub(super) struct Written {
    /// In their order.
    pub(super) versions: Vec<ResourceVersion>,
    /// The epoch of the informer at that time. In another one, versions cannot be compared.
    pub(super) epoch: u64,
    /// When the key stops waiting.
    pub(super) until: Instant,
}

impl Writes {
    /// Notes that a change queues the key: of this version of the primary object, or of another object.
    pub(super) fn note(&self, key: &ObjectKey, version: Option<&ResourceVersion>) {
        let known = &mut *self.lock();
        if let Some(noted) = known.running.get_mut(key) {
            noted.note(version);
        } else if let Some(own) = known.own.get_mut(key) {
            let echo = version.is_some_and(|version| own.written.versions.contains(version));
            own.echoed |= echo;
            own.other |= !echo;
        }
    }

    /// A reconcile of the key, which has this priority, is about to begin from this view.
    pub(super) fn begin<T>(&self, key: &ObjectKey, view: &View<T>, priority: Priority) -> Begin {
        let known = &mut *self.lock();
        let mut cause = Cause::default();
        if let Some(own) = known.own.get_mut(key) {
            cause.stale = !own.written.is_received(key, view);
            if cause.stale && Instant::now() < own.written.until {
                if known.closed {
                    return Begin::Wait(own.written.until);
                }
                let parked = known.parked.entry(key.clone()).or_insert(priority);
                *parked = priority.max(*parked);
                self.parked.notify_one();
                return Begin::Parked;
            }
            let (echoed, other) = (std::mem::take(&mut own.echoed), std::mem::take(&mut own.other));
            (cause.own_write, cause.streak) = (echoed && !other, own.streak);
        }
        known.parked.remove(key);
        known.running.insert(key.clone(), Noted::default());
        Begin::Ready(cause)
    }

    /// A reconcile has ended. Returns how many in a row wrote because of the write before.
    pub(super) fn end(&self, key: &ObjectKey, cause: Cause, written: Option<Written>) -> u32 {
        let known = &mut *self.lock();
        let noted = known.running.remove(key).unwrap_or_default();
        let before = known.own.remove(key);
        let Some(written) = written else { return 0 };
        // The event of the write before may be as late as this.
        let before = before.map_or_else(Vec::new, |own| own.written.versions);
        let is_own = |version: &_| written.versions.contains(version) || before.contains(version);
        let echoed = noted.versions.iter().any(is_own);
        let other = noted.other || !noted.versions.iter().all(is_own);
        let streak = if cause.own_write { cause.streak.saturating_add(1) } else { 0 };
        known.own.insert(key.clone(), Own { written, echoed, other, streak });
        streak
    }

    /// Another replica reconciles the key from now on.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let known = &mut *self.lock();
        known.own.remove(key);
        known.parked.remove(key);
    }

    /// From now on no key is parked. Returns those that are.
    pub(super) fn close(&self) -> Vec<(ObjectKey, Priority)> {
        let known = &mut *self.lock();
        known.closed = true;
        known.parked.drain().collect()
    }

    /// Waits until the informer has received the last write of a key. If the informer has stopped, the key need not
    /// wait any longer.
    pub(super) async fn arrived<T>(&self, key: &ObjectKey, informer: &Informer<T>, until: Instant)
    where
        T: Send + Sync + 'static,
    {
        let received =
            |view: &View<T>| self.lock().own.get(key).is_none_or(|own| own.written.is_received(key, view));
        let stopped = tokio::select! {
            received = informer.wait_until(received) => received.is_err(),
            () = sleep_until(until) => false,
        };
        if stopped && let Some(own) = self.lock().own.get_mut(key) {
            own.written.until = Instant::now();
        }
    }

    /// Queues parked keys once the informer has received their writes, or when they have waited long enough. Runs for
    /// ever, or until the informer stops.
    pub(super) async fn release<T: Send + Sync + 'static>(
        &self,
        informer: &Informer<T>,
        queue: &WorkQueue<ObjectKey>,
    ) {
        loop {
            let Some(until) = self.lock().next_deadline() else {
                self.parked.notified().await;
                continue;
            };
            tokio::select! {
                received = informer.wait_until(|view| self.lock().is_any_received(view)) => {
                    if received.is_err() {
                        return;
                    }
                }
                () = sleep_until(until) => {}
                () = self.parked.notified() => {}
            }
            let released = informer.read(|view| self.lock().take_released(view));
            queue.add_all_with_priority(released);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn next_deadline(&self) -> Option<Instant> {
        self.parked
            .keys()
            .map(|key| self.own.get(key).map_or_else(Instant::now, |own| own.written.until))
            .min()
    }

    fn is_any_received<T>(&self, view: &View<T>) -> bool {
        self.parked.keys().any(|key| self.own.get(key).is_none_or(|own| own.written.is_received(key, view)))
    }

    fn take_released<T>(&mut self, view: &View<T>) -> Vec<(ObjectKey, Priority)> {
        let (own, now) = (&self.own, Instant::now());
        let released = |key: &ObjectKey| {
            own.get(key).is_none_or(|own| own.written.until <= now || own.written.is_received(key, view))
        };
        self.parked.extract_if(|key, _| released(key)).collect()
    }
}

impl Noted {
    fn note(&mut self, version: Option<&ResourceVersion>) {
        match version {
            Some(version) if self.versions.len() < VERSIONS => self.versions.push(version.clone()),
            _ => self.other = true,
        }
    }
}

impl Written {
    /// Whether the view contains the newest write or a later state, or whether that cannot be known.
    fn is_received<T>(&self, key: &ObjectKey, view: &View<T>) -> bool {
        let Some(newest) = self.versions.last().filter(|_| view.epoch == self.epoch) else { return true };
        let before = |version: &ResourceVersion| version < newest;
        match (view.reached(key.namespace()), view.get(key)) {
            (Some(version), _) if !before(&version) => true,
            (_, Some(object)) => !before(&Obj::resource_version(object)),
            // Without a version of the view, the absence of the object is the newest that is known.
            (version, None) => version.is_none(),
        }
    }
}
