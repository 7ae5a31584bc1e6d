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

/// The last writes of the keys whose last reconcile wrote.
#[derive(Default)]
pub(super) struct Writes {
    own: Mutex<HashMap<ObjectKey, Own, RandomState>>,
    parked: Notify,
}

/// The last write of one key.
struct Own {
    version: ResourceVersion,
    /// The epoch of the informer at that time. In another one, versions cannot be compared.
    epoch: u64,
    /// When the key stops waiting.
    until: Instant,
    /// The write itself queued the key.
    echoed: bool,
    /// Something else queued the key.
    other: bool,
    /// How many reconciles in a row wrote, each caused only by the write of the one before.
    streak: u32,
    /// The key waits here, and is queued with this priority.
    parked: Option<Priority>,
}

/// Whether a key may be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// From now on the reconcile is responsible for the key.
    Ready(Cause),
    /// The informer has not received the last write. The key will be queued again.
    Parked,
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
    pub(super) version: ResourceVersion,
    pub(super) epoch: u64,
    pub(super) until: Instant,
}

impl Writes {
    /// Notes that a change queues the key: of this version of the primary object, or of another object.
    pub(super) fn note(&self, key: &ObjectKey, version: Option<&ResourceVersion>) {
        if let Some(own) = self.lock().get_mut(key) {
            if version == Some(&own.version) {
                own.echoed = true;
            } else {
                own.other = true;
            }
        }
    }

    /// A reconcile of the key, which has this priority, is about to begin from this view.
    pub(super) fn begin<T>(&self, key: &ObjectKey, view: &View<T>, priority: Priority) -> Begin {
        let mut writes = self.lock();
        let Some(own) = writes.get_mut(key) else { return Begin::Ready(Cause::default()) };
        let received = own.is_received(key, view);
        if !received && Instant::now() < own.until {
            own.parked = Some(priority);
            drop(writes);
            self.parked.notify_one();
            return Begin::Parked;
        }
        own.parked = None;
        let (echoed, other) = (std::mem::take(&mut own.echoed), std::mem::take(&mut own.other));
        Begin::Ready(Cause { own_write: echoed && !other, stale: !received, streak: own.streak })
    }

    /// A reconcile has ended. Returns how many in a row wrote because of the write before.
    pub(super) fn end(&self, key: &ObjectKey, cause: Cause, written: Option<Written>) -> u32 {
        let mut writes = self.lock();
        let Some(Written { version, epoch, until }) = written else {
            writes.remove(key);
            return 0;
        };
        let streak = if cause.own_write { cause.streak.saturating_add(1) } else { 0 };
        // The change may have been delivered before the response to the write.
        let (echoed, other) = writes.get(key).map_or((false, false), |own| (own.echoed, own.other));
        let own = Own { version, epoch, until, echoed, other, streak, parked: None };
        writes.insert(key.clone(), own);
        streak
    }

    /// Queues parked keys once the informer has received their writes, or when they have waited long enough. Runs for
    /// ever, or until the informer stops.
    pub(super) async fn release<T: Send + Sync + 'static>(
        &self,
        informer: &Informer<T>,
        queue: &WorkQueue<ObjectKey>,
    ) {
        loop {
            let Some(until) = self.next_deadline() else {
                self.parked.notified().await;
                continue;
            };
            tokio::select! {
                received = informer.wait_until(|view| self.is_any_received(view)) => {
                    if received.is_err() {
                        return;
                    }
                }
                () = sleep_until(until) => {}
                () = self.parked.notified() => {}
            }
            let released = informer.read(|view| self.take_released(view));
            queue.add_all_with_priority(released);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.lock().values().filter(|own| own.parked.is_some()).map(|own| own.until).min()
    }

    fn is_any_received<T>(&self, view: &View<T>) -> bool {
        self.lock().iter().any(|(key, own)| own.parked.is_some() && own.is_received(key, view))
    }

    fn take_released<T>(&self, view: &View<T>) -> Vec<(ObjectKey, Priority)> {
        let now = Instant::now();
        let mut writes = self.lock();
        let ended = writes.iter_mut().filter(|(key, own)| own.until <= now || own.is_received(key, view));
        ended.filter_map(|(key, own)| Some((key.clone(), own.parked.take()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Own, RandomState>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// Whether the view contains the write or a later state, or whether that cannot be known.
    fn is_received<T>(&self, key: &ObjectKey, view: &View<T>) -> bool {
        if view.epoch != self.epoch {
            return true;
        }
        let before = |version: &ResourceVersion| *version < self.version;
        match (view.reached(key.namespace()), view.get(key)) {
            (Some(version), _) if !before(&version) => true,
            (_, Some(object)) => !before(&Obj::resource_version(object)),
            // Without a version of the view, the absence of the object is the newest that is known.
            (version, None) => version.is_none(),
        }
    }
}
