//! Replicas that divide the objects of a kind among themselves, and hand ranges over while they run.
//!
//! Each replica is a [`Member`] of a group, with a Lease of its own (`coordination.k8s.io`), which it renews. The members
//! see the Leases of each other, and compute from them which ranges each should have: no member leads. A range moves in
//! these steps:
//!
//! 1. The new member caches the objects ([`Share::to_cache`]), says so ([`Member::cached`]), and waits.
//! 2. The old member stops to work on them, finishes what it has begun ([`Share::releasing`]), and says so
//!    ([`Member::finished`]). It keeps the range until the new member waits. If it has ended, its Lease ends instead.
//! 3. The new member claims the range on its Lease. Once it sees that no other has claimed it before, it works
//!    ([`Share::held`]).
//!
//! ```no_run
//! use k8s_openapi::api::core::v1::Pod;
//! use kube_client::{Api, Client};
//! use kube_informer::shard::{By, Member, hash};
//! use kube_informer::{Error, Informer, Obj, Scope};
//!
//! # async fn example(client: Client) -> Result<(), Error> {
//! let member = Member::builder(client.clone(), "pod-labeller").start();
//! let pods = Informer::builder(Api::<Pod>::all(client)).scope(Scope::any([])).start();
//! let mut shares = member.shares();
//! while let Some(share) = shares.next().await {
//!     // One task follows the share ...
//!     pods.set_scope(Scope::all().shard(By::Uid, share.to_cache().clone())).await?;
//!     member.cached(&share);
//!     // ... after no reconcile of a key in `share.releasing()` runs any more:
//!     member.finished(&share);
//! }
//! // Before each reconcile:
//! # let pod: Obj<Pod> = unimplemented!();
//! if member.holds(hash(&Obj::uid(&pod))) { /* reconcile */ }
//! # Ok(())
//! # }
//! ```
//!
//! [`Controller::sharded`](crate::controller::Controller::sharded) does all of this.
//!
//! # What is guaranteed
//!
//! Two members never hold a hash at the same time, if
//!
//! - no reconcile begins unless [`Member::holds`] returns true,
//! - `finished` is called only when no reconcile of a released range runs, and
//! - after a share that [is lost](Share::is_lost), all reconciles end within a third of the duration of the Lease.
//!
//! No clock is compared with that of another process: a member ends its work when it could not renew its Lease for two
//! thirds of the duration, counted from before the last renewal that succeeded; others wait for the whole duration,
//! counted from when they observed it. This needs clocks that run equally fast, and nothing else.
//!
//! A process that is paused in the middle of a request to the API server cannot be stopped from completing it when it
//! goes on. Where that matters, write with the `resourceVersion` as a precondition.
//!
//! If someone else deletes the Lease of a member, or etcd is restored from a backup, a member that starts in that moment
//! cannot know of its claim. Both then hold its hashes until they see each other, which takes about a renewal; one of the
//! two releases them.
//!
//! # What operators see
//!
//! [`Member::uncovered`] has the hashes that no member holds, and for how long; the member logs it. [`Member::last_error`]
//! says why, if requests fail. A member that can write its Lease and not see the others keeps what it holds, but is no
//! candidate for more: after the duration of a Lease, the others divide the rest among themselves.
//!
//! # Why not `kube-lease-manager`
//!
//! It elects one holder of one Lease. Here each member has its own, with labels and announcements that change together
//! with the renewal. It also compares the clocks of nodes, and after a failed renewal it still counts itself as the
//! holder.

mod assign;
mod builder;
mod coverage;
mod ledger;
mod record;
mod roster;
mod share;
mod task;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::builder::Builder;
use self::coverage::Coverage;
use self::record::Record;
pub use self::share::{Share, Shares};
use super::Ranges;
use crate::error::Error;
use crate::informer::Informer;

/// A replica that has a share of the hashes. See the [module](self).
///
/// Cloning copies a pointer. When the last clone is dropped, the member ends at once, and its Lease is no longer
/// renewed; [`leave`](Self::leave) hands its ranges over instead.
#[derive(Clone)]
pub struct Member {
    desk: Arc<Desk>,
    leases: Informer<Record>,
    tasks: TaskTracker,
    _stop: Arc<DropGuard>,
}

/// Between the handles and the task.
#[derive(Default)]
struct Desk {
    /// The newest share.
    shares: watch::Sender<Share>,
    inbox: Mutex<Inbox>,
    wake: Notify,
    seen: Mutex<Observed>,
    /// A controller follows the shares.
    followed: AtomicBool,
}

/// A controller follows the shares of a member, until this is dropped.
pub(crate) struct Following(Arc<Desk>);

/// What the application has said and the task has not read yet. It is bounded: newer replaces older.
#[derive(Default)]
struct Inbox {
    cached: Option<Ranges>,
    /// The number of the last release that is finished.
    finished: u64,
    leaves: bool,
}

/// For operators.
#[derive(Clone, Default)]
struct Observed {
    live: usize,
    coverage: Coverage,
    /// Of the last write.
    write_error: Option<Error>,
}

// === impl Member ===

