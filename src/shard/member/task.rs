//! The task of a member: observes the Leases, renews its own, and publishes the share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::Api;
use kube_core::ObjectMeta;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Desk;
use super::assign::{Identity, share};
use super::ledger::{Ledger, Others};
use super::record::{Record, Said};
use super::roster::Roster;
use super::share::Share;
use super::write::{Written, delete, write};
use crate::error::Error;
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::snapshot::{Snapshot, View};
use crate::subscribe::Subscription;
use crate::version::ResourceVersion;

/// The times of a member that follow from the duration of its Lease.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    /// Between two renewals, and after a failed one.
    pub(super) renew: Duration,
    /// For how long the member works after the last renewal that succeeded.
    pub(super) deadline: Duration,
}

/// See the [module](self).
pub(super) struct Task {
    leases: Api<Lease>,
    informer: Informer<Record>,
    group: String,
    /// Of the own Lease. Without a version, it does not exist.
    metadata: ObjectMeta,
    me: Identity,
    record: Record,
    timing: Timing,
    desk: Arc<Desk>,
    ledger: Ledger,
    roster: Roster,
    /// The own Lease in the newest view: its generation, its version, and when that was observed.
    seen: Option<(u64, ResourceVersion, Instant)>,
    /// When the last write that succeeded had begun, and what it said.
    renewed: Option<(Instant, Said)>,
    lost: bool,
    /// How often it was lost.
    losses: u64,
    leaves: bool,
    /// When a write may begin.
    write_after: Instant,
    flight: Option<Flight>,
    /// Deletes the Lease of a member that ended long ago.
    cleanup: Option<BoxFuture<'static, Result<(), Error>>>,
}

struct Flight {
    begun: Instant,
    said: Said,
    leaves: bool,
    write: BoxFuture<'static, Result<Written, Error>>,
}

// === impl Task ===

impl Task {
    pub(super) fn new(
        leases: Api<Lease>,
        informer: Informer<Record>,
        group: String,
        metadata: ObjectMeta,
        record: Record,
        timing: Timing,
        desk: Arc<Desk>,
    ) -> Self {
        let me =
            record.identity.clone().unwrap_or_else(|| Identity { name: String::new(), run: String::new() });
        Self {
            leases,
            informer,
            group,
            metadata,
            ledger: Ledger::new(me.clone()),
            me,
            record,
            timing,
            desk,
            roster: Roster::default(),
            seen: None,
            renewed: None,
            lost: false,
            losses: 0,
            leaves: false,
            write_after: Instant::now(),
            flight: None,
            cleanup: None,
        }
    }

