//! How soon a key is returned, compared with other keys.

/// How soon a key of a [`WorkQueue`](super::WorkQueue) is returned, compared with other keys.
///
/// A key of a higher priority is returned first; keys of the same priority are returned in the order in which they
/// became ready. So that no key waits forever, each eighth claim is of the key that has been ready longest, whatever
/// its priority: a key with `n` keys before it is returned after at most `8 (n + 1)` claims.
///
/// A queued key that is added again, or retried, gets the higher one of the two priorities. If that is raised, the key
/// enters behind the others of its new priority, and counts as ready from then on. This is controller-runtime's
/// priority queue (the default there since 0.23), with three levels in place of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// For what can wait: the initial list, and changes found by a refresh.
    Low,
    /// For changes in a running cluster.
    #[default]
    Normal,
    /// For keys that must not wait for others.
    High,
}

/// The number of priorities.
pub(super) const LEVELS: usize = 3;

/// All priorities, the highest first.
pub(super) const HIGHEST_FIRST: [Priority; LEVELS] = [Priority::High, Priority::Normal, Priority::Low];

impl Priority {
    /// Its place in an array by priority.
    pub(super) fn level(self) -> usize {
        self as usize
    }
}
