//! From a change to the keys of the subnets to reconcile.
//!
//! The cost of a change depends on the subnets that it affects: there is no resync, and no scan over all subnets.

use std::collections::BTreeSet;

use kube_informer::controller::World;
use kube_informer::{Change, Index, Obj, ObjectKey, Snapshot};

use super::nad::Nad;
use super::pod::PodNetworks;
use super::types::Subnet;

/// The mapping for NADs: the subnets of each NAD that was created, deleted, or changed in what matters.
pub fn subnets_of_nad(
    change: Change<'_, Nad>,
    world: &World<'_, Subnet, Nad>,
    by_provider: &Index<Subnet, String>,
    emit: &mut dyn FnMut(ObjectKey),
) {
    for provider in affected_providers(&change) {
        let subnets = world.primary.by_index(by_provider, provider);
        subnets.for_each(|subnet| emit(Obj::key(subnet).to_owned()));
    }
}

/// The mapping for pods: the subnets in which a pod that changed has or had an address.
pub fn subnets_of_pod(
    change: Change<'_, PodNetworks>,
    world: &World<'_, Subnet, PodNetworks>,
    emit: &mut dyn FnMut(ObjectKey),
) {
    let networks: BTreeSet<_> = sides(&change).flat_map(|pod: &Obj<PodNetworks>| pod.networks()).collect();
    for (provider, name) in networks {
        if let Some(subnet) = with_provider(world.primary, provider, name) {
            emit(Obj::key(subnet).to_owned());
        }
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