    /// Runs until the member has left, or `stop` is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.drive()).await;
        // Nothing is held any more, whether or not the Lease lasts.
        self.desk.shares.send_replace(Share { ended: true, ..Share::default() });
        self.informer.shutdown().await;
    }

    async fn drive(&mut self) {
        let mut changes = self.informer.subscribe();
        loop {
            let now = Instant::now();
            self.check_deadline(now);
            self.read_inbox();
            self.step(now);
            self.begin_write(now);
            self.publish(now);
            if self.has_left_nothing() {
                return;
            }
            let timer = self.next_timer(now);
            let flight = OptionFuture::from(self.flight.as_mut().map(|flight| &mut flight.write));
            let cleanup = OptionFuture::from(self.cleanup.as_mut());
            tokio::select! {
                biased;
                Some(written) = flight => {
                    if let Some(flight) = self.flight.take()
                        && self.written(flight, written).await
                    {
                        return;
                    }
                }
                leases = next(&mut changes) => {
                    let Some(leases) = leases else { return };
                    self.observe(&leases);
                }
                Some(_) = cleanup => self.cleanup = None,
                () = self.desk.wake.notified() => {}
                () = sleep_until(timer) => {}
            }
        }
    }

    /// The Lease could not be renewed in time.
    fn check_deadline(&mut self, now: Instant) {
        let is_over = self.until().is_some_and(|until| now >= until);
        if is_over && !self.lost {
            tracing::warn!(group = %self.group, "the Lease of this member could not be renewed in time");
            self.lost = true;
            self.losses += 1;
            self.ledger.lose();
        }
    }

    fn read_inbox(&mut self) {
        let (cached, finished, leaves) = {
            let mut inbox = self.desk.inbox();
            (inbox.cached.take(), inbox.finished, inbox.leaves)
        };
        self.ledger.finished(finished);
        if let Some(cached) = cached {
            self.ledger.listed(&cached);
        }
        if leaves && !self.leaves {
            self.leaves = true;
            self.ledger.leave();
        }
    }

    fn observe(&mut self, leases: &View<Record>) {
        let namespace = self.metadata.namespace.clone().unwrap_or_default();
        let mine = ObjectKey::new(&namespace, self.metadata.name.as_deref().unwrap_or_default());
        let (before, now) = (self.seen.take(), Instant::now());
        self.seen = leases.get(&mine).map(|lease| {
            let version = Obj::resource_version(lease);
            let known = before.filter(|(_, known, _)| *known == version);
            (lease.said.generation, version, known.map_or(now, |(.., at)| at))
        });
        self.roster.observe(leases, &mine, now);
    }

    fn step(&mut self, now: Instant) {
        // While its Lease may be ended for the others, it is not one of the members.
        if self.renewed.is_none() || self.lost {
            self.desk.seen().live = self.roster.members(now).count();
            return;
        }
        // If the own renewals are not observed, those of others are not, either: nothing can be concluded.
        let is_fresh = self.seen.as_ref().is_some_and(|(.., at)| now < *at + self.timing.deadline);
        if !is_fresh && !self.leaves {
            return;
        }
        let seen = self.seen.as_ref().map(|(generation, ..)| *generation);
        let others: Vec<&Record> = self.roster.members(now).collect();
        let slots = others.iter().map(|other| other.slots).fold(self.record.slots, u16::max);
        let mut members: Vec<Identity> = others.iter().filter_map(|other| other.identity.clone()).collect();
        let ready = others.iter().flat_map(|other| other.said.ready.iter()).collect();
        members.push(self.me.clone());
        let held = self.roster.held(now).map(|(other, held)| (other.clone(), held.clone())).collect();
        self.desk.seen().live = members.len();
        self.ledger.step(share(&self.me, &members, slots), &Others { held, ready }, seen);
    }

    fn begin_write(&mut self, now: Instant) {
        let said = self.ledger.said();
        let is_due = match &self.renewed {
            Some((begun, written)) => *written != *said || now >= *begun + self.timing.renew,
            None => true,
        };
        let leaves = self.leaves && said.held.is_empty() && self.ledger.releasing().is_empty();
        if leaves && self.renewed.is_none() {
            return;
        }
        if self.flight.is_some() || now < self.write_after || !(is_due || leaves) {
            return;
        }
        self.record.said = said.clone();
        let record = match leaves {
            true => Record { identity: None, ..self.record.clone() },
            false => self.record.clone(),
        };
        let lease = record.write(&self.metadata, &self.group);
        let write = write(self.leases.clone(), lease, self.timing.deadline / 2).boxed();
        self.flight = Some(Flight { begun: now, said: record.said, leaves, write });
    }

    /// Returns whether the member has left.
    async fn written(&mut self, flight: Flight, written: Result<Written, Error>) -> bool {
        let now = Instant::now();
        // A response that was read late renews nothing that has been lost since.
        self.check_deadline(now);
        match written {
            Ok(Written::Done(metadata)) => {
                self.metadata = metadata;
                self.desk.seen().last_error = None;
                if flight.leaves {
                    let deleted = delete(self.leases.clone(), self.metadata.clone(), self.timing.renew).await;
                    if let Err(error) = deleted {
                        tracing::debug!(%error, "the Lease of a member that has left stays");
                    }
                    return true;
                }
                self.renewed = Some((flight.begun, flight.said));
                self.lost = self.until().is_none_or(|until| now >= until);
                self.write_after = now;
                self.clean_up(now);
            }
            Ok(Written::Changed(metadata)) => self.metadata = metadata,
            Ok(Written::Gone) => self.metadata.resource_version = None,
            Err(error) => {
                tracing::debug!(%error, group = %self.group, "the Lease was not written");
                self.desk.seen().last_error = Some(error);
                self.write_after = now + self.timing.renew;
            }
        }
        false
    }

    /// Nothing else deletes the Leases of processes that were killed.
    fn clean_up(&mut self, now: Instant) {
        if self.cleanup.is_none()
            && let Some((key, version)) = self.roster.abandoned(now).next()
        {
            let metadata = ObjectMeta {
                name: Some(key.name().to_owned()),
                resource_version: Some(version.to_string()),
                ..ObjectMeta::default()
            };
            self.cleanup = Some(delete(self.leases.clone(), metadata, self.timing.deadline).boxed());
        }
    }

    /// Whether the member leaves before it had a Lease.
    fn has_left_nothing(&self) -> bool {
        self.leaves
            && self.renewed.is_none()
            && self.flight.is_none()
            && self.metadata.resource_version.is_none()
    }

    fn publish(&self, now: Instant) {
        let until = self.until().filter(|until| now < *until && !self.lost);
        let mut share = Share {
            to_cache: self.ledger.to_cache(),
            held: self.ledger.working().clone(),
            releasing: self.ledger.releasing().clone(),
            releases: self.ledger.releases().to_vec(),
            lost: self.lost,
            losses: self.losses,
            ended: false,
            until,
        };
        self.desk.shares.send_if_modified(|known| {
            // What was finished meanwhile must not come back.
            share.finish(self.desk.inbox().finished);
            let is_news = !known.is_like(&share);
            *known = share;
            is_news
        });
    }

    fn next_timer(&self, now: Instant) -> Instant {
        let deadline = self.until().filter(|_| !self.lost);
        let renewal = match (&self.flight, &self.renewed) {
            (Some(_), _) => None,
            (None, Some((begun, _))) => Some((*begun + self.timing.renew).max(self.write_after)),
            (None, None) => Some(self.write_after),
        };
        // When the view is no longer fresh, and the ends of others, change what is concluded.
        let times = [deadline, renewal, self.roster.next_end(now)];
        times.into_iter().flatten().min().unwrap_or(now + self.timing.renew)
    }

    /// When the Lease is lost, unless it is renewed.
    fn until(&self) -> Option<Instant> {
        self.renewed.as_ref().map(|(begun, _)| *begun + self.timing.deadline)
    }
}

async fn next(changes: &mut Subscription<Record>) -> Option<Snapshot<Record>> {
    Some(changes.next().await?.snapshot().clone())
}
