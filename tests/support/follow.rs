//! Watching an informer at its work, with patience but not for ever.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use kube_informer::{Batch, Change, Informer, Obj, Snapshot, Status, Subscription, View};
use tokio::time::timeout;

use super::wait::wait_until;

/// For what should come within moments, on a machine that may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What became of one object, with the value a case looks at before and after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen<V> {
    Added(V),
    Modified(V, V),
    Deleted(V),
    Replaced(V, V),
}

/// Waits for the first list.
pub(crate) async fn synced<T: Send + Sync + 'static>(informer: &Informer<T>) -> Result<Snapshot<T>> {
    timeout(SOON, informer.synced()).await.context("not synced in time")??;
    Ok(informer.snapshot())
}

/// Waits until the informer's newest version is as `such` says.
pub(crate) async fn until<T: Send + Sync + 'static>(
    informer: &Informer<T>,
    what: &str,
    such: impl Fn(&View<T>) -> bool,
) -> Result<Snapshot<T>> {
    wait_until(what, async || Ok(informer.read(&such))).await?;
    // It may have gone on; then the case must allow for that.
    Ok(informer.snapshot())
}

/// Waits until the informer says this of itself.
pub(crate) async fn until_status<T: Send + Sync + 'static>(
    informer: &Informer<T>,
    what: &str,
    such: impl Fn(&Status) -> bool,
) -> Result<Status> {
    let mut changes = informer.status_changes();
    let found = async {
        while let Some(status) = changes.next().await {
            if such(&status) {
                return Ok(status);
            }
        }
        anyhow::bail!("the informer stopped")
    };
    match timeout(SOON, found).await {
        Ok(found) => found,
        Err(_) => anyhow::bail!("waited in vain until {what}: {:?}", informer.status()),
    }
}

/// The next batch of a subscription that has not ended.
pub(crate) async fn next<T: Send + Sync + 'static>(changes: &mut Subscription<T>) -> Result<Batch<T>> {
    timeout(SOON, changes.next()).await.context("no batch in time")?.context("the subscription ended")
}

/// The changes of a batch by the value `of` finds in an object, sorted; and that the batch is what its
/// snapshots differ by, neither more nor less.
pub(crate) fn seen<T, V: Clone + Debug + Ord>(
    batch: &Batch<T>,
    of: impl Fn(&Obj<T>) -> V,
) -> Result<Vec<Seen<V>>> {
    let mut seen = Vec::new();
    for change in batch.changes() {
        let (before, after) = (batch.previous().get(change.key()), batch.snapshot().get(change.key()));
        let same = |one: Option<&Obj<T>>, other: Option<&Obj<T>>| match (one, other) {
            (Some(one), Some(other)) => Obj::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        ensure!(same(change.old(), before) && same(change.new(), after), "{change:?} is not of its batch");
        seen.push(match change {
            Change::Added(new) => Seen::Added(of(new)),
            Change::Modified { old, new } => Seen::Modified(of(old), of(new)),
            Change::Deleted(old) => Seen::Deleted(of(old)),
            Change::Replaced { old, new } => Seen::Replaced(of(old), of(new)),
        });
    }
    seen.sort();
    Ok(seen)
}
