//! An informer whose scope is the share of this replica.

use futures_core::future::BoxFuture;

use crate::error::Error;
use crate::informer::Informer;
use crate::scope::Scope;
use crate::shard::{By, Ranges};

/// A [`Scoped`], its type erased.
pub(in super::super) trait Follower: Send + Sync {
    /// Returns when the objects with these hashes are cached.
    fn cache(&self, by: By, ranges: &Ranges) -> BoxFuture<'static, Result<(), Error>>;
}

/// See the [module](self).
pub(super) struct Scoped<U> {
    pub(super) informer: Informer<U>,
    /// Of all replicas together.
    pub(super) scope: Scope,
}

impl<U: Send + Sync + 'static> Follower for Scoped<U> {
    fn cache(&self, by: By, ranges: &Ranges) -> BoxFuture<'static, Result<(), Error>> {
        let (informer, scope) = (self.informer.clone(), self.scope.clone().shard(by, ranges.clone()));
        Box::pin(async move { informer.set_scope(scope).await.map(drop) })
    }
}
