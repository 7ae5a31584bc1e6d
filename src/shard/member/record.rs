//! What a member says of itself on its Lease, and how the others read it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube_core::ObjectMeta;

use super::super::{Range, Ranges};
use super::assign::Identity;

/// The label with the name of the group.
pub(super) const GROUP: &str = "kube-informer/shards";
const SLOTS: &str = "kube-informer/slots";
const RENEWAL: &str = "kube-informer/renewal";
const GENERATION: &str = "kube-informer/generation";
const READY: &str = "kube-informer/ready";
const HELD: &str = "kube-informer/held";
/// The most slots that a member computes with, whatever a Lease says.
pub(super) const MOST_SLOTS: u16 = 4096;

/// The content of a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `None` if it is leaving.
    pub(super) identity: Option<Identity>,
    /// How long others wait after a renewal.
    pub(super) duration: Duration,
    /// The number of slots by which it computes shares. Zero if it is to have no share: it does not see the other Leases,
    /// or is no member at all.
    pub(super) slots: u16,
    /// Counts the writes of the member. It stays the same if another one writes to the Lease.
    pub(super) renewal: u64,
    pub(super) said: Said,
    /// Whether it says what it holds. If not, `said.held` is a guess.
    pub(super) is_readable: bool,
}

/// The part that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Increases with each change.
    pub(super) generation: u64,
    /// Cached, and waited for.
    pub(super) ready: Ranges,
    /// Claimed: no other member may begin to work on these.
    pub(super) held: Ranges,
}

// === impl Record ===

impl Record {
    /// What the Lease says. What cannot be read counts as what is safe: a member that holds everything.
    pub(super) fn read(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let annotations = lease.metadata.annotations.clone().unwrap_or_default();
        let text = |name: &str| annotations.get(name).map(String::as_str).unwrap_or_default();
        // A member always says it, also if it holds nothing: without it, the announcement was removed.
        let held: Option<Ranges> = annotations.get(HELD).and_then(|held| held.parse().ok());
        let identity = spec.holder_identity.filter(|holder| !holder.is_empty()).map(|holder| {
            let (name, run) = holder.rsplit_once('_').unwrap_or((&holder, ""));
            Identity { name: name.to_owned(), run: run.to_owned() }
        });
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            identity,
            duration: Duration::from_secs(seconds.unwrap_or(15)),
            slots: text(SLOTS).parse().unwrap_or(0).min(MOST_SLOTS),
            renewal: text(RENEWAL).parse().unwrap_or_default(),
            is_readable: held.is_some(),
            said: Said {
                generation: text(GENERATION).parse().unwrap_or_default(),
                ready: text(READY).parse().unwrap_or_default(),
                held: held.unwrap_or_else(|| Ranges::from(Range::ALL)),
            },
        }
    }

    /// The Lease that says this, renewed now. The time is for people: no member compares it with its own clock.
    pub(super) fn write(&self, metadata: &ObjectMeta, group: &str) -> Lease {
        let mut metadata = metadata.clone();
        metadata.managed_fields = None;
        metadata.labels.get_or_insert_default().insert(GROUP.to_owned(), group.to_owned());
        let annotations: &mut BTreeMap<_, _> = metadata.annotations.get_or_insert_default();
        for (name, text) in [
            (SLOTS, self.slots.to_string()),
            (RENEWAL, self.renewal.to_string()),
            (GENERATION, self.said.generation.to_string()),
            (READY, self.said.ready.to_string()),
            (HELD, self.said.held.to_string()),
        ] {
            annotations.insert(name.to_owned(), text);
        }
        let seconds = i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX);
        let spec = LeaseSpec {
            holder_identity: self.identity.as_ref().map(|me| format!("{}_{}", me.name, me.run)),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}
