//! What a member should cache, and may work on.

use std::fmt;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::Ranges;

/// What a member has to do at one moment, from [`Member::share`](super::Member::share).
///
/// The application follows it: it caches [`to_cache`](Self::to_cache), works on [`held`](Self::held), and finishes
/// [`releasing`](Self::releasing).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Share {
    pub(super) to_cache: Ranges,
    pub(super) held: Ranges,
    pub(super) releasing: Ranges,
    /// What it consists of: parts that were released one after the other, each with its number.
    pub(super) releases: Vec<(u64, Ranges)>,
    pub(super) lost: bool,
    /// How often the Lease was lost. Work that began before the last time must not go on.
    pub(super) losses: u64,
    /// There is no next one.
    pub(super) ended: bool,
    /// When the member loses it, unless it renews its Lease. Not news.
    pub(super) until: Option<Instant>,
}

/// The shares of a member, one after the other. From [`Member::shares`](super::Member::shares).
pub struct Shares {
    shares: watch::Receiver<Share>,
    begun: bool,
}

// === impl Share ===

impl Share {
    /// The ranges to cache: those that the member works on, and those that it will work on. Once they are cached, call
    /// [`Member::cached`](super::Member::cached).
    pub fn to_cache(&self) -> &Ranges {
        &self.to_cache
    }

    /// The ranges to work on. No other member works on them.
    pub fn held(&self) -> &Ranges {
        &self.held
    }

    /// The ranges on which no more reconciles may begin. Once those that run have ended, call
    /// [`Member::finished`](super::Member::finished); only then another member begins, or this one again.
    pub fn releasing(&self) -> &Ranges {
        &self.releasing
    }

    /// Whether the Lease could not be renewed in time. Other members soon take over, whether or not the keys are
    /// finished: abort the reconciles, rather than wait for them.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the Lease has not ended.
    pub(super) fn is_valid(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// How often the Lease was lost.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// The number of the last release.
    pub(super) fn released(&self) -> u64 {
        self.releases.last().map_or(0, |(number, _)| *number)
    }

    /// Removes the releases up to this number.
    pub(super) fn finish(&mut self, released: u64) {
        self.releases.retain(|(number, _)| *number > released);
        self.releasing = self.releases.iter().flat_map(|(_, ranges)| ranges.iter()).collect();
    }

    /// Whether the difference to another share is no news.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { to_cache, held, releasing, releases, lost, losses, ended, until: _ } = other;
        let is_state = self.lost == *lost
            && self.losses == *losses
            && self.ended == *ended
            && self.releases == *releases;
        is_state && self.to_cache == *to_cache && self.held == *held && self.releasing == *releasing
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to_cache, held, releasing, lost, .. } = self;
        write!(
            f,
            "caches {to_cache}; works on {held}; releases {releasing}{}",
            if *lost { "; lost" } else { "" }
        )
    }
}

// === impl Shares ===

impl Shares {
    pub(super) fn new(shares: watch::Receiver<Share>) -> Self {
        Self { shares, begun: false }
    }

    /// The share, the first time, and then the share after each change. `None` once the member has ended. Cancel-safe.
    ///
    /// It may be equal to the one before, if it has changed and changed back meanwhile. Follow it again: the member has
    /// forgotten what was cached for the one before.
    pub async fn next(&mut self) -> Option<Share> {
        if self.begun {
            self.shares.changed().await.ok()?;
        }
        self.begun = true;
        let share = self.shares.borrow_and_update().clone();
        (!share.ended).then_some(share)
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").finish_non_exhaustive()
    }
}
