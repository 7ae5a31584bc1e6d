//! The task of a member: observes the Leases, renews its own, and publishes the share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::Api;
use kube_core::ObjectMeta;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::assign::{Identity, share};
use super::coverage::Coverage;
use super::ledger::{Ledger, Others};
use super::record::{Record, Said};
use super::roster::Roster;
use super::share::Share;
use super::write::{Written, delete, write};
use super::{Desk, Observed, Ranges};
use crate::error::Error;
use crate::informer::Informer;
use crate::key::ObjectKey;
use crate::snapshot::{Snapshot, View};
use crate::subscribe::Subscription;

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
    /// The generation of the own Lease in the newest view, if it is there.
    seen: Option<u64>,
    /// The newest view shows all that was written before; `None` before the first one.
    complete: Option<Instant>,
    /// The first of the own renewals that no view shows yet, and when its write began.
    probe: Option<(u64, Instant)>,
    /// The own Lease has gone from the view.
    is_missing: bool,
    /// The share among these members.
    assigned: Option<Assigned>,
    coverage: Coverage,
    /// Whether a warning has been logged that hashes have no member.
    has_warned: bool,
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

struct Assigned {
    members: Vec<Identity>,
    slots: u16,
    share: Ranges,
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
            complete: None,
            probe: None,
            is_missing: false,
            assigned: None,
            coverage: Coverage::new(Instant::now()),
            has_warned: false,
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
        *self.desk.seen() = Observed::default();
        self.informer.shutdown().await;
    }

    async fn drive(&mut self) {
        let mut changes = self.informer.subscribe();
        loop {
            let now = Instant::now();
            self.check_deadline(now);
            self.read_inbox();
            self.step(now);
            self.report(now);
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
        let mut complete = self.complete.unwrap_or(now);
        if let Some(lease) = leases.get(&mine) {
            self.seen = Some(lease.said.generation);
            if let Some((_, begun)) = self.probe.take_if(|(renewal, _)| *renewal <= lease.renewal) {
                complete = complete.max(begun);
            }
        }
        self.is_missing |= before.is_some() && self.seen.is_none();
        self.complete = Some(complete);
        self.roster.observe(leases, &mine, now, complete);
    }

    /// Whether the view is new enough to conclude something from it.
    fn is_fresh(&self, now: Instant) -> bool {
        self.complete.is_some_and(|complete| now < complete + self.timing.deadline)
    }

    /// Whether own writes succeed, and no view has shown them for the duration of the Lease.
    fn is_blind(&self, now: Instant) -> bool {
        self.probe.is_some_and(|(_, begun)| now >= begun + self.record.duration)
    }

    fn step(&mut self, now: Instant) {
        // While its Lease may be ended for the others, it is not one of the members.
        if self.renewed.is_none() || self.lost {
            self.desk.seen().live = self.roster.members(now).count();
            return;
        }
        // If the own renewals are not observed, those of others are not, either: nothing can be concluded.
        if !self.is_fresh(now) && !self.leaves {
            return;
        }
        let others: Vec<&Record> = self.roster.members(now).collect();
        let slots = others.iter().map(|other| other.slots).fold(self.record.slots, u16::max);
        let mut members: Vec<Identity> = others.iter().filter_map(|other| other.identity.clone()).collect();
        let ready = others.iter().flat_map(|other| other.said.ready.iter()).collect();
        members.push(self.me.clone());
        members.sort_unstable();
        let complete = self.complete.unwrap_or(now);
        let held = self.roster.held(complete).map(|(other, held)| (other.clone(), held.clone())).collect();
        self.desk.seen().live = members.len();
        let target = self.assign(members, slots);
        self.ledger.step(target, &Others { held, ready }, self.seen);
    }

    /// The share. It is computed again only if it changes, as each renewal of each member is a step.
    fn assign(&mut self, members: Vec<Identity>, slots: u16) -> Ranges {
        let is_same = |known: &mut Assigned| known.members == members && known.slots == slots;
        let assigned = self.assigned.take_if(is_same);
        let assigned = assigned.unwrap_or_else(|| {
            let share = share(&self.me, &members, slots);
            Assigned { members, slots, share }
        });
        self.assigned.insert(assigned).share.clone()
    }

    /// Says which hashes have no member.
    fn report(&mut self, now: Instant) {
        let is_renewed = self.renewed.is_some() && !self.lost;
        if self.is_fresh(now) || !is_renewed {
            let mine = self.ledger.said().held.iter().filter(|_| is_renewed);
            let held = self.roster.covered(now).flat_map(Ranges::iter).chain(mine).collect();
            self.coverage.observe(&held, now);
        }
        self.desk.seen().coverage = self.coverage.clone();
        let lasting = self.coverage.gaps(self.record.duration, now);
        if !self.has_warned && !lasting.is_empty() {
            self.has_warned = true;
            tracing::warn!(group = %self.group, hashes = %lasting, "hashes have no member");
        } else if self.has_warned && self.coverage.since().is_none() {
            self.has_warned = false;
            tracing::info!(group = %self.group, "all hashes have a member again");
        }
    }

    fn begin_write(&mut self, now: Instant) {
        let said = self.ledger.said();
        let is_due = match &self.renewed {
            Some((begun, written)) => {
                *written != *said || self.is_missing || now >= *begun + self.timing.renew
            }
            // One that does not see the others gets no share of theirs.
            None => self.complete.is_some(),
        };
        let leaves = self.leaves && said.held.is_empty() && self.ledger.releasing().is_empty();
        if leaves && self.renewed.is_none() && self.metadata.resource_version.is_none() {
            return;
        }
        if self.flight.is_some() || now < self.write_after || !(is_due || leaves) {
            return;
        }
        self.record.said = said.clone();
        self.record.renewal += 1;
        let mut record = self.record.clone();
        if leaves {
            record.identity = None;
        }
        if self.is_blind(now) {
            record.slots = 0;
        }
        self.probe.get_or_insert((record.renewal, now));
        self.is_missing = false;
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
                self.desk.seen().write_error = None;
                if flight.leaves {
                    let deleted = delete(self.leases.clone(), self.metadata.clone(), self.timing.renew).await;
                    if let Err(error) = deleted {
                        tracing::debug!(%error, "the Lease of a member that has left stays");
                    }
                    return true;
                }
                self.renewed = Some((flight.begun, flight.said));
                // If it took too long, the deadline is checked next.
                self.lost &= self.until().is_none_or(|until| now >= until);
                self.write_after = now;
                self.clean_up();
            }
            Ok(Written::Changed(metadata)) => self.metadata = metadata,
            Ok(Written::Gone) => {
                self.metadata.resource_version = None;
                self.is_missing = true;
            }
            Err(error) => {
                tracing::debug!(%error, group = %self.group, "the Lease was not written");
                self.desk.seen().write_error = Some(error);
                self.write_after = now + self.timing.renew;
                // It may not show up for as long as writes fail, which is no fault of the view.
                self.probe = None;
            }
        }
        false
    }

    /// Nothing else deletes the Leases of processes that were killed.
    fn clean_up(&mut self) {
        if self.cleanup.is_none()
            && let Some(complete) = self.complete
            && let Some((key, version)) = self.roster.abandoned(complete).next()
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
            (None, None) => self.complete.map(|_| self.write_after),
        };
        let warning =
            self.coverage.since().map(|since| since + self.record.duration).filter(|_| !self.has_warned);
        // When the view is no longer fresh, and the ends of others, change what is concluded.
        let times = [deadline, renewal, warning, self.roster.next_end(now)];
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