impl Member {
    /// Returns the builder of a member of a group. The name of the group is the value of a label, and the beginning of
    /// the names of the Leases: lower case letters, digits and `-`, at most 60.
    ///
    /// The client needs the rights to get, list, watch, create, update and delete `leases` of `coordination.k8s.io` in
    /// its namespace.
    pub fn builder(client: kube_client::Client, group: impl Into<String>) -> Builder {
        Builder::new(client, group.into())
    }

    /// The present share. O(1).
    pub fn share(&self) -> Share {
        self.desk.shares.borrow().clone()
    }

    /// Returns the share, and then each change of it. Changes that come in quick succession are one.
    pub fn shares(&self) -> Shares {
        Shares::new(self.desk.shares.subscribe())
    }

    /// Whether the member may work on objects with this hash now. False once the Lease could not be renewed in time,
    /// even if no share has said so yet. O(log ranges), under a short lock.
    pub fn holds(&self, hash: u64) -> bool {
        self.begin(hash).is_some()
    }

    /// How often the Lease was lost, if the member holds the hash now. Work that begins now may go on while
    /// [`goes_on`](Self::goes_on) returns true for this number.
    pub(crate) fn begin(&self, hash: u64) -> Option<u64> {
        let share = self.desk.shares.borrow();
        let is_held = share.is_valid() && share.held.contains(hash);
        is_held.then_some(share.losses)
    }

    /// Whether work on a hash, which began when the Lease had been lost so often, may go on: no other member works on it.
    pub(crate) fn goes_on(&self, hash: u64, losses: u64) -> bool {
        let share = self.desk.shares.borrow();
        share.is_valid()
            && share.losses == losses
            && (share.held.contains(hash) || share.releasing.contains(hash))
    }

    /// Whether objects with this hash are to be cached.
    pub(crate) fn caches(&self, hash: u64) -> bool {
        self.desk.shares.borrow().to_cache.contains(hash)
    }

    /// Makes the caller the one application that follows the shares. `None` if there is one.
    pub(crate) fn follow(&self) -> Option<Following> {
        let is_first = !self.desk.followed.swap(true, Relaxed);
        is_first.then(|| Following(self.desk.clone()))
    }

    /// Says that [`Share::to_cache`] of this share is cached, so that the member can claim it. Does not wait.
    pub fn cached(&self, share: &Share) {
        self.send(|inbox| inbox.cached = Some(share.to_cache.clone()));
    }

    /// Says that no key of [`Share::releasing`] of this share is worked on any more. Does not wait.
    pub fn finished(&self, share: &Share) {
        if !share.releases.is_empty() {
            let released = share.released();
            self.send(|inbox| inbox.finished = inbox.finished.max(released));
            // No share from now on has it.
            self.desk.shares.send_if_modified(|share| {
                share.finish(released);
                false
            });
        }
    }

    /// Releases everything, deletes the Lease, and ends. Returns when the member has ended.
    ///
    /// The application has to call [`finished`](Self::finished) for what it releases. Use a timeout: while the API
    /// server does not respond, this waits.
    ///
    /// Cancel-safe: a dropped call does not take back that the member leaves.
    pub async fn leave(&self) {
        self.send(|inbox| inbox.leaves = true);
        self.tasks.wait().await;
    }

    /// The number of live members, as this one sees them, itself included once it has a Lease.
    pub fn live(&self) -> usize {
        self.desk.seen().live
    }

    /// The hashes that no member has held for at least this time, as this member sees it. O(ranges), under a short lock.
    ///
    /// Normally there are none, except for some seconds after a member has ended or is about to take over. Some last if the
    /// application of a member does not call [`cached`](Self::cached) or [`finished`](Self::finished), or if a Lease that is
    /// not of a member blocks the others. Alert if `uncovered(..)` of the duration of the Lease and of a list is not empty.
    /// The member logs a warning when that is so for longer than its Lease, once, and when it is over.
    ///
    /// A member that sees no other Lease, because it just began or does not reach the API server, counts what it does not
    /// hold itself: [`last_error`](Self::last_error) says so. What a Lease claims counts as held, whether or not the process
    /// does its work.
    pub fn uncovered(&self, lasting: Duration) -> Ranges {
        self.desk.seen().coverage.gaps(lasting, Instant::now())
    }

    /// Why the last write of the Lease failed, or why the Leases cannot be listed or watched; `None` while both work. With
    /// [`Error::http_code`] 403, rights are missing.
    pub fn last_error(&self) -> Option<Error> {
        let written = self.desk.seen().write_error.clone();
        written.or_else(|| {
            let status = self.leases.status();
            status.last_error.filter(|_| status.failures > 0)
        })
    }

    fn send(&self, change: impl FnOnce(&mut Inbox)) {
        change(&mut self.desk.inbox());
        self.desk.wake.notify_one();
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a member of {}: {:?}", self.live(), self.share())
    }
}

// === impl Desk ===

impl Desk {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Observed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.followed.store(false, Relaxed);
    }
}

/// Makes the parts of a member, and the token that ends it.
fn parts(leases: Informer<Record>, tasks: TaskTracker) -> (Member, CancellationToken) {
    let stop = CancellationToken::new();
    let guard = Arc::new(stop.clone().drop_guard());
    (Member { desk: Arc::default(), leases, tasks, _stop: guard }, stop)
}
