//! Delayed keys, by deadline.
//!
//! This is an ordered map and not tokio-util's `DelayQueue`, which has its own timer: it panics without a
//! runtime and for deadlines two years away, has a single waker, and no order within a millisecond. Here the
//! clock is an argument, an insert is O(log n), and keys with equal deadlines stay in order.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::priority::Priority;

/// Longer than any process runs, and short enough that no clock overflows.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Deadline and order of arrival.
type Slot = (Instant, u64);

/// See the [module](self). Every key is in both maps.
pub(super) struct Delayed<K> {
    by_deadline: BTreeMap<Slot, (Arc<K>, Priority)>,
    by_key: HashMap<Arc<K>, Slot, RandomState>,
    arrivals: u64,
}

// === impl Delayed ===

impl<K: Hash + Eq> Delayed<K> {
    pub(super) fn new() -> Self {
        Self { by_deadline: BTreeMap::new(), by_key: HashMap::default(), arrivals: 0 }
    }

    /// Sets the key's deadline, unless it has an earlier or equal one; true when the earliest of all changed. Of two
    /// priorities the higher wins in any case.
    pub(super) fn insert(&mut self, key: Arc<K>, deadline: Instant, mut priority: Priority) -> bool {
        if let Some(slot) = self.by_key.get(&key) {
            if slot.0 <= deadline {
                if let Some((_, known)) = self.by_deadline.get_mut(slot) {
                    *known = priority.max(*known);
                }
                return false;
            }
            if let Some((_, known)) = self.by_deadline.remove(slot) {
                priority = priority.max(known);
            }
        }
        let earliest = self.next().is_none_or(|next| deadline < next);
        let slot = (deadline, self.arrivals);
        self.arrivals += 1;
        self.by_key.insert(Arc::clone(&key), slot);
        self.by_deadline.insert(slot, (key, priority));
        earliest
    }

    /// Removes the key whose deadline passed first, with its priority and that deadline.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Arc<K>, Priority, Instant)> {
        let first = self.by_deadline.first_entry()?;
        let deadline = first.key().0;
        if deadline > now {
            return None;
        }
        let (key, priority) = first.remove();
        self.by_key.remove(&key);
        Some((key, priority, deadline))
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|(slot, _)| slot.0)
    }

    pub(super) fn deadline(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).map(|slot| slot.0)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.by_deadline.clear();
        self.by_key.clear();
    }
}

/// `now + delay` for any delay.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    now + delay.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn drain(delayed: &mut Delayed<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| delayed.pop_due(now)).map(|(key, ..)| *key).collect()
    }

    #[test]
    fn keys_come_due_by_deadline_then_by_arrival() {
        let (mut delayed, now) = (Delayed::new(), Instant::now());
        for (key, at) in [("late", 9), ("tie 1", 5), ("tie 2", 5), ("early", 1), ("tie 3", 5)] {
            delayed.insert(Arc::new(key), now + at * MS, Priority::Normal);
        }
        assert_eq!(drain(&mut delayed, now), [""; 0]);
        assert_eq!(drain(&mut delayed, now + 5 * MS), ["early", "tie 1", "tie 2", "tie 3"]);
        assert_eq!((delayed.len(), delayed.next()), (1, Some(now + 9 * MS)));
        assert_eq!(drain(&mut delayed, now + 9 * MS), ["late"]);
        assert!(delayed.is_empty() && delayed.by_deadline.is_empty());
    }

    #[test]
    fn of_two_deadlines_of_one_key_the_earlier_wins_in_either_order() {
        for (first, second) in [(3, 8), (8, 3)] {
            let (mut delayed, now) = (Delayed::new(), Instant::now());
            delayed.insert(Arc::new("a"), now + first * MS, Priority::Normal);
            delayed.insert(Arc::new("a"), now + second * MS, Priority::Normal);
            assert_eq!(delayed.deadline(&"a"), Some(now + 3 * MS));
            assert_eq!(drain(&mut delayed, now + 9 * MS), ["a"], "once only");
            assert!(delayed.is_empty() && delayed.by_deadline.is_empty());
        }
    }

    #[test]
    fn insert_says_when_the_earliest_deadline_moved() {
        let (mut delayed, now) = (Delayed::new(), Instant::now());
        assert!(delayed.insert(Arc::new("a"), now + 5 * MS, Priority::Normal), "the first");
        assert!(!delayed.insert(Arc::new("b"), now + 6 * MS, Priority::Normal), "later");
        assert!(!delayed.insert(Arc::new("c"), now + 5 * MS, Priority::Normal), "equal");
        assert!(delayed.insert(Arc::new("b"), now + 4 * MS, Priority::Normal), "moved to the front");
        assert!(delayed.insert(Arc::new("b"), now + 3 * MS, Priority::Normal), "the front itself moved");
    }

    #[test]
    fn any_delay_has_a_deadline() {
        let now = Instant::now();
        assert_eq!(after(now, MS), now + MS);
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(900_000_000));
    }
}
