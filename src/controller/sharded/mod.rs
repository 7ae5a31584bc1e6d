//! A controller whose objects are divided among its replicas.
//!
//! ```text
//!  member: share --- to cache ---> scopes of the informers: listed ---> member: cached
//!            |------ held -------> the keys of gained ranges are queued
//!            |------ releasing --> reconciles that run end -----------> member: finished
//!            '------ lost -------> reconciles that run are dropped ---> member: finished
//! ```

mod follow;
mod held;
mod scoped;

use std::sync::Arc;

use self::held::Held;
pub(super) use self::scoped::Follower;
use self::scoped::Scoped;
use super::builder::Controller;
use super::tenure::{Sharding, Tenure};
use crate::error::{Error, ErrorKind};
use crate::informer::Informer;
use crate::scope::Scope;
use crate::shard::{By, Member};

/// See [`Controller::sharded`].
struct Sharded<T> {
    member: Member,
    by: By,
    primary: Informer<T>,
    followers: Vec<Arc<dyn Follower>>,
}

impl<T: Send + Sync + 'static, S> Controller<T, S> {
    /// Divides the objects among the replicas of the application. Each has a [`Member`] of the same group, and
    /// reconciles the objects of its own share.
    ///
    /// The controller sets the scope of the primary informer to the objects of `scope` that the member should cache
    /// ([`Share::to_cache`](crate::shard::member::Share::to_cache)), by uid or by namespace. Build the informer with an
    /// empty scope, so that it does not list everything before the member has a share.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use k8s_openapi::api::core::v1::{Pod, Secret};
    /// use kube_client::{Api, Client};
    /// use kube_informer::controller::{Action, Context, Controller, Ended};
    /// use kube_informer::shard::{By, Member};
    /// use kube_informer::{Error, Informer, Obj, Scope};
    ///
    /// # async fn reconcile(_: Obj<Pod>, _: Context<()>) -> Result<Action, Error> { Ok(Action::await_change()) }
    /// async fn run(client: Client, stop: impl Future<Output = ()>) -> Result<Ended, Error> {
    ///     let member = Member::builder(client.clone(), "pod-labeller").start();
    ///     let pods = Informer::builder(Api::<Pod>::all(client.clone())).scope(Scope::any([])).start();
    ///     let secrets = Informer::builder(Api::<Secret>::all(client)).scope(Scope::any([])).start();
    ///     Controller::new(&pods)
    ///         .owns(&secrets)
    ///         .sharded(&member, By::Namespace, Scope::all())
    ///         .follows(&secrets, Scope::all())
    ///         .run_until(reconcile, |_, _, _| Action::retry(), Arc::new(()), stop)
    ///         .await
    /// }
    /// ```
    ///
    /// - No two replicas reconcile an object at the same time, under the
    ///   [conditions](crate::shard::member#what-is-guaranteed) of a member. A reconcile that runs when its object goes
    ///   to another replica ends first.
    /// - If the Lease is lost, reconciles that run are dropped: they are not polled again, also in a process that was
    ///   paused and goes on.
    /// - When the replica gains a range, all its objects are reconciled, with the priority of an initial list. What was
    ///   queued in the replica before, delays included, does not move with it.
    /// - The first reconcile of an object after such a move may begin from an older version than the last write of the
    ///   other replica. Write with the `resourceVersion` as a precondition.
    /// - After [`with_deleted`](Self::with_deleted), the replica that holds the object reconciles its delete. A delete
    ///   that a replica has not reconciled when its range moves is lost, as one is while no replica runs. By uid, an object
    ///   that is created again with the same name may belong to another replica, so its reconciles and that of the delete
    ///   may run at the same time, or the latter last: what a delete cleans up by name needs [`By::Namespace`].
    /// - The replica holds nothing before all informers of the controller have synced.
    /// - [`Handle::first_pass`](super::Handle::first_pass) is that over the first ranges that the replica holds.
    ///
    /// At the end of a run, the member leaves its group: the other replicas take over at once. A member belongs to one
    /// controller, and to one run. If it has left, a run returns [`Ended::Left`](super::Ended::Left). If the call of `run`
    /// is dropped, the member still holds its share: drop it too.
    ///
    /// All members of a group have to divide the same scope in the same way. To change either, use another group, after the
    /// replicas of the first one have ended.
    ///
    /// Replaces an earlier call, and those of [`follows`](Self::follows) after it. A run returns an error if the informer
    /// [cannot change its scope](Informer::set_scope), and [`Error::is_running`] if another controller has this member.
    #[must_use]
    pub fn sharded(mut self, member: &Member, by: By, scope: Scope) -> Self {
        let follower = Scoped { informer: self.primary.clone(), scope };
        self.sharding = Some(Box::new(Sharded {
            member: member.clone(),
            by,
            primary: self.primary.clone(),
            followers: vec![Arc::new(follower)],
        }));
        self
    }

    /// Caches also the objects of another informer in the replica that holds their namespace: what the primary objects
    /// of the same namespace own or refer to. An informer without this call is not divided; each replica caches all its
    /// objects.
    ///
    /// # Panics
    ///
    /// Unless the controller is [`sharded`](Self::sharded) by namespace. Objects of different kinds have no uid in common.
    #[must_use]
    #[track_caller]
    pub fn follows<U: Send + Sync + 'static>(mut self, informer: &Informer<U>, scope: Scope) -> Self {
        let sharding = self.sharding.as_mut().filter(|sharding| sharding.by() == By::Namespace);
        let sharding = sharding.expect("`follows` needs a controller that is sharded by namespace");
        sharding.follows(Arc::new(Scoped { informer: informer.clone(), scope }));
        self
    }
}

impl<T: Send + Sync + 'static> Sharding for Sharded<T> {
    fn by(&self) -> By {
        self.by
    }

    fn follows(&mut self, follower: Arc<dyn Follower>) {
        self.followers.push(follower);
    }

    fn begin(&self, with_deleted: bool) -> Result<Arc<dyn Tenure>, Error> {
        let following = self.member.follow().ok_or(ErrorKind::AlreadyRunning)?;
        let (member, primary) = (self.member.clone(), self.primary.clone());
        let held = Held::new(member, self.by, primary, self.followers.clone(), with_deleted, following);
        Ok(Arc::new(held))
    }
}
