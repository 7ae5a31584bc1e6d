//! Which keys this replica may reconcile, and which it reconciles now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_core::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::super::tenure::{Entry, Tenure};
use super::super::term::Term;
use super::follow::Follow;
use super::scoped::Follower;
use crate::error::Error;
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::shard::member::Following;
use crate::shard::{By, Member, Ranges};

/// For how long a controller that ends tries to hand over. After that, its Lease ends by itself.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// See the [module](self).
pub(super) struct Held<T> {
    pub(super) member: Member,
    pub(super) by: By,
    pub(super) primary: Informer<T>,
    pub(super) followers: Vec<Arc<dyn Follower>>,
    with_deleted: bool,
    keys: Mutex<Keys>,
    /// Notified when a reconcile has ended.
    pub(super) exited: Notify,
    /// How often everything was lost.
    losses: watch::Sender<u64>,
    following: Mutex<Option<Following>>,
}

/// Keys with the hashes of their objects.
#[derive(Default)]
struct Keys {
    /// Those that are reconciled now.
    running: HashMap<ObjectKey, u64, RandomState>,
    /// Those of deleted objects, whose uid is needed to find out who reconciles them.
    deleted: HashMap<ObjectKey, u64, RandomState>,
    /// Those without an object that are to be reconciled as soon as they are held.
    waiting: HashMap<ObjectKey, u64, RandomState>,
}

// === impl Held ===

impl<T> Held<T> {
    pub(super) fn new(
        member: Member,
        by: By,
        primary: Informer<T>,
        followers: Vec<Arc<dyn Follower>>,
        with_deleted: bool,
        following: Following,
    ) -> Self {
        Self {
            losses: watch::Sender::new(member.share().losses()),
            member,
            by,
            primary,
            followers,
            with_deleted,
            keys: Mutex::default(),
            exited: Notify::new(),
            following: Mutex::new(Some(following)),
        }
    }

    /// Everything was lost, so often by now. Returns whether that is news.
    pub(super) fn lose(&self, losses: u64) -> bool {
        self.losses.send_replace(losses) != losses
    }

    /// Whether no reconcile of a key in these ranges runs.
    pub(super) fn is_idle(&self, ranges: &Ranges) -> bool {
        !self.keys().running.values().any(|hash| ranges.contains(*hash))
    }

    /// Forgets keys that another replica will reconcile.
    pub(super) fn retain(&self, ranges: &Ranges) {
        let keys = &mut *self.keys();
        keys.deleted.retain(|_, hash| ranges.contains(*hash));
        keys.waiting.retain(|_, hash| ranges.contains(*hash));
    }

    /// Returns the keys without an object that have waited for these ranges.
    pub(super) fn take_waiting(&self, ranges: &Ranges) -> Vec<ObjectKey> {
        let keys = &mut *self.keys();
        keys.waiting.extract_if(|_, hash| ranges.contains(*hash)).map(|(key, _)| key).collect()
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Tenure for Held<T> {
    fn follow(self: Arc<Self>, term: Arc<Term>) -> BoxFuture<'static, Result<(), Error>> {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let _following = following;
            Follow::new(&self, &term).run().await
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut shares = self.member.shares();
            let finish = async {
                while let Some(share) = shares.next().await {
                    self.member.finished(&share);
                }
            };
            let left = async { tokio::join!(self.member.leave(), finish) };
            if timeout(LEAVE_WITHIN, left).await.is_err() {
                let kind = self.primary.name();
                tracing::warn!(kind, "a sharded controller ends before its ranges were handed over");
            }
        })
    }

    fn queues(&self, key: &ObjectKey, uid: &str) -> bool {
        self.member.holds(self.by.hash(uid, key.namespace()))
    }

    fn deleted(&self, key: &ObjectKey, uid: &str) {
        if self.with_deleted && self.by == By::Uid {
            self.keys().deleted.insert(key.clone(), self.by.hash(uid, key.namespace()));
        }
    }

    fn enter(&self, key: &ObjectKey, uid: Option<&str>) -> Option<Entry> {
        let keys = &mut *self.keys();
        let hash = match (uid, self.by) {
            (None, By::Uid) => *keys.deleted.get(key)?,
            (uid, by) => by.hash(uid.unwrap_or_default(), key.namespace()),
        };
        // While the keys are locked: a range is finished only after this key is seen, or is not held here.
        let Some(losses) = self.member.begin(hash) else {
            if uid.is_none() && self.with_deleted && self.member.caches(hash) {
                keys.waiting.insert(key.clone(), hash);
            } else {
                keys.deleted.remove(key);
            }
            return None;
        };
        if uid.is_some() {
            keys.deleted.remove(key);
        }
        keys.waiting.remove(key);
        keys.running.insert(key.clone(), hash);
        Some(Entry { hash, losses })
    }

    fn exit(&self, key: &ObjectKey, done: bool) {
        let keys = &mut *self.keys();
        keys.running.remove(key);
        if done {
            keys.deleted.remove(key);
        }
        self.exited.notify_one();
    }

    fn goes_on(&self, entry: Entry) -> bool {
        self.member.goes_on(entry.hash, entry.losses)
    }

    fn lost(&self, entry: Entry) -> BoxFuture<'static, ()> {
        let mut losses = self.losses.subscribe();
        Box::pin(async move {
            // If the sender is gone, the run has ended.
            let _ = losses.wait_for(|losses| *losses != entry.losses).await;
        })
    }
}
