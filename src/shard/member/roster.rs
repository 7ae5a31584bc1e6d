//! The members of a group, as one of them observes them.
//!
//! No clock of another process is compared with the own one: a member is live for the duration of its Lease, counted
//! from when a renewal was *observed*, as client-go does it. A renewal is observed after it was made, so this is never
//! shorter than the time for which the member itself counts.
//!
//! A view of the Leases may be old. Who has ended is judged at the time for which the view is known to be complete,
//! because it shows a write that this member began then, not at the present.

use std::collections::HashMap;

use tokio::time::Instant;

use super::super::Ranges;
use super::assign::Identity;
use super::record::Record;
use crate::key::ObjectKey;
use crate::object::Obj;
use crate::snapshot::View;
use crate::version::ResourceVersion;

/// The members of a group but this one.
#[derive(Default)]
pub(super) struct Roster {
    others: HashMap<ObjectKey, Seen>,
}

/// A Lease, as it was observed last.
struct Seen {
    record: Record,
    version: ResourceVersion,
    /// When this renewal was observed.
    at: Instant,
    /// Whether the Lease still exists. If not, its claims last as if it had not been renewed.
    exists: bool,
}

// === impl Roster ===

impl Roster {
    /// Observes the Leases. `mine` is that of this member. The view is complete up to `complete`.
    pub(super) fn observe(
        &mut self,
        leases: &View<Record>,
        mine: &ObjectKey,
        now: Instant,
        complete: Instant,
    ) {
        self.others.iter_mut().for_each(|(key, seen)| seen.exists &= leases.get(key).is_some());
        for lease in leases.iter().filter(|lease| Obj::key(lease) != mine.as_key()) {
            let version = Obj::resource_version(lease);
            let known = self.others.get(&Obj::key(lease).to_owned());
            if known.is_none_or(|known| known.version != version || !known.exists) {
                // If something else has written to it, the member has not renewed it.
                let same = known.filter(|known| known.record.renewal == lease.renewal);
                let at = same.map_or(now, |known| known.at);
                let seen = Seen { record: Record::clone(lease), version, at, exists: true };
                self.others.insert(Obj::key(lease).to_owned(), seen);
            }
        }
        self.others.retain(|_, seen| seen.exists || seen.is_live(complete));
    }

    /// The members that a share is for. One whose Lease was deleted is not among them.
    pub(super) fn members(&self, now: Instant) -> impl Iterator<Item = &Record> {
        self.live(now).filter(|seen| seen.exists && seen.record.slots > 0).map(|seen| &seen.record)
    }

    /// What others may hold, as of a view that is complete up to `complete`.
    pub(super) fn held(&self, complete: Instant) -> impl Iterator<Item = (&Identity, &Ranges)> {
        self.live(complete).filter_map(|seen| Some((seen.record.identity.as_ref()?, &seen.record.said.held)))
    }

    /// What live members say that they hold.
    pub(super) fn covered(&self, now: Instant) -> impl Iterator<Item = &Ranges> {
        self.live(now).filter(|seen| seen.record.is_readable).map(|seen| &seen.record.said.held)
    }

    /// When the next member ends, unless it renews its Lease.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        self.live(now).map(Seen::end).min()
    }

    /// The Leases of members that have ended and did not delete them, as of a view that is complete up to `complete`. They
    /// are to be deleted: a new member would have to wait for the end of their claims.
    pub(super) fn abandoned(
        &self,
        complete: Instant,
    ) -> impl Iterator<Item = (&ObjectKey, &ResourceVersion)> {
        let is_abandoned = move |seen: &Seen| seen.exists && complete >= seen.end();
        self.others.iter().filter(move |(_, seen)| is_abandoned(seen)).map(|(key, seen)| (key, &seen.version))
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = &Seen> {
        self.others.values().filter(move |seen| seen.is_live(now))
    }
}

// === impl Seen ===

impl Seen {
    fn end(&self) -> Instant {
        self.at + self.record.duration
    }

    fn is_live(&self, now: Instant) -> bool {
        self.record.identity.is_some() && now < self.end()
    }
}
