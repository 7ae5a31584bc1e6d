//! Which hashes have no member, and since when, as this member sees it: for operators.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Range, Ranges};

/// Hashes without a member.
#[derive(Clone, Default)]
pub(super) struct Coverage {
    /// Disjoint, each with the time since when no member holds it.
    gaps: Vec<(Instant, Ranges)>,
}

// === impl Coverage ===

impl Coverage {
    /// Nothing is known yet, so all hashes are without a member.
    pub(super) fn new(now: Instant) -> Self {
        Self { gaps: vec![(now, Ranges::from(Range::ALL))] }
    }

    /// Members hold these now, and nothing else.
    pub(super) fn observe(&mut self, held: &Ranges, now: Instant) {
        let mut found = held.complement();
        for (_, gap) in &mut self.gaps {
            *gap = gap.minus(held);
            found = found.minus(gap);
        }
        self.gaps.retain(|(_, gap)| !gap.is_empty());
        if !found.is_empty() {
            self.gaps.push((now, found));
        }
    }

    /// The hashes that have been without a member for at least this time.
    pub(super) fn gaps(&self, lasting: Duration, now: Instant) -> Ranges {
        let lasts = |since: Instant| now.saturating_duration_since(since) >= lasting;
        self.gaps.iter().filter(|(since, _)| lasts(*since)).flat_map(|(_, gap)| gap.iter()).collect()
    }

    /// Since when the first of them is without a member.
    pub(super) fn since(&self) -> Option<Instant> {
        self.gaps.iter().map(|(since, _)| *since).min()
    }
}
