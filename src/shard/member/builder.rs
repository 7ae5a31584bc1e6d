//! Configures a member before it runs.

use std::time::Duration;

use kube_client::{Api, Client};
use kube_core::ObjectMeta;
use tokio_util::task::TaskTracker;

use super::assign::Identity;
use super::record::{GROUP, MOST_SLOTS, Record};
use super::task::{Task, Timing};
use super::{Member, parts};
use crate::config::Config;
use crate::informer::Informer;
use crate::source::Limits;

/// The shortest duration of a Lease.
const SHORTEST: Duration = Duration::from_secs(3);

/// Configures a [`Member`]. See [`Member::builder`].
#[must_use = "nothing happens before `start`"]
pub struct Builder {
    client: Client,
    group: String,
    namespace: String,
    name: String,
    lease: Duration,
    slots: u16,
}

// === impl Builder ===

impl Builder {
    pub(super) fn new(client: Client, group: String) -> Self {
        let name = std::env::var("HOSTNAME").unwrap_or_else(|_| format!("{:08x}", rand::random::<u32>()));
        let namespace = client.default_namespace().to_owned();
        Self { client, group, namespace, name, lease: Duration::from_secs(15), slots: 128 }
    }

    /// Sets the namespace of the Leases. Default: that of the client, which is that of the Pod.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// Sets the name of the replica. Default: the variable `HOSTNAME`, which is the name of the Pod. A replica that starts
    /// again with the same name gets the same ranges, if the other members are the same. Names need not be unique: each
    /// run has a Lease of its own.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets the duration of the Lease, in whole seconds. Default: 15 s, as client-go's; at least 3 s. It is renewed after
    /// 2/15 of it, and lost if that has failed for 2/3 of it. After the end of a process, its ranges have no member for
    /// about this time.
    pub fn lease(self, duration: Duration) -> Self {
        Self { lease: Duration::from_secs(duration.max(SHORTEST).as_secs()), ..self }
    }

    /// Sets how many equal parts the hashes have, of which each member gets the same number, give or take one. Default:
    /// 128. If members differ, the largest number applies to all, so it can be changed in a rolling update.
    ///
    /// A member has up to a quarter as many ranges, each with 80 bytes in the URL of lists and watches.
    pub fn slots(self, slots: u16) -> Self {
        Self { slots: slots.clamp(1, MOST_SLOTS), ..self }
    }

    /// Starts the member as tasks on the current tokio runtime. Returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self) -> Member {
        let run = format!("{:016x}", rand::random::<u64>());
        let leases = Api::namespaced(self.client, &self.namespace);
        let metadata = ObjectMeta {
            name: Some(format!("{}-{run}", self.group)),
            namespace: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        };
        // The member itself writes more often than that, so silence is an error. Lists are small, and needed soon, also
        // after an outage.
        let timing = Timing { renew: self.lease * 2 / 15, deadline: self.lease * 2 / 3 };
        let patience = timing.deadline / 2;
        let limits = Limits::new().head_time(patience).body_silence(patience).watch_silence(timing.deadline);
        let informer = Informer::builder(leases.clone())
            .labels(format!("{GROUP}={}", self.group))
            .config(Config {
                longest_refusal: patience,
                ..Config::new().limits(limits).list_budget(10, timing.renew)
            })
            .project(|lease| Record::read(&lease))
            .start();
        let identity = Identity { name: self.name, run };
        let tasks = TaskTracker::new();
        let (member, stop) = parts(informer.clone(), tasks.clone());
        let record = Record {
            identity: Some(identity),
            duration: self.lease,
            slots: self.slots,
            renewal: 0,
            said: Default::default(),
            is_readable: true,
        };
        let task = Task::new(leases, informer, self.group, metadata, record, timing, member.desk.clone());
        tasks.spawn(task.run(stop));
        tasks.close();
        member
    }
}
