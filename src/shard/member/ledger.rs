//! What this member may work on: a state machine without I/O or clock.
//!
//! ```text
//!          target            listed                free             seen on the Lease, no other claim
//!  (none) -------> to cache -------> ready: waits ------> claimed ------------------------------------> working
//!     ^                                                      | another claim came first                     |
//!     |                                                      v                                              | not the target,
//!     '--- keys finished: announced --- releasing <----------'----------------------------------------------' another is ready
//! ```
//!
//! A range is claimed by an announcement on the own Lease, and worked on once an informer of the Leases shows this
//! announcement, and no other live member with a claim to the range. The API server orders the writes: of two members
//! that claim at the same time, the later one sees the earlier claim, so at most one begins. If both see the other,
//! the one with the lower identity keeps its claim, and the other withdraws.

use super::super::Ranges;
use super::assign::Identity;
use super::record::Said;

/// See the [module](self).
pub(super) struct Ledger {
    me: Identity,
    /// What is to be announced.
    said: Said,
    /// What the application has cached.
    listed: Ranges,
    /// What it should have.
    target: Ranges,
    /// Claims that are not confirmed, each with the generation that announces it.
    claims: Vec<(u64, Ranges)>,
    working: Ranges,
    /// What was worked on, until the application has finished the keys.
    releasing: Ranges,
    /// The parts of it that were released one after the other, each with its number.
    releases: Vec<(u64, Ranges)>,
    /// The number of the last one.
    released: u64,
    leaving: bool,
}

/// What the other live members have announced.
#[derive(Default)]
pub(super) struct Others {
    pub(super) held: Vec<(Identity, Ranges)>,
    pub(super) ready: Ranges,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(me: Identity) -> Self {
        Self {
            me,
            said: Said::default(),
            listed: Ranges::new(),
            target: Ranges::new(),
            claims: Vec::new(),
            working: Ranges::new(),
            releasing: Ranges::new(),
            releases: Vec::new(),
            released: 0,
            leaving: false,
        }
    }

    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    pub(super) fn working(&self) -> &Ranges {
        &self.working
    }

    pub(super) fn releasing(&self) -> &Ranges {
        &self.releasing
    }

    /// What the application should cache: what it works on, and what it will work on.
    pub(super) fn to_cache(&self) -> Ranges {
        self.target.union(&self.working).union(&self.releasing)
    }

    /// The application has cached these.
    pub(super) fn listed(&mut self, ranges: &Ranges) {
        self.listed = ranges.clone();
    }

    /// The parts of it that were released one after the other, each with its number.
    pub(super) fn releases(&self) -> &[(u64, Ranges)] {
        &self.releases
    }

    /// The application works on no key of these releases any more, up to this number. (A range may have been released,
    /// taken and released again since.)
    pub(super) fn finished(&mut self, released: u64) {
        let (done, goes_on): (Vec<_>, _) =
            self.releases.drain(..).partition(|(number, _)| *number <= released);
        self.releases = goes_on;
        let done: Ranges = done.iter().flat_map(|(_, ranges)| ranges.iter()).collect();
        self.releasing = self.releasing.minus(&done);
        self.say(self.said.ready.clone(), self.said.held.minus(&done));
    }

    /// Wants nothing any more, and releases everything. Claims are withdrawn at once, as no view may confirm them any more.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.claims.clear();
        self.say(Ranges::new(), self.working.union(&self.releasing));
    }

    /// The Lease could not be renewed in time, so others may take over. What was worked on stays announced until the
    /// application has finished, and is not claimed again before.
    pub(super) fn lose(&mut self) {
        let working = std::mem::take(&mut self.working);
        self.begin_release(working);
        self.claims.clear();
        self.say(Ranges::new(), self.releasing.clone());
    }

    /// Takes the next steps. `seen`: the generation of the own Lease in the view that `others` is from.
    pub(super) fn step(&mut self, target: Ranges, others: &Others, seen: Option<u64>) {
        self.target = if self.leaving { Ranges::new() } else { target };
        let others_hold: Ranges = others.held.iter().flat_map(|(_, ranges)| ranges.iter()).collect();
        self.confirm(others, &others_hold, seen);
        self.release(others, &others_hold);
        // What is not to be cached is dropped.
        self.listed = self.listed.intersection(&self.to_cache());
        let ready = self.listed.intersection(&self.target).minus(&self.said.held).minus(&self.releasing);
        let free = ready.minus(&others_hold);
        self.say(ready.minus(&free), self.said.held.union(&free));
        if !free.is_empty() {
            self.claims.push((self.said.generation, free));
        }
    }

    /// Begins to work on claims that are visible to all, and withdraws those that another member has made before.
    fn confirm(&mut self, others: &Others, others_hold: &Ranges, seen: Option<u64>) {
        for (generation, claim) in std::mem::take(&mut self.claims) {
            if seen.is_none_or(|seen| seen < generation) {
                self.claims.push((generation, claim));
                continue;
            }
            let free = claim.minus(others_hold);
            self.working = self.working.union(&free);
            let lower = others.held.iter().filter(|(other, _)| *other < self.me);
            let lower: Ranges = lower.flat_map(|(_, ranges)| ranges.iter()).collect();
            let contested = claim.minus(&free);
            let kept = contested.minus(&lower).intersection(&self.target);
            self.say(self.said.ready.clone(), self.said.held.minus(&contested.minus(&kept)));
            if !kept.is_empty() {
                self.claims.push((generation, kept));
            }
        }
    }

    /// Stops to work on what another member should have, and waits for, or has claimed.
    ///
    /// A claim to what this member works on is either of a member that waits for it, or a sign that two work on it, after
    /// someone has deleted a Lease. In the latter case, only the one that should have it goes on.
    fn release(&mut self, others: &Others, others_hold: &Ranges) {
        let surplus = self.working.minus(&self.target);
        let wanted = others.ready.union(others_hold);
        let surplus = if self.leaving { surplus } else { surplus.intersection(&wanted) };
        self.working = self.working.minus(&surplus);
        self.begin_release(surplus);
    }

    fn begin_release(&mut self, ranges: Ranges) {
        if !ranges.is_empty() {
            self.released += 1;
            self.releasing = self.releasing.union(&ranges);
            self.releases.push((self.released, ranges));
        }
    }

    fn say(&mut self, ready: Ranges, held: Ranges) {
        if self.said.ready != ready || self.said.held != held {
            self.said = Said { generation: self.said.generation + 1, ready, held };
        }
    }
}
