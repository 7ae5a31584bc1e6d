//! From a change to the keys of the subnets to reconcile.
//!
//! The cost of a change depends on the subnets that it affects: there is no resync, and no scan over all subnets.

use std::collections::BTreeSet;

use kube_informer::queue::WorkQueue;
use kube_informer::{Change, Obj, ObjectKey, Snapshot};

use super::caches::Caches;
use super::nad::Nad;
use super::observe::Observe;
use super::pod::PodNetworks;
use super::types::Subnet;

/// Queues subnets that are new or whose spec changed, and those that are gone, until the informer stops.
///
/// The API server increments the generation when the spec changes, and not for the controller's own status patches.
pub async fn subnets(caches: Caches, queue: WorkQueue<ObjectKey>, observe: impl Observe) {
    let mut changes = caches.subnets.subscribe();
    drop(caches);
    while let Some(batch) = changes.next().await {
        for change in batch.changes() {
            if let Change::Modified { old, new } = &change
                && old.metadata.generation == new.metadata.generation
            {
                continue;
            }
            queue.add(change.key().to_owned());
        }
        observe.queued(queue.len());
    }
}

/// Queues the subnets of each NAD that was created, deleted, or changed in what matters.
pub async fn nads(caches: Caches, queue: WorkQueue<ObjectKey>, observe: impl Observe) {
    let mut changes = caches.nads.subscribe();
    while let Some(batch) = changes.next().await {
        let subnets = caches.subnets.snapshot();
        for change in batch.changes() {
            for provider in affected_providers(&change) {
                let its = subnets.by_index(&caches.subnets_by_provider, provider);
                queue.add_all(its.map(|subnet| Obj::key(subnet).to_owned()));
            }
        }
        observe.queued(queue.len());
    }
}

/// Queues the subnets in which a pod that changed has or had an address.
pub async fn pods(caches: Caches, queue: WorkQueue<ObjectKey>, observe: impl Observe) {
    let mut changes = caches.pods.subscribe();
    while let Some(batch) = changes.next().await {
        if batch.is_initial() {
            continue; // `subnets` queues every subnet in its own first batch
        }
        let subnets = caches.subnets.snapshot();
        for change in batch.changes() {
            let networks: BTreeSet<_> =
                sides(&change).flat_map(|pod: &Obj<PodNetworks>| pod.networks()).collect();
            for (provider, name) in networks {
                if let Some(subnet) = with_provider(&subnets, provider, name) {
                    queue.add(Obj::key(subnet).to_owned());
                }
            }
        }
        observe.queued(queue.len());
    }
}

/// The providers whose subnets the change may affect; none if it changes nothing that matters here.
fn affected_providers<'a>(change: &Change<'a, Nad>) -> BTreeSet<&'a str> {
    if let Change::Modified { old, new } = change
        && old.means_the_same_as(new)
    {
        return BTreeSet::new();
    }
    sides(change).flat_map(|nad| nad.providers()).map(String::as_str).collect()
}

/// The object before and after the change, as far as they exist.
fn sides<'a, T>(change: &Change<'a, T>) -> impl Iterator<Item = &'a Obj<T>> + use<'a, T> {
    change.old().into_iter().chain(change.new())
}

/// The subnet with this name, if it has this provider.
fn with_provider<'a>(subnets: &'a Snapshot<Subnet>, provider: &str, name: &str) -> Option<&'a Obj<Subnet>> {
    subnets.get(name).filter(|subnet| subnet.provider() == provider)
}
